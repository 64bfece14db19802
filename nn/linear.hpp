#pragma once

#include "nn/module.hpp"

namespace lucid::nn {

struct LinearOptions {
  bool bias = true;
};

/// (..., in_features) to (..., out_features). weight (out_features, in_features) and bias (out_features)
/// start from U(-b, b), b = 1 / sqrt(in_features), as PyTorch's. Throws Error on a number of features
/// below 1.
struct Linear : Module {
  Linear(std::int64_t in_features, std::int64_t out_features, const LinearOptions& options = {});
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;

  std::int64_t in_features, out_features;
  Parameter weight, bias;
  LUCID_FIELDS(weight, bias)
};

}  // namespace lucid::nn
