#include "autograd/record.hpp"
#include "ops/kernels/dice.hpp"
#include "ops/kernels/ties.hpp"
#include "ops/loss_options.hpp"
#include "ops/options.hpp"
#include "ops/overlap.hpp"
#include "ops/reduce.hpp"
#include "ops/samples.hpp"

namespace lucid {

LUCID_OPTIONS(OverlapSumsOptions, sigmoid, softmax, squared, ignore_index)

namespace {

using autograd::Backward;
using kernels::ClassTargets;

constexpr std::string_view kOp = "overlap_sums";

kernels::DiceTerms terms_of(const OverlapSumsOptions& options) {
  using kernels::DiceActivation;
  return {options.softmax   ? DiceActivation::softmax
          : options.sigmoid ? DiceActivation::sigmoid
                            : DiceActivation::none,
          options.squared};
}

// Row `index` of the gradient, (N, C), brought to (N, C, 1...) in the input's type.
Tensor slope_of(const Tensor& grad, std::int64_t index, const Tensor& input) {
  Shape shape = Shape::filled(input.shape().size(), 1);
  shape[0] = input.size(0);
  shape[1] = input.size(1);
  return grad.select(0, index).reshape(shape).to(input.dtype());
}

// With a, b, c the gradients of the three sums: dp = (a t + b (2p or 1)) where counted, dt = a p + c (2t or
// 1).
Tensors composed_gradients(const Tensor& grad, const Tensor& input, const ClassTargets& targets,
                           const Tensor& target, const OverlapSumsOptions& options) {
  const bool indices = kernels::is_indices(targets);
  const Tensor t = indices ? kernels::class_indicators(targets, input) : target.to(input.dtype());
  const Tensor counted = indices ? sum(t, {1}, true) : ones({}, input.dtype());
  const Tensor p = options.softmax ? input.softmax(1) : options.sigmoid ? input.sigmoid() : input;
  const Tensor a = slope_of(grad, 0, input), b = slope_of(grad, 1, input), c = slope_of(grad, 2, input);

  Tensors out(2);
  const Tensor from_p = (a * t + (options.squared ? b * p * 2.0 : b)) * counted;
  if (options.softmax)
    out[0] = p * (from_p - sum(from_p * p, {1}, true));
  else
    out[0] = options.sigmoid ? from_p * p * (1.0 - p) : from_p;
  if (!indices) out[1] = a * p + (options.squared ? c * t * 2.0 : c.expand(t.shape()));
  return out;
}

// saved: input, target
Tensors overlap_sums_backward(const Backward<OverlapSumsOptions>& b) {
  const Tensor &input = b.saved[0], &target = b.saved[1];
  const ClassTargets targets = ops::region_targets(kOp, input, target, b.options.ignore_index);
  if (autograd::is_recording() || b.wants[1])
    return composed_gradients(b.grad(), input, targets, target, b.options);
  const std::vector<double> grads = b.grad().to_vector<double>();
  const std::size_t count = grads.size() / 3;
  std::vector<kernels::DiceSlopes> slopes(count);
  for (std::size_t k = 0; k < count; ++k) slopes[k] = {grads[k], grads[count + k]};
  const Tensor grad_input = empty_like(input);
  kernels::dice_backward(targets, grad_input, input, terms_of(b.options), slopes);
  return {grad_input, {}};
}

Tensor recorded_sums(std::string_view op, const Tensor& input, const Tensor& target,
                     const OverlapSumsOptions& options) {
  const autograd::OpTimer timer(kOp);
  const ClassTargets targets = ops::region_targets(op, input, target, options.ignore_index);
  const std::vector<kernels::DiceSums> sums = kernels::dice_sums(targets, input, terms_of(options));
  std::vector<double> values(3 * sums.size());
  for (std::size_t k = 0; k < sums.size(); ++k) {
    values[k] = sums[k].overlap;
    values[sums.size() + k] = sums[k].prediction;
    values[2 * sums.size() + k] = sums[k].truth;
  }
  const Tensor out = Tensor::from(values, {3, input.size(0), input.size(1)});
  return autograd::record(kOp, out, {input, target}, {input, target}, options, overlap_sums_backward);
}

}  // namespace

Tensor overlap_sums(const Tensor& input, const Tensor& target, const OverlapSumsOptions& options) {
  ops::check_regions(kOp, input, target, true, options.sigmoid, options.softmax);
  return recorded_sums(kOp, input, target, options);
}

namespace ops {

Overlap class_overlap(std::string_view op, const Tensor& input, const Tensor& target,
                      const OverlapChoice& choice) {
  check_regions(op, input, target, choice.include_background, choice.sums.sigmoid, choice.sums.softmax);
  Tensor sums = recorded_sums(op, input, target, choice.sums);
  if (!choice.include_background) sums = sums.narrow(2, 1, input.size(1) - 1);
  if (choice.batch) sums = sum(sums, {1});
  return {sums[0], sums[1], sums[2]};
}

Tensor one_minus_ratio(const Tensor& numerator, const Tensor& denominator) {
  const Tensor zero = kernels::zero_mask(denominator);
  return (1.0 - numerator / (denominator + zero)) * (1.0 - zero);
}

Tensor reduce_ratios(const Tensor& losses, const Overlap& overlap, bool present_only, Reduction reduction,
                     DType dtype) {
  if (!present_only) return reduce_loss(losses, reduction).to(dtype);
  const Tensor present = (overlap.truth > 0.0).to(f64);
  const Tensor counted = losses * present;
  if (reduction == Reduction::none) return counted.to(dtype);
  const double count = present.sum().item<double>();
  return (reduction == Reduction::mean && count > 0 ? counted.sum() / count : counted.sum()).to(dtype);
}

Op overlap_sums_op() {
  return {.name = std::string(kOp),
          .doc =
              "(3, N, C) float64: sum(p t), sum(p), sum(t) over positions, by sample and class: input (N, C, "
              "...) gives p, target indices (N, ...) or one-hot gives t",
          .inputs = {{"input"}, {"target"}},
          .defaults = default_options<OverlapSumsOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            return {lucid::overlap_sums(in[0], in[1], read_options<OverlapSumsOptions>(kOp, given))};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            const Shape volume{2, 3, 2, 3, 4};
            const auto x = [&] { return normal(volume, generator); };
            const auto p = [&] { return uniform(volume, 0.1, 0.9, generator); };
            const auto labels = [&](const Shape& shape) { return randint(0, 3, shape, i64, &generator); };
            return {
                {{x(), labels({2, 2, 3, 4})}, {{"softmax", true}}},
                {{x(), labels({2, 1, 2, 3, 4}).to(u8)}, {{"sigmoid", true}, {"ignore_index", 1}}},
                {{x(), p()}, {{"softmax", true}, {"squared", true}}},
                {{x(), labels({2, 2, 3, 4})}, {{"softmax", true}, {"squared", true}, {"ignore_index", 0}}},
                {{x(), p()}, {{"sigmoid", true}}},
                {{p(), p()}},
                {{normal({3, 4}, generator), uniform({3, 4}, 0.1, 1, generator)}, {{"squared", true}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            const Tensor x = ones({2, 3, 2, 2}, f64), t = zeros({2, 2, 2}, i64);
            return {{{x, zeros({2, 2, 3}, i64)}, {}, "(2, 2, 3)"},
                    {{x, full({2, 2, 2}, 7, i64)}, {}, "class index 7"},
                    {{x, full({2, 3, 2, 2}, 255, u8)}, {}, "holds 255"},
                    {{x, t.to(f64)}, {}, "float64"},
                    {{x.to(i64), t}, {}, "int64"},
                    {{x, t}, {{"sigmoid", true}, {"softmax", true}}, "both"}};
          },
          .cost = [](const Tensors& in, const nlohmann::json&) -> Cost {
            return {8.0 * static_cast<double>(in[0].numel()),
                    static_cast<double>(in[0].nbytes() + in[1].nbytes())};
          }};
}

}  // namespace ops
}  // namespace lucid
