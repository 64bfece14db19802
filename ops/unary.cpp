#include "ops/unary.hpp"

#include <numbers>

#include "ops/kernels/math.hpp"
#include "ops/kernels/modular.hpp"
#include "ops/kernels/pointwise.hpp"
#include "ops/kernels/sine.hpp"
#include "ops/sech_squared.hpp"

namespace lucid {
namespace {

using kernels::Keep;
using kernels::NoOptions;
namespace math = kernels::math;

// What the functions below share: no options; the name and what is kept are given.
template <Keep kKeep, bool kKeepsIntegers = false>
struct Plain {
  using Options = NoOptions;
  static constexpr bool kIntegers = kKeepsIntegers;
  static constexpr Keep keep(const Options&) { return kKeep; }
};

// In each: `value` of x, then `slope` and `gradient` from x or, where the result is kept, from y.

template <class T>
T sign_of(T x) {
  return x > T(0) ? T(1) : x < T(0) ? static_cast<T>(-T(1)) : x;
}

struct Abs : Plain<Keep::input, true> {
  static constexpr std::string_view kName = "abs";
  template <class T>
  static T value(Options, T x) {
    // 0 - x in unsigned numbers: the least integer has no opposite, and stays as it is.
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
      return x < T(0) ? static_cast<T>(std::make_unsigned_t<T>{0} - static_cast<std::make_unsigned_t<T>>(x))
                      : x;
    else
      return x < T(0) ? static_cast<T>(-x) : x == T(0) ? T(0) : x;
  }
  template <class T>
  static T slope(Options, T x) {
    return sign_of(x);
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& x) { return grad * sign(x); }
};

struct Sign : Plain<Keep::input, true> {
  static constexpr std::string_view kName = "sign";
  template <class T>
  static T value(Options, T x) {
    return sign_of(x);
  }
  template <class T>
  static T slope(Options, T) {
    return T(0);
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor&) { return grad * 0.0; }
};

struct Square : Plain<Keep::input, true> {
  static constexpr std::string_view kName = "square";
  template <class T>
  static T value(Options, T x) {
    return static_cast<T>(kernels::modular(x) * kernels::modular(x));
  }
  template <class T>
  static T slope(Options, T x) {
    return 2 * x;
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& x) { return grad * x * 2.0; }
};

struct Exp : Plain<Keep::result> {
  static constexpr std::string_view kName = "exp";
  template <class T>
  static T value(Options, T x) {
    return math::exp(x);
  }
  template <class T>
  static T slope(Options, T y) {
    return y;
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& y) { return grad * y; }
};

struct Expm1 : Plain<Keep::result> {
  static constexpr std::string_view kName = "expm1";
  template <class T>
  static T value(Options, T x) {
    return math::expm1(x);
  }
  template <class T>
  static T slope(Options, T y) {
    return y + T(1);
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& y) { return grad * (y + 1.0); }
};

struct Log : Plain<Keep::input> {
  static constexpr std::string_view kName = "log";
  template <class T>
  static T value(Options, T x) {
    return math::log(x);
  }
  template <class T>
  static T slope(Options, T x) {
    return T(1) / x;
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& x) { return grad / x; }
};

struct Log1p : Plain<Keep::input> {
  static constexpr std::string_view kName = "log1p";
  template <class T>
  static T value(Options, T x) {
    return math::log1p(x);
  }
  template <class T>
  static T slope(Options, T x) {
    return T(1) / (x + T(1));
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& x) { return grad / (x + 1.0); }
};

struct Sqrt : Plain<Keep::result> {
  static constexpr std::string_view kName = "sqrt";
  template <class T>
  static T value(Options, T x) {
    return std::sqrt(x);
  }
  template <class T>
  static T slope(Options, T y) {
    return T(0.5) / y;
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& y) { return grad / (y * 2.0); }
};

struct Rsqrt : Plain<Keep::result> {
  static constexpr std::string_view kName = "rsqrt";
  template <class T>
  static T value(Options, T x) {
    return T(1) / std::sqrt(x);
  }
  template <class T>
  static T slope(Options, T y) {
    return T(-0.5) * y * y * y;
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& y) { return grad * y * y * y * -0.5; }
};

struct Sin : Plain<Keep::input> {
  static constexpr std::string_view kName = "sin";
  template <class T>
  static T value(Options, T x) {
    return math::sin(x);
  }
  template <class T>
  static T slope(Options, T x) {
    return math::cos(x);
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& x) { return grad * cos(x); }
};

struct Cos : Plain<Keep::input> {
  static constexpr std::string_view kName = "cos";
  template <class T>
  static T value(Options, T x) {
    return math::cos(x);
  }
  template <class T>
  static T slope(Options, T x) {
    return -math::sin(x);
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& x) { return -(grad * sin(x)); }
};

constexpr double kTwoOverRootPi = 2.0 * std::numbers::inv_sqrtpi;

struct Erf : Plain<Keep::input> {
  static constexpr std::string_view kName = "erf";
  template <class T>
  static T value(Options, T x) {
    return math::erf(x);
  }
  template <class T>
  static T slope(Options, T x) {
    return T(kTwoOverRootPi) * math::exp(-x * x);
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& x) {
    return grad * exp(-square(x)) * kTwoOverRootPi;
  }
};

// s (1 - s) and 1 - t^2 lose all digits where s and t are 1 but for rounding, so the input is kept. The forms
// for recorded passes are one function, not a product whose derivative would be a difference.
struct Sigmoid : Plain<Keep::input> {
  static constexpr std::string_view kName = "sigmoid";
  template <class T>
  static T value(Options, T x) {
    return math::sigmoid(x);
  }
  template <class T>
  static T slope(Options, T x) {
    const T e = math::exp(-std::fabs(x)), rest = T(1) + e;
    return e / (rest * rest);
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& x) {
    return grad * ops::sech_squared(x * 0.5) * 0.25;
  }
};

struct Tanh : Plain<Keep::input> {
  static constexpr std::string_view kName = "tanh";
  template <class T>
  static T value(Options, T x) {
    return math::tanh(x);
  }
  template <class T>
  static T slope(Options, T x) {
    const T e = math::exp(T(-2) * std::fabs(x)), rest = T(1) + e;
    return T(4) * e / (rest * rest);
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& x) { return grad * ops::sech_squared(x); }
};

}  // namespace

Tensor abs(const Tensor& input) { return kernels::pointwise<Abs>(input); }
Tensor sign(const Tensor& input) { return kernels::pointwise<Sign>(input); }
Tensor square(const Tensor& input) { return kernels::pointwise<Square>(input); }
Tensor exp(const Tensor& input) { return kernels::pointwise<Exp>(input); }
Tensor expm1(const Tensor& input) { return kernels::pointwise<Expm1>(input); }
Tensor log(const Tensor& input) { return kernels::pointwise<Log>(input); }
Tensor log1p(const Tensor& input) { return kernels::pointwise<Log1p>(input); }
Tensor sqrt(const Tensor& input) { return kernels::pointwise<Sqrt>(input); }
Tensor rsqrt(const Tensor& input) { return kernels::pointwise<Rsqrt>(input); }
Tensor sin(const Tensor& input) { return kernels::pointwise<Sin>(input); }
Tensor cos(const Tensor& input) { return kernels::pointwise<Cos>(input); }
Tensor erf(const Tensor& input) { return kernels::pointwise<Erf>(input); }
Tensor sigmoid(const Tensor& input) { return kernels::pointwise<Sigmoid>(input); }
Tensor tanh(const Tensor& input) { return kernels::pointwise<Tanh>(input); }

Tensor Tensor::abs() const { return lucid::abs(*this); }
Tensor Tensor::exp() const { return lucid::exp(*this); }
Tensor Tensor::log() const { return lucid::log(*this); }
Tensor Tensor::sqrt() const { return lucid::sqrt(*this); }
Tensor Tensor::square() const { return lucid::square(*this); }
Tensor Tensor::sigmoid() const { return lucid::sigmoid(*this); }
Tensor Tensor::tanh() const { return lucid::tanh(*this); }

namespace ops {

Op abs_op() { return pointwise_op<Abs>("|input|", Domain::nonzero); }
Op sign_op() {
  Op op = pointwise_op<Sign>("-1, 0 or 1 by input's sign", Domain::nonzero);
  op.differentiable = false;  // the derivative is 0, of which no proof can tell right from wrong
  return op;
}
Op square_op() { return pointwise_op<Square>("input^2"); }
Op exp_op() { return pointwise_op<Exp>("e^input"); }
Op expm1_op() { return pointwise_op<Expm1>("e^input - 1, exact near 0"); }
Op log_op() { return pointwise_op<Log>("natural logarithm of input", Domain::positive); }
Op log1p_op() { return pointwise_op<Log1p>("log(1 + input), exact near 0", Domain::positive); }
Op sqrt_op() { return pointwise_op<Sqrt>("square root of input", Domain::positive); }
Op rsqrt_op() { return pointwise_op<Rsqrt>("1 / sqrt(input)", Domain::positive); }
Op sin_op() { return pointwise_op<Sin>("sine of input in radians"); }
Op cos_op() { return pointwise_op<Cos>("cosine of input in radians"); }
Op erf_op() { return pointwise_op<Erf>("the error function of input"); }
Op sigmoid_op() { return pointwise_op<Sigmoid>("1 / (1 + e^-input)"); }
Op tanh_op() { return pointwise_op<Tanh>("hyperbolic tangent of input"); }

}  // namespace ops
}  // namespace lucid
