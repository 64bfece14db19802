#include <cmath>
#include <optional>

#include "autograd/record.hpp"
#include "ops/arithmetic.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using kernels::Operands;

struct DivOptions {
  std::optional<std::string> rounding_mode;  // null, "trunc" or "floor"
};
LUCID_OPTIONS(DivOptions, rounding_mode)

// saved: the divisor and, where it wants a gradient, the quotient; d(a/b)/db = -(a/b)/b
Tensors div_backward(const Backward<DivOptions>& b) {
  const Tensor scaled = b.grad() / b.saved[0];
  return {scaled, b.wants[1] ? -(scaled * b.saved[1]) : Tensor()};
}

// A rounded quotient is constant between its jumps.
Tensors rounded_backward(const Backward<DivOptions>& b) {
  const Tensor none = zeros(b.grad().shape(), b.grad().dtype());
  return {none, none};
}

// The largest whole number that is not above a / b: taken from the exact remainder, since the rounded
// quotient may reach the next whole number. Python divides floats likewise.
template <class T>
T floor_quotient(T a, T b) {
  if (b == 0) return a / b;
  const T remainder = std::fmod(a, b);
  T quotient = (a - remainder) / b;
  if (remainder != 0 && (b < 0) != (remainder < 0)) quotient -= 1;
  if (quotient == 0) return std::copysign(T(0), a / b);
  return std::round(quotient);
}

// Of integers; b is not 0. The one overflow, the least number by -1, wraps.
template <class T>
T whole_quotient(T a, T b, bool floor) {
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return static_cast<T>(0 - static_cast<std::make_unsigned_t<T>>(a));
    if (floor && a % b != 0 && (a < 0) != (b < 0)) return static_cast<T>(a / b - 1);
  }
  return static_cast<T>(a / b);
}

template <class T>
void require_no_zero(const Tensor& divisor) {
  for (const T value : divisor.to_vector<T>())
    check(value != 0, "div", "other holds 0, and integers can't be divided by 0; convert to a floating type");
}

Tensor rounded(const Tensor& input, const Tensor& other, bool floor) {
  const Operands operands("div", input, other);
  const Tensor out = operands.empty(operands.dtype);
  const auto rounded_quotient = [floor](auto x, auto y) {
    return floor ? floor_quotient(x, y) : std::trunc(x / y);
  };
  dispatch_numeric("div", operands.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_integral_v<T>) {
      if (out.numel() != 0) require_no_zero<T>(operands.b);
      kernels::map<T, T, T>(out, operands.a, operands.b,
                            [floor](T a, T b) { return whole_quotient(a, b, floor); });
    } else {
      kernels::map<T, T, T>(out, operands.a, operands.b, rounded_quotient);
    }
  });
  return out;
}

}  // namespace

Tensor div(const Tensor& input, const Tensor& other) {
  const autograd::OpTimer timer("div");
  const DType common = kernels::operand_dtype("div", input, other);
  const DType dtype = is_floating(common) ? common : f32;
  const Operands operands("div", input, other, dtype);
  const Tensor out = operands.empty(dtype);
  const auto quotient = [](auto a, auto b) { return a / b; };
  dispatch_floating("div", dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::map<T, T, T>(out, operands.a, operands.b, quotient);
  });
  const Tensor none;
  return autograd::record("div", out, {input, other}, {other, other.requires_grad() ? out : none},
                          DivOptions{}, div_backward);
}

Tensor div(const Tensor& input, const Tensor& other, std::string_view rounding_mode) {
  const autograd::OpTimer timer("div");
  check(rounding_mode == "trunc" || rounding_mode == "floor", "div", "rounding_mode is \"", rounding_mode,
        "\"; trunc or floor is required");
  const Tensor out = rounded(input, other, rounding_mode == "floor");
  return autograd::record("div", out, {input, other}, {}, DivOptions{std::string(rounding_mode)},
                          rounded_backward);
}

namespace ops {

Op div_op() {
  return {
      .name = "div",
      .doc = "input / other, or the quotient rounded by trunc or floor; shapes broadcast",
      .inputs = {{"input"}, {"other"}},
      .defaults = default_options<DivOptions>(),
      .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
        const auto mode = read_options<DivOptions>("div", options).rounding_mode;
        return {mode ? lucid::div(in[0], in[1], *mode) : lucid::div(in[0], in[1])};
      },
      .samples =
          [](Generator& generator) {
            auto samples = broadcast_samples(generator);
            for (Sample& sample : samples) sample.inputs[1] = away_from_zero(sample.inputs[1]);
            return samples;
          },
      .errors = []() -> std::vector<ErrorCase> {
        auto errors = broadcast_errors();
        errors.push_back({{ones({2}), ones({2})}, {{"rounding_mode", "ceil"}}, "\"ceil\""});
        errors.push_back({{ones({2}, i64), zeros({1}, i64)}, {{"rounding_mode", "floor"}}, "other holds 0"});
        return errors;
      },
      .linear_in = {0}};
}

}  // namespace ops
}  // namespace lucid
