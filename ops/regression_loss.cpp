#include <cmath>

#include "ops/autocast.hpp"
#include "ops/kernels/ties.hpp"
#include "ops/options.hpp"
#include "ops/pair_loss.hpp"
#include "ops/samples.hpp"
#include "ops/select.hpp"

namespace lucid {

LUCID_OPTIONS(LossOptions, reduction)
LUCID_OPTIONS(SmoothL1LossOptions, reduction, beta)
LUCID_OPTIONS(HuberLossOptions, reduction, delta)

namespace {

using autograd::Backward;
using ops::Slopes;

// Losses of the difference d = input - target: dl/dtarget = -dl/dinput.
template <class L>
struct OfDifference {
  template <class C>
  C value(C x, C t) const {
    return static_cast<const L*>(this)->of(x - t);
  }
  template <class C>
  C slope(C x, C t) const {
    return static_cast<const L*>(this)->derivative(x - t);
  }
  template <class C>
  C target_slope(C x, C t) const {
    return -slope(x, t);
  }
  Slopes slopes(const Tensor& input, const Tensor& target) const {
    const Tensor slope = static_cast<const L*>(this)->derivative(input - target);
    return {slope, -slope};
  }
};

struct Squared : OfDifference<Squared> {
  static constexpr std::string_view kName = "mse_loss";
  explicit Squared(const LossOptions&) {}
  template <class C>
  C of(C d) const {
    return d * d;
  }
  template <class D>
  D derivative(D d) const {
    return d + d;
  }
};

struct Absolute : OfDifference<Absolute> {
  static constexpr std::string_view kName = "l1_loss";
  explicit Absolute(const LossOptions&) {}
  template <class C>
  C of(C d) const {
    return d < 0 ? -d : d;
  }
  template <class C>
  C derivative(C d) const {
    return d > 0 ? C(1) : d < 0 ? C(-1) : d;
  }
  Tensor derivative(const Tensor& d) const { return kernels::signs(d); }
};

struct SmoothL1 : OfDifference<SmoothL1> {
  static constexpr std::string_view kName = "smooth_l1_loss";
  explicit SmoothL1(const SmoothL1LossOptions& options) : beta(options.beta) {}
  double beta;
  template <class C>
  C of(C d) const {
    const C b = static_cast<C>(beta), size = d < 0 ? -d : d;
    return size < b ? C(0.5) * d * d / b : size - C(0.5) * b;
  }
  template <class C>
  C derivative(C d) const {
    const C b = static_cast<C>(beta), size = d < 0 ? -d : d;
    return size < b ? d / b : d > 0 ? C(1) : d < 0 ? C(-1) : d;
  }
  Tensor derivative(const Tensor& d) const {
    return beta == 0 ? kernels::signs(d) : clamp(d * (1 / beta), Scalar(-1.0), Scalar(1.0));
  }
};

struct Huber : OfDifference<Huber> {
  static constexpr std::string_view kName = "huber_loss";
  explicit Huber(const HuberLossOptions& options) : delta(options.delta) {}
  double delta;
  template <class C>
  C of(C d) const {
    const C b = static_cast<C>(delta), size = d < 0 ? -d : d;
    return size <= b ? C(0.5) * d * d : b * (size - C(0.5) * b);
  }
  template <class C>
  C derivative(C d) const {
    const C b = static_cast<C>(delta);
    return d > b ? b : d < -b ? -b : d;
  }
  Tensor derivative(const Tensor& d) const { return clamp(d, Scalar(-delta), Scalar(delta)); }
};

template <class L, class Options>
Tensors loss_backward(const Backward<Options>& b) {
  return ops::pair_loss_gradients(L(b.options), b.saved[0], b.saved[1], b.grad(), b.options.reduction,
                                  b.wants);
}

template <class L, class Options>
Tensor loss_of(const Tensor& given, const Tensor& target, const Options& options) {
  const Tensor input = ops::autocast_loss_operand(given);
  const autograd::OpTimer timer(L::kName);
  ops::require_same_shape(L::kName, input, target);
  const Tensor out = ops::pair_loss(L(options), input, target, options.reduction);
  return autograd::record(L::kName, out, {input, target}, {input, target}, options,
                          loss_backward<L, Options>);
}

}  // namespace

Tensor mse_loss(const Tensor& input, const Tensor& target, const LossOptions& options) {
  return loss_of<Squared>(input, target, options);
}
Tensor l1_loss(const Tensor& input, const Tensor& target, const LossOptions& options) {
  return loss_of<Absolute>(input, target, options);
}
Tensor smooth_l1_loss(const Tensor& input, const Tensor& target, const SmoothL1LossOptions& options) {
  check(options.beta >= 0, "smooth_l1_loss", "beta is ", options.beta, "; at least 0 is required");
  return loss_of<SmoothL1>(input, target, options);
}
Tensor huber_loss(const Tensor& input, const Tensor& target, const HuberLossOptions& options) {
  check(options.delta > 0, "huber_loss", "delta is ", options.delta, "; above 0 is required");
  return loss_of<Huber>(input, target, options);
}

namespace ops {

std::vector<Sample> pair_samples(Generator& generator) {
  const auto pair = [&](const Shape& shape) -> Tensors {
    const Tensor x = normal(shape, generator);
    return {x, x + away_from_zero(normal(shape, generator))};
  };
  return {{pair({})},
          {pair({5}), {{"reduction", "sum"}}},
          {pair({2, 3, 2, 3, 4})},
          {pair({2, 3, 2, 3, 4}), {{"reduction", "none"}}}};
}

std::vector<ErrorCase> pair_errors() {
  return {{{ones({2, 3}, f64), ones({2, 1}, f64)}, {}, "(2, 1)"},
          {{ones({2, 3}, i64), ones({2, 3}, f64)}, {}, "int64"},
          {{ones({2, 3}, f64), ones({2, 3}, f64)}, {{"reduction", "avg"}}, "avg"}};
}

namespace {

template <class Options, class Function>
Op pair_op(std::string name, std::string doc, Function function) {
  Op op{.name = std::move(name), .doc = std::move(doc), .inputs = {{"input"}, {"target"}}};
  op.defaults = default_options<Options>();
  op.call = [name = op.name, function](const Tensors& in, const nlohmann::json& given) -> Tensors {
    return {function(in[0], in[1], read_options<Options>(name, given))};
  };
  op.samples = pair_samples;
  op.errors = pair_errors;
  op.cost = [](const Tensors& in, const nlohmann::json&) -> Cost {
    return {3.0 * static_cast<double>(in[0].numel()), static_cast<double>(in[0].nbytes() + in[1].nbytes())};
  };
  return op;
}

// Adds two samples that set `key`, and one that is refused.
void with_option(Op& op, const char* key, double small, double large, double refused) {
  op.samples = [=](Generator& generator) {
    auto samples = pair_samples(generator);
    samples[2].options.set(key, small);
    samples[3].options.set(key, large);
    return samples;
  };
  op.errors = [=] {
    auto errors = pair_errors();
    const Tensor x = ones({2, 3}, f64);
    errors.push_back({{x, x}, {{key, refused}}, str(key, " is ", refused)});
    return errors;
  };
}

}  // namespace

Op mse_loss_op() {
  return pair_op<LossOptions>("mse_loss", "(input - target)^2, reduced; equal shapes", lucid::mse_loss);
}
Op l1_loss_op() {
  return pair_op<LossOptions>("l1_loss", "|input - target|, reduced; equal shapes", lucid::l1_loss);
}
Op smooth_l1_loss_op() {
  Op op = pair_op<SmoothL1LossOptions>("smooth_l1_loss",
                                       "quadratic below beta, absolute above, of input - target, reduced",
                                       lucid::smooth_l1_loss);
  with_option(op, "beta", 0.3, 0, -1);
  return op;
}
Op huber_loss_op() {
  Op op = pair_op<HuberLossOptions>(
      "huber_loss", "quadratic up to delta, linear beyond, of input - target, reduced", lucid::huber_loss);
  with_option(op, "delta", 0.7, 2.5, 0);
  return op;
}

}  // namespace ops
}  // namespace lucid
