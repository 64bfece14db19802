#pragma once
// Arguments and costs that the records of the convolutions share.

#include "ops/conv_shape.hpp"
#include "ops/registry.hpp"

namespace lucid::ops {

/// All three operands of the trilinear form, float64.
struct FormSample {
  ConvGeometry geometry;
  Tensor x, weight, y;
};
std::vector<FormSample> conv_form_samples(Generator& generator);

/// Calls of conv{axes}d and of conv_transpose{axes}d: every option, sizes of 1, a stride beyond the kernel,
/// groups, depthwise, no batch axis.
std::vector<Sample> conv_samples(std::size_t axes, Generator& generator);
std::vector<Sample> conv_transpose_samples(std::size_t axes, Generator& generator);
std::vector<ErrorCase> conv_errors(std::size_t axes);
std::vector<ErrorCase> conv_transpose_errors(std::size_t axes);

/// Two flops for each product of the form; each operand read or written once.
Cost conv_cost(const ConvGeometry& geometry, std::int64_t batch, std::int64_t x_channels,
               std::int64_t y_channels, DType dtype);

}  // namespace lucid::ops
