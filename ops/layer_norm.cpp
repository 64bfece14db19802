#include <cmath>
#include <limits>

#include "autograd/grad_mode.hpp"
#include "autograd/record.hpp"
#include "ops/kernels/rows.hpp"
#include "ops/norm.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using autograd::record;
using kernels::RowNorm;

struct LayerNormOptions {
  Shape normalized_shape{1};
  double eps = 1e-5;
};
LUCID_OPTIONS(LayerNormOptions, normalized_shape, eps)

struct RmsNormOptions {
  Shape normalized_shape{1};
  std::optional<double> eps;
};
LUCID_OPTIONS(RmsNormOptions, normalized_shape, eps)

double eps_of(DType dtype) {
  if (dtype == f64) return std::numeric_limits<double>::epsilon();
  return dtype == f32 ? std::numeric_limits<float>::epsilon() : 0x1p-7;
}

void require_tail(std::string_view op, const char* name, const Tensor& values, const Shape& normalized) {
  if (!values.defined()) return;
  check(values.shape() == normalized, op, name, " has shape ", values.shape(), ", normalized_shape is ",
        normalized, "; the same is required");
  check(is_floating(values.dtype()), op, name, " has dtype ", values.dtype(),
        "; a floating type is required");
}

// Input as rows of prod(normalized) elements.
RowNorm rows_of(std::string_view op, const Tensor& input, const Shape& normalized, bool centred, double eps) {
  check(input.defined(), op, "the input is undefined");
  check(is_floating(input.dtype()), op, "input has dtype ", input.dtype(), "; a floating type is required");
  const Shape& shape = input.shape();
  const std::size_t skip = shape.size() - std::min(normalized.size(), shape.size());
  check(!normalized.empty() && normalized.size() <= shape.size() &&
            std::equal(normalized.begin(), normalized.end(), shape.begin() + skip),
        op, "normalized_shape is ", normalized, ", input has shape ", shape,
        "; one or more of the input's last sizes are required");
  RowNorm rows{.rows = 1, .columns = checked_numel(op, normalized), .centred = centred, .eps = eps};
  for (std::size_t i = 0; i < skip; ++i) rows.rows *= shape[i];
  return rows;
}

// A row-major result in the layout of `like`.
Tensor laid_out(const Tensor& result, const Tensor& like) {
  if (like.is_contiguous() || !like.is_dense()) return result;
  Tensor out = empty_like(like);
  kernels::copy(out, result);
  return out;
}

struct Normalized {
  Tensor result, mean, rstd;
};

Normalized forward(const RowNorm& rows, const Tensor& input, const Tensor& weight, const Tensor& bias) {
  const no_grad guard;
  Normalized out{Tensor(), empty({rows.rows}, f64), empty({rows.rows}, f64)};
  const Tensor result = kernels::normalize_rows(rows, input.contiguous(), weight, bias, out.mean, out.rstd);
  out.result = laid_out(result, input);
  return out;
}

struct Saved {
  const Tensor &input, &weight, &mean, &rstd;
};

// Gradients of input, weight, bias by differentiable operations; see norm_core.cpp for the formula. Those of
// weight and bias keep the input's shape.
Tensors recorded_backward(const Tensor& grad, const Saved& saved, const RowNorm& rows, std::size_t axes,
                          const autograd::Mask& wants) {
  std::vector<std::int64_t> dims;
  for (std::size_t i = 1; i <= axes; ++i) dims.push_back(-static_cast<std::int64_t>(i));
  const Tensor centred = rows.centred ? saved.input - saved.input.mean(dims, true) : saved.input;
  const Tensor rstd = 1.0 / (centred.square().mean(dims, true) + rows.eps).sqrt();
  const Tensor normalized = centred * rstd;
  Tensors out(3);
  if (wants[0]) {
    const Tensor scaled = saved.weight.defined() ? grad * saved.weight : grad;
    Tensor flow = scaled - normalized * (scaled * normalized).mean(dims, true);
    if (rows.centred) flow = flow - scaled.mean(dims, true);
    out[0] = flow * rstd;
  }
  if (wants[1]) out[1] = grad * normalized;
  if (wants[2]) out[2] = grad;
  return out;
}

Tensors backward(const Tensor& grad, const Tensors& kept, const RowNorm& rows, std::size_t axes,
                 const autograd::Mask& wants) {
  const Saved saved{kept[0], kept[1], kept[2], kept[3]};
  if (saved.input.numel() == 0) {
    // Sums over nothing; the walker reduces a gradient of the input's shape to the parameters' own.
    const Tensor zero = zeros(saved.input.shape(), saved.input.dtype());
    return {zero, zero, zero};
  }
  if (autograd::is_recording()) return recorded_backward(grad, saved, rows, axes, wants);
  const kernels::RowGradients raw = kernels::normalize_rows_backward(
      rows, kernels::converted(grad, saved.input.dtype()).contiguous(), saved.input.contiguous(),
      saved.weight, saved.mean, saved.rstd, {wants[0], wants[1], wants[2]});
  const Shape& shape = saved.input.shape();
  const Shape tail(std::span(shape.end() - static_cast<std::ptrdiff_t>(axes), axes));
  const auto parameter = [&](const std::vector<double>& values) {
    return values.empty() ? Tensor() : Tensor::from(values, tail);
  };
  return {wants[0] ? laid_out(raw.input, saved.input) : Tensor(), parameter(raw.weight), parameter(raw.bias)};
}

Tensors layer_norm_backward(const Backward<LayerNormOptions>& b) {
  const Shape& normalized = b.options.normalized_shape;
  const RowNorm rows = rows_of("layer_norm", b.saved[0], normalized, true, b.options.eps);
  return backward(b.grad(), b.saved, rows, normalized.size(), b.wants);
}

Tensors rms_norm_backward(const Backward<RmsNormOptions>& b) {
  const Shape& normalized = b.options.normalized_shape;
  const double eps = b.options.eps.value_or(eps_of(b.saved[0].dtype()));
  const RowNorm rows = rows_of("rms_norm", b.saved[0], normalized, false, eps);
  Tensors out = backward(b.grad(), b.saved, rows, normalized.size(), {b.wants[0], b.wants[1], false});
  out.pop_back();
  return out;
}

}  // namespace

Tensor layer_norm(const Tensor& input, const Shape& normalized_shape, const Tensor& weight,
                  const Tensor& bias, double eps) {
  const autograd::OpTimer timer("layer_norm");
  const RowNorm rows = rows_of("layer_norm", input, normalized_shape, true, eps);
  require_tail("layer_norm", "weight", weight, normalized_shape);
  require_tail("layer_norm", "bias", bias, normalized_shape);
  const Normalized out = forward(rows, input, weight, bias);
  return record("layer_norm", out.result, {input, weight, bias}, {input, weight, out.mean, out.rstd},
                LayerNormOptions{normalized_shape, eps}, layer_norm_backward);
}

Tensor rms_norm(const Tensor& input, const Shape& normalized_shape, const Tensor& weight,
                std::optional<double> eps) {
  const autograd::OpTimer timer("rms_norm");
  const double used = eps.value_or(input.defined() ? eps_of(input.dtype()) : 0);
  const RowNorm rows = rows_of("rms_norm", input, normalized_shape, false, used);
  require_tail("rms_norm", "weight", weight, normalized_shape);
  const Normalized out = forward(rows, input, weight, Tensor());
  return record("rms_norm", out.result, {input, weight}, {input, weight, out.mean, out.rstd},
                RmsNormOptions{normalized_shape, eps}, rms_norm_backward);
}

namespace ops {
namespace {

Cost row_norm_cost(const Tensors& in, const nlohmann::json&) {
  const auto count = static_cast<double>(in[0].numel());
  return {.flops = 8 * count, .bytes = 2 * count * static_cast<double>(size_of(in[0].dtype()))};
}

}  // namespace

Op layer_norm_op() {
  return {.name = "layer_norm",
          .doc = "(*, normalized_shape) normalised over its last axes; weight, bias (normalized_shape)",
          .inputs = {{"input"}, {.name = "weight", .optional = true}, {.name = "bias", .optional = true}},
          .defaults = default_options<LayerNormOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto read = read_options<LayerNormOptions>("layer_norm", options);
            return {lucid::layer_norm(in[0], read.normalized_shape, in[1], in[2], read.eps)};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({3, 5}, g), normal({5}, g), normal({5}, g)}, {{"normalized_shape", {5}}}},
                    {{normal({2, 3, 2, 3, 2}, g), normal({3, 2}, g)},
                     {{"normalized_shape", {3, 2}}, {"eps", 0.1}}},
                    {{normal({2, 3, 17}, g)}, {{"normalized_shape", {3, 17}}}},
                    {{normal({2, 2, 1, 3, 2}, g), Tensor(), normal({2, 1, 3, 2}, g)},
                     {{"normalized_shape", {2, 1, 3, 2}}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2, 3, 4}, f64)}, {{"normalized_shape", {3}}}, "(3)"},
                    {{ones({2, 3}, f64)}, {{"normalized_shape", {1, 2, 3}}}, "(1, 2, 3)"},
                    {{ones({2, 3}, f64), ones({2}, f64)}, {{"normalized_shape", {3}}}, "weight"}};
          },
          .cost = row_norm_cost};
}

Op rms_norm_op() {
  return {.name = "rms_norm",
          .doc =
              "(*, normalized_shape) divided by its root mean square over the last axes; weight "
              "(normalized_shape)",
          .inputs = {{"input"}, {.name = "weight", .optional = true}},
          .defaults = default_options<RmsNormOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto read = read_options<RmsNormOptions>("rms_norm", options);
            return {lucid::rms_norm(in[0], read.normalized_shape, in[1], read.eps)};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({3, 5}, g), normal({5}, g)}, {{"normalized_shape", {5}}}},
                    {{normal({2, 3, 2, 3, 2}, g)}, {{"normalized_shape", {3, 2}}, {"eps", 0.1}}},
                    {{normal({2, 3, 17}, g), normal({3, 17}, g)}, {{"normalized_shape", {3, 17}}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2, 3, 4}, f64)}, {{"normalized_shape", {3}}}, "(3)"},
                    {{ones({2, 3}, f64), ones({2}, f64)}, {{"normalized_shape", {3}}}, "weight"}};
          },
          .cost = row_norm_cost};
}

}  // namespace ops
}  // namespace lucid
