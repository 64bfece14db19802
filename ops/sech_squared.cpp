#include "ops/sech_squared.hpp"

#include "ops/kernels/math.hpp"
#include "ops/kernels/pointwise.hpp"
#include "ops/unary.hpp"

namespace lucid::ops {
namespace {

namespace math = kernels::math;

struct SechSquared {
  static constexpr std::string_view kName = "sech_squared";
  using Options = kernels::NoOptions;
  static constexpr bool kIntegers = false;
  static constexpr kernels::Keep keep(const Options&) { return kernels::Keep::input; }
  template <class T>
  static T value(Options, T x) {
    const T e = math::exp(T(-2) * std::fabs(x)), rest = T(1) + e;
    return T(4) * e / (rest * rest);
  }
  template <class T>
  static T slope(const Options& o, T x) {
    return T(-2) * math::tanh(x) * value(o, x);
  }
  static Tensor gradient(Options, const Tensor& grad, const Tensor& x) {
    return grad * tanh(x) * sech_squared(x) * -2.0;
  }
};

}  // namespace

Tensor sech_squared(const Tensor& input) { return kernels::pointwise<SechSquared>(input); }

}  // namespace lucid::ops
