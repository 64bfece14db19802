#pragma once
// What layers of losses share. `nn::TverskyLoss loss({.softmax = true, .alpha = 0.3});`

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "nn/module.hpp"

namespace lucid::nn {

namespace detail {
/// "softmax=true, alpha=0.3": the options whose values are not the defaults.
std::string changed_options(const nlohmann::json& options, const nlohmann::json& defaults);
}  // namespace detail

/// A loss is a function with options; as a layer it keeps them. The layer's arguments, errors and results are
/// those of the function of the same name in ops/loss.hpp.
template <class Options>
struct LossLayer : Module {
  explicit LossLayer(const Options& options_ = {}) : options(options_) {}
  std::string extra_repr() const override;
  Options options;
};

}  // namespace lucid::nn
