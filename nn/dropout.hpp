#pragma once
// Dropout: in train() a share p of the elements, or of the channels, becomes 0 and the rest is scaled by
// 1 / (1 - p); in eval() nothing happens. Masks come from the default generator. Constructors throw Error
// unless 0 <= p <= 1.

#include "nn/module.hpp"

namespace lucid::nn {

namespace detail {
/// What the layers share: p, its check and its text. `name` is the layer's.
struct DropoutLayer : Module {
  DropoutLayer(std::string_view name, double p);
  std::string extra_repr() const override;
  double p;
};
}  // namespace detail

/// Single elements.
struct Dropout : detail::DropoutLayer {
  explicit Dropout(double p_ = 0.5) : DropoutLayer("Dropout", p_) {}
  Tensor operator()(const Tensor& input) const;
};

/// Whole channels of (N, C, L) or (C, L).
struct Dropout1d : detail::DropoutLayer {
  explicit Dropout1d(double p_ = 0.5) : DropoutLayer("Dropout1d", p_) {}
  Tensor operator()(const Tensor& input) const;
};

/// Whole channels of (N, C, H, W) or, as PyTorch reads rank 3, (N, C, L).
struct Dropout2d : detail::DropoutLayer {
  explicit Dropout2d(double p_ = 0.5) : DropoutLayer("Dropout2d", p_) {}
  Tensor operator()(const Tensor& input) const;
};

/// Whole channels of (N, C, D, H, W) or (C, D, H, W).
struct Dropout3d : detail::DropoutLayer {
  explicit Dropout3d(double p_ = 0.5) : DropoutLayer("Dropout3d", p_) {}
  Tensor operator()(const Tensor& input) const;
};

}  // namespace lucid::nn
