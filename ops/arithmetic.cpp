#include "ops/arithmetic.hpp"

#include <cmath>

#include "autograd/record.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using autograd::NoOptions;
using autograd::record;
using kernels::Operands;

struct AlphaOptions {
  double alpha = 1.0;
};
LUCID_OPTIONS(AlphaOptions, alpha)

struct DivOptions {
  std::optional<std::string> rounding_mode;
};
LUCID_OPTIONS(DivOptions, rounding_mode)

// f is applied in the type of computation: float for bfloat16.
template <class F>
Tensor binary(std::string_view op, const Tensor& input, const Tensor& other, F f) {
  const Operands operands(op, input, other);
  const Tensor out = operands.empty(operands.dtype);
  dispatch_numeric(op, operands.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    kernels::map<T, T, T>(out, operands.a, operands.b,
                          [f](T a, T b) { return static_cast<T>(f(static_cast<C>(a), static_cast<C>(b))); });
  });
  return out;
}

Tensor times(const Tensor& grad, double factor) { return factor == 1.0 ? grad : grad * factor; }

Tensors add_backward(const Backward<AlphaOptions>& b) { return {b.grad(), times(b.grad(), b.options.alpha)}; }
Tensors sub_backward(const Backward<AlphaOptions>& b) {
  return {b.grad(), times(b.grad(), -b.options.alpha)};
}
Tensors neg_backward(const Backward<NoOptions>& b) { return {-b.grad()}; }

Tensors mul_backward(const Backward<NoOptions>& b) {
  Tensors out(2);
  if (b.wants[0]) out[0] = b.grad() * b.saved[1];
  if (b.wants[1]) out[1] = b.grad() * b.saved[0];
  return out;
}

// saved: the divisor and the quotient; d(a/b)/db = -(a/b)/b
Tensors div_backward(const Backward<NoOptions>& b) {
  const Tensor scaled = b.grad() / b.saved[0];
  return {scaled, b.wants[1] ? -(scaled * b.saved[1]) : Tensor()};
}

Tensors rounded_div_backward(const Backward<DivOptions>& b) {
  const Tensor nothing = zeros(b.grad().shape(), b.grad().dtype());
  return {nothing, nothing};
}

// Rounding a / b itself would be wrong by 1 where a / b rounds up to an integer: the remainder decides, as in
// CPython's float_floor_div.
template <class T>
T rounded_quotient(T a, T b, bool down) {
  if constexpr (std::is_floating_point_v<T>) {
    if (!down || b == 0) return down ? a / b : std::trunc(a / b);
    const T rest = std::fmod(a, b);
    T quotient = (a - rest) / b;
    if (rest != 0 && (b < 0) != (rest < 0)) quotient -= 1;
    if (quotient == 0) return std::copysign(T(0), a / b);
    const T floor = std::floor(quotient);
    return quotient - floor > T(0.5) ? floor + 1 : floor;
  } else {
    if (b == T(-1)) return static_cast<T>(0 - static_cast<std::make_unsigned_t<T>>(a));  // may wrap
    const T quotient = static_cast<T>(a / b);
    return down && a % b != 0 && (a < 0) != (b < 0) ? static_cast<T>(quotient - 1) : quotient;
  }
}

}  // namespace

Tensor add(const Tensor& input, const Tensor& other, double alpha) {
  Tensor out = alpha == 1.0 ? binary("add", input, other, [](auto a, auto b) { return a + b; })
                            : binary("add", input, other, [alpha](auto a, auto b) {
                                return a + static_cast<decltype(a)>(alpha) * b;
                              });
  return record("add", out, {input, other}, {}, AlphaOptions{alpha}, add_backward);
}

Tensor sub(const Tensor& input, const Tensor& other, double alpha) {
  Tensor out = alpha == 1.0 ? binary("sub", input, other, [](auto a, auto b) { return a - b; })
                            : binary("sub", input, other, [alpha](auto a, auto b) {
                                return a - static_cast<decltype(a)>(alpha) * b;
                              });
  return record("sub", out, {input, other}, {}, AlphaOptions{alpha}, sub_backward);
}

Tensor mul(const Tensor& input, const Tensor& other) {
  Tensor out = binary("mul", input, other, [](auto a, auto b) { return a * b; });
  return record("mul", out, {input, other}, {input, other}, NoOptions{}, mul_backward);
}

Tensor div(const Tensor& input, const Tensor& other) {
  const Operands types("div", input, other);
  const DType dtype = is_floating(types.dtype) ? types.dtype : f32;
  Tensor out = binary("div", kernels::converted(input, dtype), kernels::converted(other, dtype),
                      [](auto a, auto b) -> decltype(a) {
                        if constexpr (std::is_floating_point_v<decltype(a)>)
                          return a / b;
                        else
                          return 0;  // unreachable: the type is floating
                      });
  return record("div", out, {input, other}, {other, out}, NoOptions{}, div_backward);
}

Tensor div(const Tensor& input, const Tensor& other, std::string_view rounding_mode) {
  check(rounding_mode == "trunc" || rounding_mode == "floor", "div", "rounding_mode is \"", rounding_mode,
        "\"; trunc, floor or null is required");
  const bool down = rounding_mode == "floor";
  const Operands types("div", input, other);
  if (!is_floating(types.dtype))
    for (const std::int64_t divisor : other.to_vector<std::int64_t>())
      check(divisor != 0, "div", "an integer is divided by ", divisor);
  const Tensor out =
      binary("div", input, other, [down](auto a, auto b) { return rounded_quotient(a, b, down); });
  return record("div", out, {input, other}, {}, DivOptions{std::string(rounding_mode)}, rounded_div_backward);
}

Tensor neg(const Tensor& input) {
  check(input.defined(), "neg", "the tensor is undefined");
  Tensor out = empty_like(input);
  dispatch_numeric("neg", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::map<T, T>(out, input, [](T a) { return static_cast<T>(-a); });
  });
  return record("neg", out, {input}, {}, NoOptions{}, neg_backward);
}

namespace ops {
namespace {

template <class Function>
Op binary_op(std::string name, std::string doc, Function function, std::vector<std::size_t> linear_in) {
  Op op{.name = std::move(name), .doc = std::move(doc), .inputs = {{"input"}, {"other"}}};
  op.call = [name = op.name, function](const Tensors& in, const nlohmann::json& options) -> Tensors {
    read_options<autograd::NoOptions>(name, options);
    return {function(in[0], in[1])};
  };
  op.samples = broadcast_samples;
  op.errors = broadcast_errors;
  op.linear_in = std::move(linear_in);
  op.exact_on_integers = op.name != "div";
  return op;
}

template <class Function>
Op alpha_op(std::string name, std::string doc, Function function) {
  Op op = binary_op(std::move(name), std::move(doc), [](const Tensor& a, const Tensor&) { return a; }, {});
  op.defaults = default_options<AlphaOptions>();
  op.call = [name = op.name, function](const Tensors& in, const nlohmann::json& options) -> Tensors {
    return {function(in[0], in[1], read_options<AlphaOptions>(name, options).alpha)};
  };
  op.samples = [](Generator& generator) {
    auto samples = broadcast_samples(generator);
    samples.back().options = {{"alpha", -1.5}};
    return samples;
  };
  return op;
}

}  // namespace

Op add_op() { return alpha_op("add", "input + alpha * other; shapes broadcast", lucid::add); }
Op sub_op() { return alpha_op("sub", "input - alpha * other; shapes broadcast", lucid::sub); }
Op mul_op() { return binary_op("mul", "input * other; shapes broadcast", lucid::mul, {0, 1}); }
Op div_op() {
  Op op = binary_op("div",
                    "input / other, true division unless rounding_mode is trunc or floor; shapes broadcast",
                    static_cast<Tensor (*)(const Tensor&, const Tensor&)>(lucid::div), {0});
  op.defaults = default_options<DivOptions>();
  op.call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
    const auto mode = read_options<DivOptions>("div", options).rounding_mode;
    return {mode ? lucid::div(in[0], in[1], *mode) : lucid::div(in[0], in[1])};
  };
  op.samples = [](Generator& generator) {
    auto samples = broadcast_samples(generator);
    for (Sample& sample : samples) sample.inputs[1] = away_from_zero(sample.inputs[1]);
    return samples;
  };
  return op;
}
Op neg_op() {
  return {.name = "neg",
          .doc = "-input",
          .inputs = {{"input"}},
          .call = [](const Tensors& in, const nlohmann::json&) -> Tensors { return {lucid::neg(in[0])}; },
          .samples = unary_samples,
          .errors = no_errors,
          .linear_in = {0}};
}

}  // namespace ops

Tensor Tensor::operator-() const { return neg(*this); }
Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
Tensor operator+(const Tensor& a, const Scalar& b) { return add(a, kernels::wrap_scalar(b, a)); }
Tensor operator-(const Tensor& a, const Scalar& b) { return sub(a, kernels::wrap_scalar(b, a)); }
Tensor operator*(const Tensor& a, const Scalar& b) { return mul(a, kernels::wrap_scalar(b, a)); }
Tensor operator/(const Tensor& a, const Scalar& b) { return div(a, kernels::wrap_scalar(b, a)); }
Tensor operator+(const Scalar& a, const Tensor& b) { return add(b, kernels::wrap_scalar(a, b)); }
Tensor operator-(const Scalar& a, const Tensor& b) { return sub(kernels::wrap_scalar(a, b), b); }
Tensor operator*(const Scalar& a, const Tensor& b) { return mul(b, kernels::wrap_scalar(a, b)); }
Tensor operator/(const Scalar& a, const Tensor& b) { return div(kernels::wrap_scalar(a, b), b); }

}  // namespace lucid
