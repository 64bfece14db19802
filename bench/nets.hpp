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
  std::unique_ptr<lucid::nn::Module> net;
  std::function<lucid::Tensor()> loss;  ///< a forward pass over made-up data, and the task's loss
};

NetTask nn_unet(), seg_res_net(), v_net(), mednext();          // nets_segmentation.cpp
NetTask unetr(), gan_3d(), res_net_18(), attention_unet_2d();  // nets_other.cpp

struct NamedNet {
  std::string name;  ///< as torch_nets.py knows it
  NetTask (*make)();
};
inline const std::vector<NamedNet> kNets = {
    {"nnU-Net", nn_unet},      {"SegResNet", seg_res_net},
    {"V-Net", v_net},          {"MedNeXt", mednext},
    {"UNETR", unetr},          {"3D-GAN", gan_3d},
    {"ResNet-18", res_net_18}, {"attention U-Net 2D", attention_unet_2d},
};

}  // namespace bench
