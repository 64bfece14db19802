#pragma once
// The partials of the convolutions' trilinear form on tensors of the caller's rank: the numbers, not
// recorded. Operands share one floating dtype and have any strides; bfloat16 is summed in float32.

#include <span>

#include "ops/conv_shape.hpp"

namespace lucid::ops {

/// y = conv(x, w) + bias: (N, Cy, *geometry.y), channels-last. `bias` (Cy) may be undefined.
Tensor conv_form_y(const ConvGeometry& geometry, const Tensor& x, const Tensor& weight,
                   const Tensor& bias = {});
/// The same of x = cat(parts, 1) with one group: float32 parts are read where they lie, if a kernel takes
/// them so.
Tensor conv_form_y(const ConvGeometry& geometry, std::span<const Tensor> parts, const Tensor& weight,
                   const Tensor& bias = {});
/// x = the adjoint of conv(., w) at y, + bias: (N, Cx, *geometry.x), channels-last. `bias` (Cx) may be
/// undefined.
Tensor conv_form_x(const ConvGeometry& geometry, const Tensor& y, const Tensor& weight,
                   const Tensor& bias = {});
/// The adjoint of conv(x, .) at y: (Cy, Cx / groups, *geometry.kernel), contiguous.
Tensor conv_form_w(const ConvGeometry& geometry, const Tensor& x, const Tensor& y);

}  // namespace lucid::ops
