#pragma once
// What layers of losses share. `nn::TverskyLoss loss({.softmax = true, .alpha = 0.3});`

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>

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

/// `function` of an input and a target.
template <class Options, Tensor (*function)(const Tensor&, const Tensor&, const Options&)>
struct TargetLoss : LossLayer<Options> {
  using LossLayer<Options>::LossLayer;
  Tensor operator()(const Tensor& input, const Tensor& target) const {
    const ErrorScope scope(this->path());
    return function(input, target, this->options);
  }
};

/// The same where the options hold a weight, which is kept as a buffer, moved and saved: undefined for none.
template <class Options, Tensor (*function)(const Tensor&, const Tensor&, const Options&)>
struct WeightedLoss : LossLayer<Options> {
  explicit WeightedLoss(const Options& given = {})
      : LossLayer<Options>(given), weight(std::exchange(this->options.weight, Tensor())) {}

  Tensor operator()(const Tensor& input, const Tensor& target) const {
    const ErrorScope scope(this->path());
    Options weighted = this->options;
    weighted.weight = weight;
    return function(input, target, weighted);
  }

  Buffer weight;
  LUCID_FIELDS(weight)
};

}  // namespace lucid::nn
