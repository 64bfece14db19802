#include "ops/frozen_conv.hpp"

#include "ops/conv_algorithm.hpp"
#include "ops/conv_plan.hpp"
#include "ops/conv_slabs.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/onednn/conv.hpp"
#include "ops/options.hpp"

namespace lucid {

// Defined beside their ops.
void to_json(nlohmann::json& out, const Conv1dOptions& options);
void to_json(nlohmann::json& out, const Conv2dOptions& options);
void to_json(nlohmann::json& out, const Conv3dOptions& options);
void to_json(nlohmann::json& out, const ConvTranspose1dOptions& options);
void to_json(nlohmann::json& out, const ConvTranspose2dOptions& options);
void to_json(nlohmann::json& out, const ConvTranspose3dOptions& options);
void from_json(const nlohmann::json& in, Conv1dOptions& options);
void from_json(const nlohmann::json& in, Conv2dOptions& options);
void from_json(const nlohmann::json& in, Conv3dOptions& options);
void from_json(const nlohmann::json& in, ConvTranspose1dOptions& options);
void from_json(const nlohmann::json& in, ConvTranspose2dOptions& options);
void from_json(const nlohmann::json& in, ConvTranspose3dOptions& options);

namespace ops {
namespace {

constexpr std::string_view kConv = "conv", kTranspose = "conv_transpose";

bool is_one_of_three(std::string_view op, std::string_view stem) {
  return op.size() == stem.size() + 2 && op.starts_with(stem) && op.ends_with('d') &&
         op[stem.size()] >= '1' && op[stem.size()] <= '3';
}

template <std::size_t N>
ConvGeometry geometry(std::string_view op, const nlohmann::json& options, const Tensor& input,
                      const Tensor& weight, const Tensor& bias) {
  if (is_conv_transpose(op))
    return conv_transpose_geometry(op, input, weight, bias,
                                   read_options<ConvTransposeOptions<N>>(op, options));
  return conv_geometry(op, input, weight, bias, read_options<ConvOptions<N>>(op, options));
}

ConvGeometry geometry_of(std::string_view op, const nlohmann::json& options, const Tensor& input,
                         const Tensor& weight, const Tensor& bias) {
  check(is_conv(op) || is_conv_transpose(op), "FrozenConv", "\"", op, "\" is no convolution");
  switch (op[op.size() - 2]) {
    case '1': return geometry<1>(op, options, input, weight, bias);
    case '2': return geometry<2>(op, options, input, weight, bias);
    default: return geometry<3>(op, options, input, weight, bias);
  }
}

// What has a shape and a type, and no memory to speak of.
Tensor stand_in(const Shape& shape) { return alias(zeros({1}), shape, Shape::filled(shape.size(), 0), 0); }

Tensor dense_copy(const Tensor& tensor) {
  if (!tensor.defined()) return tensor;
  const Tensor out = tensor.is_dense() ? empty_like(tensor) : empty(tensor.shape(), tensor.dtype());
  kernels::copy(out, tensor);
  return out;
}

Tensor in_channels_last(const Tensor& tensor) {
  if (tensor.is_channels_last()) return tensor;
  count_activation_reorder();
  const Tensor out = empty_strided(tensor.shape(), channels_last_strides(tensor.shape()), tensor.dtype());
  kernels::copy(out, tensor);
  return out;
}

bool needs_slabs(const ConvProblem& p) {
  std::int64_t x = p.batch * p.x_row(), y = p.batch * p.y_row();
  for (std::size_t i = 0; i < 3; ++i) x *= p.geometry.x[i], y *= p.geometry.y[i];
  return std::max(x, y) > SlabLimits{}.whole;
}

}  // namespace

bool is_conv(std::string_view op) { return is_one_of_three(op, kConv); }
bool is_conv_transpose(std::string_view op) { return is_one_of_three(op, kTranspose); }

FrozenConv::FrozenConv(std::string_view op, const nlohmann::json& options, const Shape& input,
                       const Tensor& weight, const Tensor& bias, const ConvEpilogue& epilogue)
    : pass_(is_conv_transpose(op) ? ConvPass::x : ConvPass::y), epilogue_(epilogue), bias_(dense_copy(bias)) {
  const ConvGeometry g = geometry_of(op, options, stand_in(input), weight, bias);
  const Tensor w = lifted_weight(dense_copy(weight), g.axes);
  const std::int64_t batch = input.size() == g.axes + 2 ? input[0] : 1;
  problem_ = {g, batch, w.shape()[1], w.shape()[0] / g.groups};
  const ConvPlan plan(problem_, pass_, f32, w.strides(), bias.defined());
  implementation_ = plan.implementation;
  weight_ = w;
  if (plan.algorithm != ConvAlgorithm::onednn || needs_slabs(problem_)) return;
  auto primitive = onednn::Convolution::make(problem_, pass_, w.strides(), bias.defined(), epilogue);
  if (!primitive || primitive->is_reference()) return;
  primitive_ = std::move(primitive);
  weight_ = primitive_->packed(w);
  implementation_ = "onednn:" + primitive_->implementation();
}

FrozenConv::~FrozenConv() = default;

void FrozenConv::run(const Tensor& input, const Tensor& out) const {
  const ConvGeometry& g = problem_.geometry;
  const Tensor from = in_channels_last(lifted(input, g.axes)), to = lifted(out, g.axes);
  const bool to_x = pass_ == ConvPass::x;
  if (primitive_) return primitive_->run_packed(to_x ? to : from, weight_, to_x ? from : to, bias_);
  const Tensor fresh = epilogue_.accumulate ? empty_like(to) : to;
  run_conv_in_slabs(problem_, pass_, to_x ? fresh : from, weight_, to_x ? from : fresh, bias_);
  if (epilogue_.accumulate)
    kernels::add_rectified(to, to, fresh, epilogue_.rectifier);
  else if (!epilogue_.rectifier.is_identity())
    kernels::rectify(to, to, epilogue_.rectifier);
}

std::int64_t FrozenConv::weight_bytes() const {
  return weight_.nbytes() + (bias_.defined() ? bias_.nbytes() : 0);
}

}  // namespace ops
}  // namespace lucid
