#pragma once
// The three partials of the convolutions' trilinear form as recorded operations. Each one's derivatives are
// the other two, so derivatives of any order close. They are registered as "conv_output", "conv_input_grad"
// and "conv_weight_grad"; nets call conv3d and conv_transpose3d instead.

#include <nlohmann/json_fwd.hpp>

#include "ops/conv_shape.hpp"

namespace lucid::ops {

/// (x, w) -> y, (y, w) -> x and (x, y) -> w of geometries that the caller has checked.
Tensor conv_output(const Tensor& input, const Tensor& weight, const ConvGeometry& geometry);
Tensor conv_input_grad(const Tensor& grad, const Tensor& weight, const ConvGeometry& geometry);
Tensor conv_weight_grad(const Tensor& input, const Tensor& grad, const ConvGeometry& geometry);

/// The gradient of a bias: the sum over all but the channel axis. `axes` spatial ones.
Tensor conv_bias_grad(const Tensor& grad, std::size_t axes);

/// {"stride": [..], "padding", "dilation", "groups", "input_size", "kernel_size", "output_size",
/// "transposed"}: input_size is that of x, output_size that of y, one value for each of the caller's axes.
void to_json(nlohmann::json& out, const ConvGeometry& geometry);
/// Throws Error naming the key. The result is not yet checked against tensors.
void from_json(const nlohmann::json& in, ConvGeometry& geometry);

}  // namespace lucid::ops
