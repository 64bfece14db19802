#include "autograd/record.hpp"
#include "ops/activation.hpp"
#include "ops/autocast.hpp"
#include "ops/class_loss.hpp"
#include "ops/join.hpp"
#include "ops/kernels/focal.hpp"
#include "ops/kernels/ties.hpp"
#include "ops/loss_options.hpp"
#include "ops/options.hpp"
#include "ops/reduce.hpp"
#include "ops/samples.hpp"
#include "ops/softmax.hpp"
#include "ops/unary.hpp"

namespace lucid {

LUCID_OPTIONS(FocalLossOptions, include_background, use_softmax, gamma, alpha, reduction, ignore_index)

namespace {

using autograd::Backward;
using kernels::ClassTargets;

constexpr std::string_view kOp = "focal_loss";

void check_options(const Tensor& input, const Tensor& target, const FocalLossOptions& options) {
  ops::check_regions(kOp, input, target, options.include_background, false, false);
  check(options.gamma >= 0, kOp, "gamma is ", options.gamma, "; at least 0 is required");
  if (options.alpha)
    check(*options.alpha >= 0 && *options.alpha <= 1, kOp, "alpha is ", *options.alpha,
          "; 0 to 1 is required");
}

// alpha's part in the factors: with softmax 1 - alpha for class 0 and alpha for the others, with sigmoid
// alpha for what is there and 1 - alpha for what is not.
kernels::FocalTerms terms_of(const Tensor& input, const FocalLossOptions& options) {
  const auto classes = static_cast<std::size_t>(input.size(1));
  const double yes = options.alpha.value_or(1), no = options.alpha ? 1 - *options.alpha : 1;
  kernels::FocalTerms terms{options.use_softmax, options.gamma, std::vector<double>(classes, yes),
                            std::vector<double>(classes, no), options.include_background ? 0 : 1};
  if (options.use_softmax) terms.positive[0] = no;
  if (!options.include_background) terms.positive[0] = terms.negative[0] = 0;
  return terms;
}

kernels::FocalTerms weighted(kernels::FocalTerms terms, const std::vector<double>& weight) {
  for (std::size_t c = 0; c < weight.size(); ++c) {
    check(weight[c] >= 0, kOp, "weight holds ", weight[c], "; at least 0 is required");
    terms.positive[c] *= weight[c];
    terms.negative[c] *= weight[c];
  }
  return terms;
}

// What the mean divides by: the losses of positions that count. 0 stands for none.
double share_of(const Tensor& counted, const Tensor& input, const FocalLossOptions& options) {
  if (options.reduction != Reduction::mean) return 1;
  const double columns = static_cast<double>(input.size(1) - (options.include_background ? 0 : 1));
  const double count = counted.item<double>() * columns;
  return count == 0 ? 0 : 1 / count;
}

// f and f' of kernels/focal.hpp at l = log p, d = 1 - p, recorded; finite at d = 0 to any order.
struct Focus {
  Tensor value, slope;
  Focus(const Tensor& l, const Tensor& p, const Tensor& d, double gamma) {
    const Tensor zero = kernels::zero_mask(d), above = d + zero;
    const Tensor power = gamma == 0 ? ones_like(d) : above.pow(gamma) * (1.0 - zero);
    value = -(power * l);
    slope = power * (p * (l / above - zero) * gamma - 1.0);
  }
};

// The gradient of the losses of all classes: that of Reduction::none lacks the background's.
Tensor for_all_classes(const Tensor& grad, const Tensor& input, const FocalLossOptions& options) {
  if (options.reduction != Reduction::none || options.include_background) return grad;
  Shape shape = input.shape();
  shape[1] = 1;
  return cat({zeros(shape, grad.dtype()), grad}, 1);
}

Tensors composed_gradients(const Backward<FocalLossOptions>& b, const ClassTargets& targets) {
  const Tensor &input = b.saved[0], &weight = b.saved[2];
  const bool indices = kernels::is_indices(targets);
  const kernels::FocalTerms terms = terms_of(input, b.options);
  const auto factors = [&](const std::vector<double>& values) {
    const Tensor row = Tensor::from(values, {input.size(1)}).to(input.dtype());
    return ops::along_classes(row, 1, input.shape().size());
  };
  const Tensor t = indices ? kernels::class_indicators(targets, input) : b.saved[1].to(input.dtype());
  const Tensor counted = indices ? sum(t, {1}, true) : ones({}, input.dtype());
  const Tensor w = weight.defined() ? ops::along_classes(weight.to(input.dtype()), 1, input.shape().size())
                                    : ones({}, input.dtype());
  const Tensor upstream =
      for_all_classes(b.grad(), input, b.options) * share_of(b.saved[3], input, b.options);
  const Tensor yes = factors(terms.positive), no = factors(terms.negative);

  Tensor unweighted;  // losses without the class weights
  Tensors out(3);
  if (b.options.use_softmax) {
    const Tensor l = log_softmax(input, 1), p = l.exp();
    const Focus focus(l, p, -expm1(l), b.options.gamma);
    const Tensor slope = upstream * w * yes * t * focus.slope;
    out[0] = slope - p * sum(slope, {1}, true);
    if (!indices) out[1] = upstream * w * yes * focus.value;
    unweighted = yes * t * focus.value;
  } else {
    const Tensor p = input.sigmoid(), d = (-input).sigmoid();
    const Focus there(logsigmoid(input), p, d, b.options.gamma);
    const Focus absent(logsigmoid(-input), d, p, b.options.gamma);
    out[0] = upstream * w * (yes * t * there.slope * d - no * (counted - t) * absent.slope * p);
    if (!indices) out[1] = upstream * w * (yes * there.value - no * absent.value);
    unweighted = yes * t * there.value + no * (counted - t) * absent.value;
  }
  if (weight.defined()) out[2] = ops::over_classes(upstream * unweighted, 1);
  return out;
}

// saved: input, target, weight, the number of positions that count
Tensors focal_loss_backward(const Backward<FocalLossOptions>& b) {
  const Tensor& input = b.saved[0];
  const ClassTargets targets = ops::region_targets(kOp, input, b.saved[1], b.options.ignore_index);
  if (autograd::is_recording() || b.wants[1] || b.wants[2]) return composed_gradients(b, targets);
  const Tensor grad_input = empty_like(input);
  const Tensor scale = kernels::converted(b.grad() * share_of(b.saved[3], input, b.options), input.dtype());
  kernels::focal_backward(targets,
                          weighted(terms_of(input, b.options), ops::class_weights(kOp, input, b.saved[2], 1)),
                          grad_input, input, scale);
  return {grad_input, {}, {}};
}

}  // namespace

Tensor focal_loss(const Tensor& given, const Tensor& target, const FocalLossOptions& options) {
  const Tensor input = ops::autocast_loss_operand(given);
  const autograd::OpTimer timer(kOp);
  check_options(input, target, options);
  const ClassTargets targets = ops::region_targets(kOp, input, target, options.ignore_index);
  const kernels::FocalTerms terms =
      weighted(terms_of(input, options), ops::class_weights(kOp, input, options.weight, 1));
  Tensor losses;
  if (options.reduction == Reduction::none) {
    Shape shape = input.shape();
    shape[1] -= terms.first;
    losses = terms.first == 0 ? empty_like(input) : empty(shape, input.dtype());
  }
  const kernels::LossSums sums = kernels::focal(targets, terms, input, losses);
  const Tensor counted = scalar_tensor(sums.weight, f64);
  const Tensor out =
      losses.defined() ? losses : scalar_tensor(sums.loss * share_of(counted, input, options), input.dtype());
  FocalLossOptions recorded = options;
  recorded.weight = {};  // among the inputs
  return autograd::record(kOp, out, {input, target, options.weight}, {input, target, options.weight, counted},
                          recorded, focal_loss_backward);
}

namespace ops {

Op focal_loss_op() {
  return {
      .name = std::string(kOp),
      .doc =
          "-(1 - p_t)^gamma log p_t, balanced by alpha, of logits input (N, C, ...): target indices (N, ...) "
          "or one-hot, weight (C)",
      .inputs = {{"input"}, {"target"}, {"weight", true}},
      .defaults = default_options<FocalLossOptions>(),
      .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
        auto options = read_options<FocalLossOptions>(kOp, given);
        options.weight = in[2];
        return {lucid::focal_loss(in[0], in[1], options)};
      },
      .samples = [](Generator& generator) -> std::vector<Sample> {
        const Shape volume{2, 3, 2, 3, 4};
        const auto x = [&] { return normal(volume, generator); };
        const auto t = [&] { return uniform(volume, 0.1, 0.9, generator); };
        const auto w = [&] { return uniform({3}, 0.5, 2, generator); };
        const auto labels = [&](const Shape& shape) { return randint(0, 3, shape, i64, &generator); };
        return {
            {{x(), labels({2, 2, 3, 4})}},
            {{x(), labels({2, 2, 3, 4}).to(i32)}, {{"use_softmax", true}}},
            {{x(), labels({2, 1, 2, 3, 4}).to(u8), w()},
             {{"use_softmax", true}, {"gamma", 1.5}, {"alpha", 0.25}, {"ignore_index", 1}}},
            {{x(), labels({2, 2, 3, 4}), w()},
             {{"alpha", 0.25}, {"include_background", false}, {"reduction", "none"}, {"ignore_index", 2}}},
            {{x(), t(), w()}, {{"gamma", 0.5}, {"reduction", "sum"}}},
            {{x(), t()}, {{"use_softmax", true}, {"gamma", 0}, {"reduction", "none"}}},
            {{x(), t()}, {{"use_softmax", true}, {"include_background", false}, {"gamma", 1}}},
            {{normal({5, 1}, generator), uniform({5, 1}, 0, 1, generator)}}};
      },
      .errors = []() -> std::vector<ErrorCase> {
        const Tensor x = ones({2, 3, 2, 2}, f64), t = zeros({2, 2, 2}, i64);
        return {{{x, zeros({2, 2, 3}, i64)}, {}, "(2, 2, 3)"},
                {{x, full({2, 2, 2}, 7, i64)}, {}, "class index 7"},
                {{x, full({2, 3, 2, 2}, 255, u8)}, {}, "holds 255"},
                {{x, t, ones({2}, f64)}, {}, "weight has shape (2)"},
                {{x, t, -ones({3}, f64)}, {}, "weight holds -1"},
                {{x, t}, {{"gamma", -1}}, "gamma is -1"},
                {{x, t}, {{"alpha", 2}}, "alpha is 2"},
                {{ones({2, 1, 2}, f64), zeros({2, 2}, i64)}, {{"include_background", false}}, "(2, 1, 2)"}};
      },
      .cost = [](const Tensors& in, const nlohmann::json&) -> Cost {
        return {10.0 * static_cast<double>(in[0].numel()),
                static_cast<double>(in[0].nbytes() + in[1].nbytes())};
      }};
}

}  // namespace ops
}  // namespace lucid
