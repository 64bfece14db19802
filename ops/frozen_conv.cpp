#include "ops/frozen_conv.hpp"

#include "ops/conv_algorithm.hpp"
#include "ops/conv_plan.hpp"
#include "ops/conv_rule.hpp"
#include "ops/conv_slabs.hpp"
#include "ops/direct/winograd.hpp"
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

bool needs_slabs(const ConvProblem& p) {
  std::int64_t x = p.batch * p.x_row(), y = p.batch * p.y_row();
  for (std::size_t i = 0; i < 3; ++i) x *= p.geometry.x[i], y *= p.geometry.y[i];
  return std::max(x, y) > SlabLimits{}.whole;
}

}  // namespace

bool is_conv(std::string_view op) { return is_one_of_three(op, kConv); }
bool is_conv_transpose(std::string_view op) { return is_one_of_three(op, kTranspose); }

// What one input contributes.
class FrozenConv::Share {
 public:
  Share(const ConvProblem& problem, ConvPass pass, const Tensor& weight, const Tensor& bias,
        const ConvEpilogue& epilogue)
      : problem_(problem), pass_(pass), epilogue_(epilogue), weight_(weight), bias_(bias) {
    const ConvPlan plan(problem, pass, f32, weight.strides(), bias.defined());
    implementation_ = plan.implementation;
    if (plan.algorithm != ConvAlgorithm::onednn || needs_slabs(problem)) return;
    auto primitive =
        onednn::Convolution::make(problem, pass, f32, weight.strides(), bias.defined(), epilogue);
    if (!primitive || primitive->is_reference()) return;
    primitive_ = std::move(primitive);
    weight_ = primitive_->packed(weight);
    implementation_ = "onednn:" + primitive_->implementation();
  }

  void run(const Tensor& from, const Tensor& to) const {
    const bool to_x = pass_ == ConvPass::x;
    if (primitive_) return primitive_->run_packed(to_x ? to : from, weight_, to_x ? from : to, bias_);
    const Tensor fresh = epilogue_.accumulate ? empty_like(to) : to;
    run_conv_in_slabs(problem_, pass_, to_x ? fresh : from, weight_, to_x ? from : fresh, bias_);
    if (epilogue_.accumulate)
      kernels::add_rectified(to, to, fresh, epilogue_.rectifier);
    else if (!epilogue_.rectifier.is_identity())
      kernels::rectify(to, to, epilogue_.rectifier);
  }
  const std::string& implementation() const { return implementation_; }
  std::int64_t weight_bytes() const { return weight_.nbytes() + (bias_.defined() ? bias_.nbytes() : 0); }

 private:
  ConvProblem problem_;
  ConvPass pass_;
  ConvEpilogue epilogue_;
  Tensor weight_;  // rank 5; or the bytes that primitive_ reads
  Tensor bias_;
  std::unique_ptr<onednn::Convolution> primitive_;  // null: the loops that conv_plan chooses
  std::string implementation_;
};

FrozenConv::FrozenConv(std::string_view op, const nlohmann::json& options, std::span<const Shape> inputs,
                       const Tensor& weight, const Tensor& bias, const ConvEpilogue& epilogue) {
  std::vector<std::int64_t> parts;
  Shape whole = inputs[0];
  if (inputs.size() > 1) whole[1] = 0;
  for (const Shape& input : inputs) {
    parts.push_back(input.size() == weight.shape().size() ? input[1] : input[0]);
    if (inputs.size() > 1) whole[1] += parts.back();
  }
  const ConvGeometry g = geometry_of(op, options, stand_in(whole), weight, bias);
  axes_ = g.axes;
  const Tensor w = lifted_weight(dense_copy(weight), g.axes), b = dense_copy(bias);
  const std::int64_t batch = whole.size() == g.axes + 2 ? whole[0] : 1;
  ConvProblem problem{g, batch, w.shape()[1], w.shape()[0] / g.groups};
  const ConvPass pass = is_conv_transpose(op) ? ConvPass::x : ConvPass::y;
  if (winograd_is_faster(problem, pass) && direct::Winograd::serves(problem, pass, parts)) {
    winograd_ = std::make_unique<direct::Winograd>(problem, pass, parts, w, b, epilogue);
    implementation_ = "lucid:winograd";
    return;
  }
  std::int64_t first = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool is_first = i == 0, is_last = i + 1 == parts.size();
    Tensor slice = w;
    if (parts.size() > 1) {
      problem.x_channels = parts[i];
      slice = dense_copy(alias(w, {w.shape()[0], parts[i], w.shape()[2], w.shape()[3], w.shape()[4]},
                               w.strides(), w.offset() + first * w.strides()[1]));
      first += parts[i];
    }
    shares_.push_back(std::make_unique<Share>(
        problem, pass, slice, is_first ? b : Tensor(),
        ConvEpilogue{.accumulate = epilogue.accumulate || !is_first,
                     .rectifier = is_last ? epilogue.rectifier : kernels::Rectifier{}}));
  }
  implementation_ = shares_.front()->implementation();
}

FrozenConv::~FrozenConv() = default;

void FrozenConv::run(std::span<const Tensor> inputs, const Tensor& out) const {
  const Tensor to = lifted(out, axes_);
  Tensors from;
  for (const Tensor& input : inputs) from.push_back(in_channels_last(lifted(input, axes_)));
  if (winograd_) return winograd_->run(from, to);
  for (std::size_t i = 0; i < shares_.size(); ++i) shares_[i]->run(from[i], to);
}

std::int64_t FrozenConv::weight_bytes() const {
  std::int64_t bytes = winograd_ ? winograd_->weight_bytes() : 0;
  for (const auto& share : shares_) bytes += share->weight_bytes();
  return bytes;
}

}  // namespace ops
}  // namespace lucid
