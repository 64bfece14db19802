#pragma once
// Dropout: in train() a share p of the elements, or of the channels, becomes 0 and the rest is scaled by
// 1 / (1 - p); in eval() nothing happens. Masks come from the default generator.

#include "nn/module.hpp"

namespace lucid::nn {

/// Single elements. Throws Error unless 0 <= p <= 1.
struct Dropout : Module {
  explicit Dropout(double p = 0.5);
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  double p;
};

/// Whole channels of (batch, channels, D, H, W) or (channels, D, H, W). Throws Error unless 0 <= p <= 1.
struct Dropout3d : Module {
  explicit Dropout3d(double p = 0.5);
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  double p;
};

}  // namespace lucid::nn
