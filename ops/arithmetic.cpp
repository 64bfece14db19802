#include "ops/arithmetic.hpp"

#include <cmath>

#include "autograd/record.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/kernels/modular.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using autograd::NoOptions;
using autograd::record;
using kernels::modular;
using kernels::Operands;

struct AlphaOptions {
  double alpha = 1.0;
};
LUCID_OPTIONS(AlphaOptions, alpha)

// f is applied in the type of computation: float for bfloat16.
template <class F>
Tensor binary(std::string_view op, const Tensor& input, const Tensor& other, F f) {
  const Operands operands(op, input, other);
  const Tensor out = operands.empty(operands.dtype);
  dispatch_numeric(op, operands.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::map<T, T, T>(out, operands.a, operands.b, f);
  });
  return out;
}

// input + factor * other, where the caller gave `alpha`.
Tensor add_scaled(std::string_view op, const Tensor& input, const Tensor& other, double factor,
                  double alpha) {
  const DType dtype = kernels::operand_dtype(op, input, other);
  check(is_floating(dtype) || (alpha == std::trunc(alpha) && std::abs(alpha) < 0x1p63), op, "alpha is ",
        alpha, ", the operands have dtype ", dtype, "; a whole number below 2^63 is required for integers");
  return binary(op, input, other, [factor](auto a, auto b) {
    using C = decltype(a);
    if constexpr (std::is_integral_v<C>)
      return modular(a) + modular(static_cast<C>(static_cast<std::int64_t>(factor))) * modular(b);
    else
      return a + static_cast<C>(factor) * b;
  });
}

Tensor times(const Tensor& grad, double factor) { return factor == 1.0 ? grad : grad * factor; }

Tensors sum_backward(const Backward<AlphaOptions>& b, double alpha) {
  Tensors out(2);
  if (b.wants[0]) out[0] = b.grad();
  if (b.wants[1]) out[1] = times(b.grad(), alpha);
  return out;
}
Tensors add_backward(const Backward<AlphaOptions>& b) { return sum_backward(b, b.options.alpha); }
Tensors sub_backward(const Backward<AlphaOptions>& b) { return sum_backward(b, -b.options.alpha); }

Tensors neg_backward(const Backward<NoOptions>& b) { return {-b.grad()}; }

Tensors mul_backward(const Backward<NoOptions>& b) {
  Tensors out(2);
  if (b.wants[0]) out[0] = b.grad() * b.saved[1];
  if (b.wants[1]) out[1] = b.grad() * b.saved[0];
  return out;
}

}  // namespace

Tensor add(const Tensor& input, const Tensor& other, double alpha) {
  const autograd::OpTimer timer("add");
  Tensor out = alpha == 1.0
                   ? binary("add", input, other, [](auto a, auto b) { return modular(a) + modular(b); })
                   : add_scaled("add", input, other, alpha, alpha);
  return record("add", std::move(out), {input, other}, {}, AlphaOptions{alpha}, add_backward);
}

Tensor sub(const Tensor& input, const Tensor& other, double alpha) {
  const autograd::OpTimer timer("sub");
  Tensor out = alpha == 1.0
                   ? binary("sub", input, other, [](auto a, auto b) { return modular(a) - modular(b); })
                   : add_scaled("sub", input, other, -alpha, alpha);
  return record("sub", std::move(out), {input, other}, {}, AlphaOptions{alpha}, sub_backward);
}

Tensor mul(const Tensor& input, const Tensor& other) {
  const autograd::OpTimer timer("mul");
  Tensor out = binary("mul", input, other, [](auto a, auto b) { return modular(a) * modular(b); });
  // Each operand is kept for the other's gradient alone: x * 2.0 keeps no x.
  const Tensor none;
  return record("mul", std::move(out), {input, other},
                {other.requires_grad() ? input : none, input.requires_grad() ? other : none}, NoOptions{},
                mul_backward);
}

Tensor neg(const Tensor& input) {
  const autograd::OpTimer timer("neg");
  check(input.defined(), "neg", "the tensor is undefined");
  Tensor out = empty_like(input);
  dispatch_numeric("neg", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::map<T, T>(out, input, [](auto a) { return -modular(a); });
  });
  return record("neg", std::move(out), {input}, {}, NoOptions{}, neg_backward);
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
  op.exact_on_integers = true;
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
  op.errors = [] {
    auto errors = broadcast_errors();
    errors.push_back({{ones({2}, i64), ones({2}, i64)}, {{"alpha", 0.5}}, "alpha is 0.5"});
    return errors;
  };
  return op;
}

}  // namespace

Op add_op() { return alpha_op("add", "input + alpha * other; shapes broadcast", lucid::add); }
Op sub_op() { return alpha_op("sub", "input - alpha * other; shapes broadcast", lucid::sub); }
Op mul_op() { return binary_op("mul", "input * other; shapes broadcast", lucid::mul, {0, 1}); }
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
