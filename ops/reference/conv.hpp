#pragma once
// The partials of the convolutions' trilinear form (ops/conv_shape.hpp) as direct loops: for float64, and for
// whatever oneDNN refuses or would run slowly.

#include "ops/conv_shape.hpp"

namespace lucid::reference {

/// Channels per group and sizes of one call. x and y lie channels-last without gaps.
struct ConvProblem {
  ops::ConvGeometry geometry;
  std::int64_t batch = 0;
  std::int64_t x_channels = 0, y_channels = 0;  ///< in one group
  std::int64_t x_row() const { return x_channels * geometry.groups; }
  std::int64_t y_row() const { return y_channels * geometry.groups; }
  std::int64_t taps() const { return geometry.kernel[0] * geometry.kernel[1] * geometry.kernel[2]; }
  /// Multiplications, those at the border counted as if they were inside.
  double work() const {
    double out = static_cast<double>(batch * geometry.groups) * static_cast<double>(x_channels * y_channels);
    for (std::size_t i = 0; i < 3; ++i)
      out *= static_cast<double>(geometry.kernel[i]) * static_cast<double>(geometry.y[i]);
    return out;
  }
};

/// out = conv(x, w) + bias, its adjoint in x (a transposed convolution) + bias, and its adjoint in w. All
/// tensors are float32 or all float64, of rank 5; x and y channels-last, w strided as it likes, bias (rank 1)
/// contiguous or undefined. None of the sizes of `out` is 0.
void conv_forward(const ConvProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const Tensor& out);
void conv_transpose(const ConvProblem& problem, const Tensor& y, const Tensor& weight, const Tensor& bias,
                    const Tensor& out);
void conv_weight_grad(const ConvProblem& problem, const Tensor& x, const Tensor& y, const Tensor& out);

}  // namespace lucid::reference
