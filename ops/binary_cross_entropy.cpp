#include "ops/autocast.hpp"
#include "ops/kernels/math.hpp"
#include "ops/options.hpp"
#include "ops/pair_loss.hpp"
#include "ops/reduce.hpp"
#include "ops/samples.hpp"
#include "ops/select.hpp"
#include "ops/unary.hpp"

namespace lucid {

LUCID_OPTIONS(BinaryCrossEntropyOptions, reduction)
LUCID_OPTIONS(BinaryCrossEntropyWithLogitsOptions, reduction)

namespace {

using autograd::Backward;
using ops::Slopes;
namespace math = kernels::math;

constexpr double kLeastLog = -100;       // what PyTorch bounds the logarithms by
constexpr double kLeastSpread = 1e-12f;  // and x (1 - x) in the gradient: a float32 constant

// From probabilities.
struct Probability {
  static constexpr std::string_view kName = "binary_cross_entropy";
  template <class C>
  static C bounded(C log) {
    return log < C(kLeastLog) ? C(kLeastLog) : log;
  }
  template <class C>
  C value(C x, C t) const {
    return (t - 1) * bounded(math::log1p(-x)) - t * bounded(math::log(x));
  }
  template <class C>
  C slope(C x, C t) const {
    const C spread = x * (1 - x);
    return (x - t) / (spread < C(kLeastSpread) ? C(kLeastSpread) : spread);
  }
  template <class C>
  C target_slope(C x, C) const {
    return bounded(math::log1p(-x)) - bounded(math::log(x));
  }
  Slopes slopes(const Tensor& x, const Tensor& t) const {
    const Tensor of_input = (x - t) / clamp(x * (1.0 - x), Scalar(kLeastSpread));
    return {of_input, clamp(log1p(-x), Scalar(kLeastLog)) - clamp(x.log(), Scalar(kLeastLog))};
  }
  Tensor values(const Tensor& x, const Tensor& t) const {
    return (t - 1.0) * clamp(log1p(-x), Scalar(kLeastLog)) - t * clamp(x.log(), Scalar(kLeastLog));
  }
};

// From logits: l = (1 - t) x + (1 + (p - 1) t) log(1 + e^-x), with p = pos_weight or 1.
struct WeightedLogit {
  Tensor pos_weight = {};
  // log(1 + e^-x). At 0 the maximum's two halves make the slope -1/2, as it should be.
  static Tensor negative_softplus(const Tensor& x) {
    return maximum(-x, zeros_like(x)) + log1p((-x.abs()).exp());
  }
  Tensor positive(const Tensor& t) const {
    return pos_weight.defined() ? (pos_weight - 1.0) * t + 1.0 : ones({}, t.dtype());
  }
  Slopes slopes(const Tensor& x, const Tensor& t) const {
    const Tensor of_target = pos_weight.defined() ? (pos_weight - 1.0) * negative_softplus(x) - x : -x;
    return {(1.0 - t) - positive(t) * (-x).sigmoid(), of_target};
  }
  Tensor values(const Tensor& x, const Tensor& t) const {
    return (1.0 - t) * x + positive(t) * negative_softplus(x);
  }
};

// The same without weights, in one pass.
struct Logit {
  static constexpr std::string_view kName = "binary_cross_entropy_with_logits";
  template <class C>
  C value(C x, C t) const {
    return (1 - t) * x + math::softplus(-x);
  }
  template <class C>
  C slope(C x, C t) const {
    return math::sigmoid(x) - t;
  }
  template <class C>
  C target_slope(C x, C) const {
    return -x;
  }
  Slopes slopes(const Tensor& x, const Tensor& t) const { return WeightedLogit{}.slopes(x, t); }
};

void check_factor(std::string_view op, const char* name, const Tensor& factor, const Tensor& input) {
  if (!factor.defined()) return;
  check(is_floating(factor.dtype()), op, name, " has dtype ", factor.dtype(),
        "; a floating type is required");
  check(broadcast_shapes(op, factor.shape(), input.shape()) == input.shape(), op, name, " of shape ",
        factor.shape(), " does not broadcast to the input's ", input.shape());
}

// Recorded gradients of input and target, times `scale` (the upstream gradient times the weight).
template <class L, class Options>
void composed(const L& loss, const Backward<Options>& b, const Tensor& scale, Tensors& out) {
  const Slopes slopes = loss.slopes(b.saved[0], b.saved[1]);
  if (b.wants[0]) out[0] = slopes.input * scale;
  if (b.wants[1]) out[1] = slopes.target * scale;
}

// saved: input, target, weight
Tensors probability_backward(const Backward<BinaryCrossEntropyOptions>& b) {
  const Tensor &x = b.saved[0], &t = b.saved[1], &weight = b.saved[2];
  const Probability loss;
  Tensors out(3);
  if (!weight.defined()) {
    out = ops::pair_loss_gradients(loss, x, t, b.grad(), b.options.reduction, b.wants);
    out.resize(3);
    return out;
  }
  const Tensor scale = ops::spread_loss(b.grad(), x.numel(), b.options.reduction);
  composed(loss, b, scale * weight, out);
  if (b.wants[2]) out[2] = scale * loss.values(x, t);
  return out;
}

// saved: input, target, weight, pos_weight
Tensors logit_backward(const Backward<BinaryCrossEntropyWithLogitsOptions>& b) {
  const Tensor &x = b.saved[0], &t = b.saved[1], &weight = b.saved[2], &pos_weight = b.saved[3];
  Tensors out(4);
  if (!weight.defined() && !pos_weight.defined()) {
    out = ops::pair_loss_gradients(Logit{}, x, t, b.grad(), b.options.reduction, b.wants);
    out.resize(4);
    return out;
  }
  const WeightedLogit loss{pos_weight};
  const Tensor scale = ops::spread_loss(b.grad(), x.numel(), b.options.reduction);
  const Tensor weighted = weight.defined() ? scale * weight : scale;
  composed(loss, b, weighted, out);
  if (b.wants[2]) out[2] = scale * loss.values(x, t);
  if (b.wants[3]) out[3] = weighted * t * WeightedLogit::negative_softplus(x);
  return out;
}

void check_probabilities(const Tensor& input) {
  if (input.numel() == 0) return;
  const double low = amin(input.detach()).item<double>(), high = amax(input.detach()).item<double>();
  check(!(low < 0) && !(high > 1), "binary_cross_entropy", "input holds ", low < 0 ? low : high,
        "; 0 to 1 is required, logits belong into binary_cross_entropy_with_logits");
}

template <class L>
Tensor weighted_loss(const L& loss, const Tensor& input, const Tensor& target, const Tensor& weight,
                     Reduction reduction) {
  const no_grad guard;
  const Tensor values = loss.values(input, target);
  return ops::reduce_loss(weight.defined() ? values * weight : values, reduction);
}

}  // namespace

Tensor binary_cross_entropy(const Tensor& given, const Tensor& target,
                            const BinaryCrossEntropyOptions& options) {
  const Tensor input = ops::autocast_loss_operand(given);
  const autograd::OpTimer timer("binary_cross_entropy");
  ops::require_same_shape("binary_cross_entropy", input, target);
  check_factor("binary_cross_entropy", "weight", options.weight, input);
  check_probabilities(input);
  const Tensor& weight = options.weight;
  const Tensor out = weight.defined() ? weighted_loss(Probability{}, input, target, weight, options.reduction)
                                      : ops::pair_loss(Probability{}, input, target, options.reduction);
  return autograd::record("binary_cross_entropy", out, {input, target, weight}, {input, target, weight},
                          BinaryCrossEntropyOptions{{}, options.reduction}, probability_backward);
}

Tensor binary_cross_entropy_with_logits(const Tensor& given, const Tensor& target,
                                        const BinaryCrossEntropyWithLogitsOptions& options) {
  const Tensor input = ops::autocast_loss_operand(given);
  constexpr std::string_view kOp = Logit::kName;
  const autograd::OpTimer timer(kOp);
  ops::require_same_shape(kOp, input, target);
  check_factor(kOp, "weight", options.weight, input);
  check_factor(kOp, "pos_weight", options.pos_weight, input);
  const Tensor &weight = options.weight, &pos_weight = options.pos_weight;
  const Tensor out = weight.defined() || pos_weight.defined()
                         ? weighted_loss(WeightedLogit{pos_weight}, input, target, weight, options.reduction)
                         : ops::pair_loss(Logit{}, input, target, options.reduction);
  return autograd::record(kOp, out, {input, target, weight, pos_weight}, {input, target, weight, pos_weight},
                          BinaryCrossEntropyWithLogitsOptions{{}, {}, options.reduction}, logit_backward);
}

namespace ops {

Op binary_cross_entropy_op() {
  return {.name = "binary_cross_entropy",
          .doc = "-(target log input + (1 - target) log(1 - input)), reduced; weight broadcasts to input",
          .inputs = {{"input"}, {"target"}, {"weight", true}},
          .defaults = default_options<BinaryCrossEntropyOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            auto options = read_options<BinaryCrossEntropyOptions>("binary_cross_entropy", given);
            options.weight = in[2];
            return {lucid::binary_cross_entropy(in[0], in[1], options)};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            const auto draw = [&](const Shape& shape) { return uniform(shape, 0.1, 0.9, generator); };
            const Shape volume{2, 3, 2, 3, 4};
            return {{{draw({}), draw({})}},
                    {{draw(volume), draw(volume)}},
                    {{draw(volume), draw(volume)}, {{"reduction", "none"}}},
                    {{draw(volume), draw(volume), draw({3, 1, 1, 1})}},
                    {{draw({5, 4}), draw({5, 4}), draw({5, 4})}, {{"reduction", "sum"}}}};
          },
          .errors =
              [] {
                auto errors = pair_errors();
                const Tensor x = ones({2, 3}, f64);
                errors.push_back({{x * 1.5, x}, {}, "1.5"});
                errors.push_back({{x, x, ones({4}, f64)}, {}, "(4)"});
                return errors;
              }};
}

Op binary_cross_entropy_with_logits_op() {
  return {.name = "binary_cross_entropy_with_logits",
          .doc = "binary_cross_entropy of sigmoid(input), stable; weight and pos_weight broadcast to input",
          .inputs = {{"input"}, {"target"}, {"weight", true}, {"pos_weight", true}},
          .defaults = default_options<BinaryCrossEntropyWithLogitsOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            auto options = read_options<BinaryCrossEntropyWithLogitsOptions>(Logit::kName, given);
            options.weight = in[2];
            options.pos_weight = in[3];
            return {lucid::binary_cross_entropy_with_logits(in[0], in[1], options)};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            const auto x = [&](const Shape& shape) { return away_from_zero(normal(shape, generator)); };
            const auto t = [&](const Shape& shape) { return uniform(shape, 0, 1, generator); };
            const auto w = [&](const Shape& shape) { return uniform(shape, 0.5, 2, generator); };
            const Shape volume{2, 3, 2, 3, 4};
            return {{{x({}), t({})}},
                    {{x(volume), t(volume)}},
                    {{x(volume), t(volume)}, {{"reduction", "none"}}},
                    {{x(volume), t(volume), w({3, 1, 1, 1}), w({3, 1, 1, 1})}},
                    {{x({5, 4}), t({5, 4}), Tensor(), w({4})}, {{"reduction", "none"}}},
                    {{x({5, 4}), t({5, 4}), w({1})}, {{"reduction", "sum"}}}};
          },
          .errors =
              [] {
                auto errors = pair_errors();
                const Tensor x = ones({2, 3}, f64);
                errors.push_back({{x, x, Tensor(), ones({2}, f64)}, {}, "(2)"});
                errors.push_back({{x, x, ones({4, 1, 1}, f64)}, {}, "(4, 1, 1)"});
                return errors;
              }};
}

}  // namespace ops
}  // namespace lucid
