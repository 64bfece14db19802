// Activations made of straight pieces, but for relu and its kin.

#include "ops/activation.hpp"
#include "ops/compare.hpp"
#include "ops/kernels/pointwise.hpp"
#include "ops/select.hpp"

namespace lucid {
namespace {

using kernels::Keep;
using kernels::NoOptions;

template <class O = NoOptions>
struct Pieces {
  using Options = O;
  static constexpr bool kIntegers = false;
  static constexpr Keep keep(const Options&) { return Keep::input; }
};

struct HardtanhOptions {
  double min_val = -1.0;
  double max_val = 1.0;
};
LUCID_OPTIONS(HardtanhOptions, min_val, max_val)

template <class T>
T between(T x, T low, T high) {
  const T raised = x < low ? low : x;
  return raised > high ? high : raised;
}

// `grad` where low < x < high, else 0; a NaN passes.
Tensor inside(const Tensor& grad, const Tensor& x, double low, double high) {
  return where(logical_or(x <= low, x >= high), 0.0, grad);
}

struct Hardtanh : Pieces<HardtanhOptions> {
  static constexpr std::string_view kName = "hardtanh";
  template <class T>
  static T value(const Options& o, T x) {
    return between(x, static_cast<T>(o.min_val), static_cast<T>(o.max_val));
  }
  template <class T>
  static T slope(const Options& o, T x) {
    return ((x <= static_cast<T>(o.min_val)) | (x >= static_cast<T>(o.max_val))) ? T(0) : T(1);
  }
  static Tensor gradient(const Options& o, const Tensor& grad, const Tensor& x) {
    return inside(grad, x, o.min_val, o.max_val);
  }
};

// Its bounds are exact in every type, so the result tells where it lies.
struct Relu6 : Pieces<> {
  static constexpr std::string_view kName = "relu6";
  static constexpr Keep keep(Options) { return Keep::result; }
  template <class T>
  static T value(Options, T x) {
    return between(x, T(0), T(6));
  }
  template <class T>
  static T slope(Options, T y) {
    return ((y <= T(0)) | (y >= T(6))) ? T(0) : T(1);
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& y) { return inside(grad, y, 0, 6); }
};

// PyTorch's slope is the float32 nearest to 1/6 in every type; the same numbers need the same constant (3e-8
// from 1/6).
constexpr double kHardsigmoidSlope = 1.0f / 6.0f;

struct Hardsigmoid : Pieces<> {
  static constexpr std::string_view kName = "hardsigmoid";
  template <class T>
  static T value(Options, T x) {
    return between(x + T(3), T(0), T(6)) / T(6);
  }
  template <class T>
  static T slope(Options, T x) {
    return ((x <= T(-3)) | (x >= T(3))) ? T(0) : T(kHardsigmoidSlope);
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& x) {
    return inside(grad * kHardsigmoidSlope, x, -3, 3);
  }
};

struct Hardswish : Pieces<> {
  static constexpr std::string_view kName = "hardswish";
  template <class T>
  static T value(Options, T x) {
    return x * between(x + T(3), T(0), T(6)) / T(6);
  }
  template <class T>
  static T slope(Options, T x) {
    return x < T(-3) ? T(0) : x > T(3) ? T(1) : x / T(3) + T(0.5);
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& x) {
    return where(x < -3.0, 0.0, where(x > 3.0, grad, grad * (x / 3.0 + 0.5)));
  }
};

struct ThresholdOptions {
  double threshold = 0.0;
  double value = 0.0;
};
LUCID_OPTIONS(ThresholdOptions, threshold, value)

struct Threshold : Pieces<ThresholdOptions> {
  static constexpr std::string_view kName = "threshold";
  template <class T>
  static T value(const Options& o, T x) {
    return x <= static_cast<T>(o.threshold) ? static_cast<T>(o.value) : x;
  }
  template <class T>
  static T slope(const Options& o, T x) {
    return x <= static_cast<T>(o.threshold) ? T(0) : T(1);
  }
  static Tensor gradient(const Options& o, const Tensor& grad, const Tensor& x) {
    return where(x <= o.threshold, 0.0, grad);
  }
};

}  // namespace

Tensor hardtanh(const Tensor& input, double min_val, double max_val) {
  return kernels::pointwise<Hardtanh>(input, {min_val, max_val});
}
Tensor relu6(const Tensor& input) { return kernels::pointwise<Relu6>(input); }
Tensor hardsigmoid(const Tensor& input) { return kernels::pointwise<Hardsigmoid>(input); }
Tensor hardswish(const Tensor& input) { return kernels::pointwise<Hardswish>(input); }
Tensor threshold(const Tensor& input, double threshold, double value) {
  return kernels::pointwise<Threshold>(input, {threshold, value});
}

namespace ops {
namespace {

// The record of U with samples that reach all its pieces: odd multiples of step / 2, so that they and the
// difference quotients stay off kinks at multiples of `step`.
template <class U>
Op pieces_op(std::string doc, double step, std::vector<OptionValues> options = {}) {
  Op op = pointwise_op<U>(std::move(doc), Domain::real, std::move(options));
  op.samples = [samples = op.samples, step](Generator& generator) {
    auto out = samples(generator);
    for (Sample& sample : out)
      sample.inputs[0] = (randint(-5, 5, sample.inputs[0].shape(), f64, &generator) + 0.5) * step;
    return out;
  };
  return op;
}

}  // namespace

Op hardtanh_op() {
  return pieces_op<Hardtanh>("input held between min_val and max_val", 0.5,
                             {{},
                              {{"min_val", -0.5}, {"max_val", 1.5}},
                              {{"min_val", -1.5}},
                              {{"min_val", 0.5}, {"max_val", -0.5}}});
}
Op relu6_op() { return pieces_op<Relu6>("input held between 0 and 6", 2.0); }
Op hardsigmoid_op() { return pieces_op<Hardsigmoid>("relu6(input + 3) / 6", 1.0); }
Op hardswish_op() { return pieces_op<Hardswish>("input * relu6(input + 3) / 6", 1.0); }
Op threshold_op() {
  return pieces_op<Threshold>("input where it is above threshold, else value", 0.5,
                              {{}, {{"threshold", -0.5}, {"value", 3.0}}});
}

}  // namespace ops
}  // namespace lucid
