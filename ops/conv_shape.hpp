#pragma once
// The shape rule that convolutions and transposed convolutions share.
//
// Both are partial derivatives of one trilinear form of x (N, Cx, *x), w (Cy, Cx / groups, *kernel) and y (N,
// Cy, *y):
//   form(x, w, y) = sum of x[n, c, i * stride + k * dilation - padding] * w[f, c, k] * y[n, f, i]
// over n, positions i, kernel taps k, and channels c, f of one group; x is 0 outside its sizes. A convolution
// maps x to y, a transposed convolution y to x. Any sizes of x and y are meaningful, so the form and its
// partials need no padding at the end.

#include "ops/conv.hpp"

namespace lucid::ops {

struct ConvGeometry {
  std::size_t axes = 3;     ///< spatial axes of the caller's tensors; missing ones lead with size 1
  bool transposed = false;  ///< y is the input, x the output: chooses the kind of oneDNN primitive
  std::int64_t groups = 1;
  Dims3 stride = 1, padding = 0, dilation = 1;
  Dims3 x = 1, kernel = 1, y = 1;  ///< spatial sizes
};

/// Check every argument and give the geometry. Throw Error "<op>: ...".
template <std::size_t N>
ConvGeometry conv_geometry(std::string_view op, const Tensor& input, const Tensor& weight, const Tensor& bias,
                           const ConvOptions<N>& options);
template <std::size_t N>
ConvGeometry conv_transpose_geometry(std::string_view op, const Tensor& input, const Tensor& weight,
                                     const Tensor& bias, const ConvTransposeOptions<N>& options);

/// For geometries that a caller wrote down. Throws Error unless strides, dilations and sizes are positive
/// (sizes of x and y may be 0), padding is not negative, and no position passes 2^63.
void check_geometry(std::string_view op, const ConvGeometry& geometry);

/// `tensor` (rank axes + 2, or axes + 1 without a batch) as (N, C, D, H, W); a view, not recorded.
Tensor lifted(const Tensor& tensor, std::size_t axes);
/// `weight` (Cy, Cx / groups, *kernel) as rank 5; a view, not recorded.
Tensor lifted_weight(const Tensor& weight, std::size_t axes);
/// The inverse of lifted() for a result; `batched` tells whether the caller's tensors have a batch axis.
Tensor lowered(const Tensor& tensor, std::size_t axes, bool batched);

}  // namespace lucid::ops
