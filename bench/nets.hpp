#pragma once
// Well-known nets, small enough to time: what people train beside the reference U-Net. torch_nets.py has the
// twins, with the same parameters.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nn/module.hpp"

namespace bench {

struct NetTask {
  std::string name;
  std::unique_ptr<lucid::nn::Module> net;
  std::function<lucid::Tensor()> loss;  ///< a forward pass over made-up data, and the task's loss
};

/// "nnU-Net", "SegResNet", "V-Net", ...
const std::vector<std::string>& net_names();
/// Throws lucid::Error on another name.
NetTask make_net(const std::string& name);

}  // namespace bench
