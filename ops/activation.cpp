#include "ops/activation.hpp"

#include "ops/compare.hpp"
#include "ops/in_place.hpp"
#include "ops/kernels/pointwise.hpp"
#include "ops/select.hpp"

namespace lucid {
namespace {

using kernels::Keep;
using kernels::NoOptions;

struct Relu {
  static constexpr std::string_view kName = "relu";
  using Options = NoOptions;
  static constexpr bool kIntegers = true;
  static constexpr Keep keep(const Options&) { return Keep::result; }
  template <class T>
  static T value(Options, T x) {
    return x < T(0) ? T(0) : x;  // a NaN stays
  }
  template <class T>
  static T slope(Options, T y) {
    return y > T(0) ? T(1) : T(0);
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& y) { return where(y > 0.0, grad, 0.0); }
};

struct LeakyReluOptions {
  double negative_slope = 0.01;
};
LUCID_OPTIONS(LeakyReluOptions, negative_slope)

struct LeakyRelu {
  static constexpr std::string_view kName = "leaky_relu";
  using Options = LeakyReluOptions;
  static constexpr bool kIntegers = false;
  // With a slope of 0 or more the result has the input's sign wherever the derivative asks for it.
  static constexpr Keep keep(const Options& o) { return o.negative_slope >= 0 ? Keep::result : Keep::input; }
  template <class T>
  static T value(const Options& o, T x) {
    return x > T(0) ? x : x * static_cast<T>(o.negative_slope);
  }
  template <class T>
  static T slope(const Options& o, T kept) {
    return kept > T(0) ? T(1) : static_cast<T>(o.negative_slope);
  }
  static Tensor gradient(const Options& o, const Tensor& grad, const Tensor& kept) {
    return where(kept > 0.0, grad, grad * o.negative_slope);
  }
};

template <class U>
const Tensor& change(std::string_view op, const Tensor& target, const typename U::Options& options = {}) {
  const bool recorded = ops::must_record_change(op, target);
  ops::require_distinct(op, target);
  if (recorded) {
    ops::replace(target, kernels::pointwise<U>(target, options));
    return target;
  }
  dispatch_floating(op, target.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::map<T, T>(target, target, [options](auto x) { return U::value(options, x); });
  });
  return target;
}

}  // namespace

Tensor relu(const Tensor& input) { return kernels::pointwise<Relu>(input); }
Tensor leaky_relu(const Tensor& input, double negative_slope) {
  return kernels::pointwise<LeakyRelu>(input, {negative_slope});
}

const Tensor& relu_(const Tensor& input) { return change<Relu>("relu_", input); }
const Tensor& leaky_relu_(const Tensor& input, double negative_slope) {
  return change<LeakyRelu>("leaky_relu_", input, {negative_slope});
}

Tensor Tensor::relu() const { return lucid::relu(*this); }

namespace ops {

Op relu_op() { return pointwise_op<Relu>("max(input, 0)", Domain::nonzero); }
Op leaky_relu_op() {
  return pointwise_op<LeakyRelu>("input where it is positive, else negative_slope * input", Domain::nonzero,
                                 {{{"negative_slope", 0.01}},
                                  {{"negative_slope", 0.2}},
                                  {},
                                  {{"negative_slope", 0.0}},
                                  {{"negative_slope", -0.5}}});
}

}  // namespace ops
}  // namespace lucid
