// Activations made of exponentials.

#include <numbers>

#include "ops/activation.hpp"
#include "ops/compare.hpp"
#include "ops/kernels/math.hpp"
#include "ops/kernels/pointwise.hpp"
#include "ops/sech_squared.hpp"
#include "ops/select.hpp"
#include "ops/unary.hpp"

namespace lucid {
namespace {

using kernels::Keep;
using kernels::NoOptions;
namespace math = kernels::math;

template <Keep kKeep, class O = NoOptions>
struct Smooth {
  using Options = O;
  static constexpr bool kIntegers = false;
  static constexpr Keep keep(const Options&) { return kKeep; }
};

// e^x must not be taken where it overflows and is not used.
Tensor below_zero(const Tensor& x) { return where(x > 0.0, 0.0, x); }

struct AlphaOptions {
  double alpha = 1.0;
};
LUCID_OPTIONS(AlphaOptions, alpha)

// The result would tell the derivative too, y + alpha, but without digits where e^x is small.
struct Elu : Smooth<Keep::input, AlphaOptions> {
  static constexpr std::string_view kName = "elu";
  template <class T>
  static T value(const Options& o, T x) {
    return x > T(0) ? x : static_cast<T>(o.alpha) * math::expm1(x);
  }
  template <class T>
  static T slope(const Options& o, T x) {
    return x > T(0) ? T(1) : static_cast<T>(o.alpha) * math::exp(x);
  }
  static Tensor gradient(const Options& o, const Tensor& grad, const Tensor& x) {
    return where(x > 0.0, grad, grad * exp(below_zero(x)) * o.alpha);
  }
};

struct Celu : Smooth<Keep::input, AlphaOptions> {
  static constexpr std::string_view kName = "celu";
  static void validate(const Options& o) {
    check(o.alpha != 0, kName, "alpha is 0; another value is required, for example 1");
  }
  template <class T>
  static T value(const Options& o, T x) {
    const T alpha = static_cast<T>(o.alpha);
    return x > T(0) ? x : alpha * math::expm1(x / alpha);
  }
  template <class T>
  static T slope(const Options& o, T x) {
    return x > T(0) ? T(1) : math::exp(x / static_cast<T>(o.alpha));
  }
  static Tensor gradient(const Options& o, const Tensor& grad, const Tensor& x) {
    return where(x > 0.0, grad, grad * exp(below_zero(x) / o.alpha));
  }
};

struct Selu : Smooth<Keep::input> {
  static constexpr std::string_view kName = "selu";
  static constexpr double kAlpha = 1.6732632423543772848170429916717;
  static constexpr double kScale = 1.0507009873554804934193349852946;
  template <class T>
  static T value(Options, T x) {
    return T(kScale) * (x > T(0) ? x : T(kAlpha) * math::expm1(x));
  }
  template <class T>
  static T slope(Options, T x) {
    return x > T(0) ? T(kScale) : T(kScale * kAlpha) * math::exp(x);
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& x) {
    return where(x > 0.0, grad * kScale, grad * exp(below_zero(x)) * (kScale * kAlpha));
  }
};

struct GeluOptions {
  std::string approximate = "none";
};
LUCID_OPTIONS(GeluOptions, approximate)

// Distribution and density of N(0, 1): P(X <= x) = (1 + erf(x / sqrt 2)) / 2.
constexpr double kInverseRoot2 = 1 / std::numbers::sqrt2;
constexpr double kDensity0 = std::numbers::inv_sqrtpi / std::numbers::sqrt2;

struct GeluErf : Smooth<Keep::input, GeluOptions> {
  static constexpr std::string_view kName = "gelu";
  // P(X <= x) by the tail beyond |x|: without cancellation where x is negative.
  template <class T>
  static T below(T x, T tail) {
    const T step = T(0.5) + std::copysign(T(0.5), x);  // 0 or 1: GCC vectorises no branch here
    return step - std::copysign(tail, x);
  }
  template <class T>
  static T value(const Options&, T x) {
    return x * below(x, math::normal_tail(x).tail);
  }
  template <class T>
  static T slope(const Options&, T x) {
    const auto [tail, power] = math::normal_tail(x);
    return below(x, tail) + x * T(kDensity0) * power;
  }
  static Tensor gradient(const Options&, const Tensor& grad, const Tensor& x) {
    const Tensor distribution = (erf(x * kInverseRoot2) + 1.0) * 0.5;
    return grad * (distribution + x * exp(square(x) * -0.5) * kDensity0);
  }
};

struct GeluTanh : Smooth<Keep::input, GeluOptions> {
  static constexpr std::string_view kName = "gelu";
  static constexpr double kOuter = 2 * kDensity0;  // sqrt(2 / pi)
  static constexpr double kCubic = 0.044715;
  template <class T>
  static T inner(T x) {
    return math::tanh(T(kOuter) * x * (T(1) + T(kCubic) * x * x));
  }
  template <class T>
  static T value(const Options&, T x) {
    return T(0.5) * x * (T(1) + inner(x));
  }
  template <class T>
  static T slope(const Options&, T x) {
    const T t = inner(x);
    return T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * T(kOuter) * (T(1) + T(3 * kCubic) * x * x);
  }
  static Tensor gradient(const Options&, const Tensor& grad, const Tensor& x) {
    const Tensor squared = square(x);
    const Tensor t = tanh(x * (squared * kCubic + 1.0) * kOuter);
    return grad * ((t + 1.0) * 0.5 + x * (1.0 - square(t)) * (squared * (3 * kCubic) + 1.0) * (0.5 * kOuter));
  }
};

struct Silu : Smooth<Keep::input> {
  static constexpr std::string_view kName = "silu";
  template <class T>
  static T value(Options, T x) {
    return x * math::sigmoid(x);
  }
  template <class T>
  static T slope(Options, T x) {
    const T s = math::sigmoid(x);
    return s * (T(1) + x * (T(1) - s));
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& x) {
    const Tensor s = sigmoid(x);
    return grad * (s * (x * (1.0 - s) + 1.0));
  }
};

// With n = e^x, tanh(log(1 + n)) = w / (w + 2) for w = n (n + 2); beyond x = 22 it is 1 to double precision,
// and so is the derivative.
struct Mish : Smooth<Keep::input> {
  static constexpr std::string_view kName = "mish";
  // At 22 (w + 2)^2 still fits into a float.
  template <class T>
  static T bounded(T x) {
    return x > T(22) ? T(22) : x;
  }
  template <class T>
  static T value(Options, T x) {
    const T n = math::exp(bounded(x)), w = n * (n + T(2));
    return x * (w / (w + T(2)));
  }
  template <class T>
  static T slope(Options, T x) {
    const T near = bounded(x), n = math::exp(near), w = n * (n + T(2));
    const T t = w / (w + T(2));
    const T falloff = T(4) * (w + T(1)) / ((w + T(2)) * (w + T(2)));  // 1 - t^2
    return t + near * (n / (n + T(1))) * falloff;
  }
  // From 400 on 1 - t^2 is 0 in all types; infinity must not meet it. The threshold leaves softplus exact.
  static Tensor gradient(Options, const Tensor& grad, const Tensor& x) {
    const Tensor near = clamp(x, std::nullopt, 400.0), z = softplus(near, 1.0, 400.0);
    return grad * (tanh(z) + near * sigmoid(near) * ops::sech_squared(z));
  }
};

struct SoftplusOptions {
  double beta = 1.0;
  double threshold = 20.0;
};
LUCID_OPTIONS(SoftplusOptions, beta, threshold)

struct Softplus : Smooth<Keep::input, SoftplusOptions> {
  static constexpr std::string_view kName = "softplus";
  static void validate(const Options& o) {
    check(o.beta != 0, kName, "beta is 0; another value is required, for example 1");
  }
  template <class T>
  static T value(const Options& o, T x) {
    const T beta = static_cast<T>(o.beta), z = x * beta, curve = math::softplus(z) / beta;
    return z > static_cast<T>(o.threshold) ? x : curve;
  }
  template <class T>
  static T slope(const Options& o, T x) {
    const T z = x * static_cast<T>(o.beta), slope = math::sigmoid(z);
    return z > static_cast<T>(o.threshold) ? T(1) : slope;
  }
  static Tensor gradient(const Options& o, const Tensor& grad, const Tensor& x) {
    const Tensor z = x * o.beta;
    return where(z > o.threshold, grad, grad * sigmoid(z));
  }
};

// Its result y tells the derivative (1 - |y|)^2 too, but without digits where y is near 1.
struct Softsign : Smooth<Keep::input> {
  static constexpr std::string_view kName = "softsign";
  template <class T>
  static T value(Options, T x) {
    return x / (T(1) + std::fabs(x));
  }
  template <class T>
  static T slope(Options, T x) {
    const T root = T(1) / (T(1) + std::fabs(x));
    return root * root;
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& x) {
    return grad * square(1.0 / (abs(x) + 1.0));
  }
};

// The result y tells the derivative -expm1(y) too; but expm1 differentiates to its own result + 1, which is 0
// for x far below 0, where it should be e^x.
struct LogSigmoid : Smooth<Keep::input> {
  static constexpr std::string_view kName = "logsigmoid";
  template <class T>
  static T value(Options, T x) {
    return -math::softplus(-x);
  }
  // By e^-|x|, which does not overflow.
  template <class T>
  static T slope(Options, T x) {
    const T e = math::exp(-std::fabs(x));
    return (x > T(0) ? e : T(1)) / (T(1) + e);
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& x) { return grad * sigmoid(-x); }
};

Tensor gelu_with(const Tensor& input, const GeluOptions& options) {
  if (options.approximate == "none") return kernels::pointwise<GeluErf>(input, options);
  check(options.approximate == "tanh", "gelu", "approximate is \"", options.approximate,
        "\"; \"none\" or \"tanh\" is required");
  return kernels::pointwise<GeluTanh>(input, options);
}

}  // namespace

Tensor elu(const Tensor& input, double alpha) { return kernels::pointwise<Elu>(input, {alpha}); }
Tensor celu(const Tensor& input, double alpha) { return kernels::pointwise<Celu>(input, {alpha}); }
Tensor selu(const Tensor& input) { return kernels::pointwise<Selu>(input); }
Tensor gelu(const Tensor& input, std::string_view approximate) {
  return gelu_with(input, {std::string(approximate)});
}
Tensor silu(const Tensor& input) { return kernels::pointwise<Silu>(input); }
Tensor mish(const Tensor& input) { return kernels::pointwise<Mish>(input); }
Tensor softplus(const Tensor& input, double beta, double threshold) {
  return kernels::pointwise<Softplus>(input, {beta, threshold});
}
Tensor softsign(const Tensor& input) { return kernels::pointwise<Softsign>(input); }
Tensor logsigmoid(const Tensor& input) { return kernels::pointwise<LogSigmoid>(input); }

namespace ops {
namespace {

const std::vector<OptionValues> kAlphas{{}, {{"alpha", 1.7}}, {{"alpha", 0.3}}};

// The common error cases, and one of the op's own.
template <class Case>
Op refusing(Op op, Case own) {
  op.errors = [own] {
    auto errors = pointwise_errors();
    errors.push_back(own());
    return errors;
  };
  return op;
}

}  // namespace

Op elu_op() {
  auto options = kAlphas;
  options.push_back({{"alpha", -0.5}});
  return pointwise_op<Elu>("input where it is positive, else alpha * (e^input - 1)", Domain::nonzero,
                           options);
}
Op celu_op() {
  return refusing(pointwise_op<Celu>("input where it is positive, else alpha * (e^(input/alpha) - 1)",
                                     Domain::nonzero, kAlphas),
                  [] {
                    return ErrorCase{{ones({2}, f64)}, {{"alpha", 0}}, "alpha is 0"};
                  });
}
Op selu_op() { return pointwise_op<Selu>("elu with the self-normalising alpha and scale", Domain::nonzero); }
Op gelu_op() {
  Op op = pointwise_op<GeluErf>("input * P(X <= input) for normal X, exact or with tanh", Domain::real,
                                {{},
                                 {{"approximate", "tanh"}},
                                 {{"approximate", "none"}},
                                 {{"approximate", "tanh"}},
                                 {{"approximate", "tanh"}}});
  op.call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
    return {gelu_with(in[0], read_options<GeluOptions>("gelu", given))};
  };
  return refusing(op, [] { return ErrorCase{{ones({2}, f64)}, {{"approximate", "sine"}}, "sine"}; });
}
Op silu_op() { return pointwise_op<Silu>("input * sigmoid(input)"); }
Op mish_op() { return pointwise_op<Mish>("input * tanh(softplus(input))"); }
Op softplus_op() {
  return refusing(
      pointwise_op<Softplus>("log(1 + e^(beta * input)) / beta; input itself where beta * input > threshold",
                             Domain::real,
                             {{}, {{"beta", 3}, {"threshold", 0.2}}, {{"beta", 2.5}}, {{"beta", -1.5}}}),
      [] {
        return ErrorCase{{ones({2}, f64)}, {{"beta", 0}}, "beta is 0"};
      });
}
Op softsign_op() { return pointwise_op<Softsign>("input / (1 + |input|)", Domain::nonzero); }
Op logsigmoid_op() { return pointwise_op<LogSigmoid>("log(sigmoid(input))"); }

}  // namespace ops
}  // namespace lucid
