#include "ops/power.hpp"

#include <cmath>
#include <optional>

#include "autograd/record.hpp"
#include "ops/compare.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/kernels/power.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"
#include "ops/select.hpp"
#include "ops/unary.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using autograd::record;

struct PowOptions {
  std::optional<Scalar> exponent;
};
LUCID_OPTIONS(PowOptions, exponent)

// By squaring; wraps around on overflow, as the machine does.
template <class T>
T integer_power(T base, T exponent) {
  if (exponent < T(0)) return base == T(1) ? T(1) : base == T(-1) ? (exponent % 2 == 0 ? T(1) : T(-1)) : T(0);
  std::uint64_t square = static_cast<std::uint64_t>(base), result = 1;
  for (auto rest = static_cast<std::uint64_t>(exponent); rest; rest >>= 1) {
    if (rest & 1) result *= square;
    square *= square;
  }
  return static_cast<T>(result);
}

template <class T>
T power(T base, T exponent) {
  if constexpr (std::is_floating_point_v<T>)
    return kernels::math::pow(base, exponent);
  else
    return integer_power(base, exponent);
}

// Calls run(f) with the cheapest f(x) = x^exponent.
template <class Run>
void with_power(double exponent, Run&& run) {
  if (exponent == 0)
    run([](auto) { return 1; });
  else if (exponent == 1)
    run([](auto x) { return x; });
  else if (exponent == 2)
    run([](auto x) { return x * x; });
  else if (exponent == 3)
    run([](auto x) { return x * x * x; });
  else if (exponent == 0.5)
    run([](auto x) { return std::sqrt(x); });
  else if (exponent == -0.5)
    run([](auto x) { return 1 / std::sqrt(x); });
  else if (exponent == -1)
    run([](auto x) { return 1 / x; });
  else if (exponent == -2)
    run([](auto x) { return 1 / (x * x); });
  else
    run([exponent](auto x) { return kernels::math::pow(x, static_cast<decltype(x)>(exponent)); });
}

// saved: input
Tensors pow_number_backward(const Backward<PowOptions>& b) {
  const Tensor &grad = b.grad(), &x = b.saved[0];
  const double exponent = b.options.exponent->to<double>();
  if (autograd::is_recording()) {
    if (exponent == 0) return {grad * 0.0};
    return {grad * (pow(x, exponent - 1) * exponent)};
  }
  const Tensor out = kernels::empty_for(x.shape(), x.dtype(), {&x, &grad});
  with_power(exponent == 0 ? 0 : exponent - 1, [&](auto f) {
    const auto gradient = [f, exponent](auto g, auto value) {
      using C = decltype(value);
      return g * (static_cast<C>(exponent) * static_cast<C>(f(value)));
    };
    dispatch_floating("pow", x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      kernels::map<T, T, T>(out, grad, x, gradient);
    });
  });
  return {out};
}

// saved: base, exponent, result. Where a derivative is 0 by definition, the operands are first replaced by
// harmless ones: 0 times infinity would spoil the derivatives of this rule.
Tensors pow_backward(const Backward<PowOptions>& b) {
  const Tensor &base = b.saved[0], &exponent = b.saved[1], &result = b.saved[2];
  Tensors out(2);
  if (b.wants[0]) {
    const Tensor constant = exponent == 0.0;
    out[0] = where(constant, 0.0, b.grad() * (exponent * pow(base, where(constant, 1.0, exponent) - 1.0)));
  }
  if (b.wants[1]) {
    const Tensor zero = logical_and(base == 0.0, exponent >= 0.0);
    out[1] = where(zero, 0.0, b.grad() * (result * log(where(zero, 1.0, base))));
  }
  return out;
}

Tensor integer_pow(const Tensor& input, std::int64_t exponent) {
  check(exponent >= 0, "pow", "exponent is ", exponent, ", input has dtype ", input.dtype(),
        "; a negative power of integers needs a floating input, for example .to(lucid::f32)");
  const Tensor out = empty_like(input);
  dispatch_numeric("pow", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_integral_v<T>)
      kernels::map<T, T>(out, input, [exponent](T x) {
        return static_cast<T>(integer_power(static_cast<std::int64_t>(x), exponent));
      });
  });
  return out;
}

}  // namespace

Tensor pow(const Tensor& input, const Scalar& exponent) {
  const autograd::OpTimer timer("pow");
  check(input.defined(), "pow", "the tensor is undefined");
  if (!is_floating(input.dtype()) && !exponent.is_floating())
    return integer_pow(input, exponent.to<std::int64_t>());
  const Tensor x = is_floating(input.dtype()) ? input : kernels::converted(input, f32);
  const Tensor out = empty_like(x);
  with_power(exponent.to<double>(), [&](auto f) {
    dispatch_floating("pow", x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      kernels::map<T, T>(out, x, f);
    });
  });
  return record("pow", out, {input}, {input}, PowOptions{exponent}, pow_number_backward);
}

Tensor pow(const Tensor& input, const Tensor& exponent) {
  const autograd::OpTimer timer("pow");
  const kernels::Operands operands("pow", input, exponent);
  const Tensor out = operands.empty(operands.dtype);
  const auto f = [](auto a, auto b) { return power(a, b); };
  dispatch_numeric("pow", operands.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::map<T, T, T>(out, operands.a, operands.b, f);
  });
  return record("pow", out, {input, exponent}, {input, exponent, out}, PowOptions{}, pow_backward);
}

Tensor pow(const Scalar& input, const Tensor& exponent) {
  return pow(kernels::wrap_scalar(input, exponent), exponent);
}

Tensor Tensor::pow(const Scalar& exponent) const { return lucid::pow(*this, exponent); }

namespace ops {
namespace {

Tensors call_pow(const Tensors& in, const nlohmann::json& given) {
  const auto number = read_options<PowOptions>("pow", given).exponent;
  check(in[1].defined() + in[2].defined() + number.has_value() == 1, "pow",
        in[1].defined() + in[2].defined() + number.has_value(),
        " exponents are given; exactly one of exponent (a number or a tensor) and other is required");
  if (number) return {lucid::pow(in[0], *number)};
  return {lucid::pow(in[0], in[1].defined() ? in[1] : in[2])};
}

std::vector<Sample> pow_samples(Generator& generator) {
  std::vector<Sample> samples;
  for (const Sample& pair : broadcast_samples(generator))
    samples.push_back({.inputs = {uniform(pair.inputs[0].shape(), 0.5, 2.0, generator), pair.inputs[1]}});
  const Tensor tensor = uniform({2, 3}, 0.5, 2.0, generator);
  samples.push_back({.inputs = {tensor, Tensor(), normal({3}, generator)}});
  for (const double exponent : {-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 2.3})
    samples.push_back({.inputs = {tensor}, .options = {{"exponent", exponent}}});
  samples.push_back({.inputs = {normal({2, 3, 2, 2, 3}, generator)}, .options = {{"exponent", 3}}});
  return samples;
}

}  // namespace

Op pow_op() {
  return {.name = "pow",
          .doc = "input^exponent; exponent is a number or a tensor (also called other); shapes broadcast",
          .inputs = {{"input"}, {"exponent", true}, {"other", true}},
          .defaults = default_options<PowOptions>(),
          .call = call_pow,
          .samples = pow_samples,
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2})}, {}, "0 exponents"},
                    {{ones({2}), ones({2})}, {{"exponent", 2}}, "2 exponents"},
                    {{ones({2}, i64)}, {{"exponent", -1}}, "-1"},
                    {{ones({2, 3}), ones({4})}, {}, "(2, 3) and (4)"}};
          }};
}

}  // namespace ops
}  // namespace lucid
