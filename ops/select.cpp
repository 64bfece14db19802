#include "ops/select.hpp"

#include <cmath>

#include "autograd/record.hpp"
#include "ops/compare.hpp"
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

struct FillOptions {
  Scalar value = 0.0;
};
LUCID_OPTIONS(FillOptions, value)

void require_bool(std::string_view op, std::string_view what, const Tensor& tensor) {
  check(tensor.defined(), op, "the ", what, " is undefined");
  check(tensor.dtype() == boolean, op, what, " has dtype ", tensor.dtype(),
        "; bool is required, for example x != 0");
}

// out = condition ? a : b. A single number on either side is read once, which keeps the loop to two operands;
// the condition comes last, where it may be one for a whole run.
template <class T>
void choose(const Tensor& out, const Tensor& condition, const Tensor& a, const Tensor& b) {
  using C = Compute<T>;
  if (b.dim() == 0) {
    const C fixed = *b.data<T>();
    kernels::map<T, T, bool>(out, a, condition, [fixed](C x, bool c) { return c ? x : fixed; });
  } else if (a.dim() == 0) {
    const C fixed = *a.data<T>();
    kernels::map<T, T, bool>(out, b, condition, [fixed](C x, bool c) { return c ? fixed : x; });
  } else {
    kernels::map<T, T, T, bool>(out, a, b, condition, [](C x, C y, bool c) { return c ? x : y; });
  }
}

// saved: the condition
Tensors where_backward(const Backward<NoOptions>& b) {
  Tensors out(3);
  if (b.wants[1]) out[1] = where(b.saved[0], b.grad(), 0.0);
  if (b.wants[2]) out[2] = where(b.saved[0], 0.0, b.grad());
  return out;
}

// saved: the mask
Tensors masked_fill_backward(const Backward<FillOptions>& b) {
  return {masked_fill(b.grad(), b.saved[0], 0.0), Tensor()};
}

template <class F>
Tensor extremum(std::string_view op, const Tensor& input, const Tensor& other, F f) {
  const Operands operands(op, input, other);
  const Tensor out = operands.empty(operands.dtype);
  const auto chosen = [f](auto a, auto b) { return f(a, b) ? a : b; };
  dispatch_all(operands.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::map<T, T, T>(out, operands.a, operands.b, chosen);
  });
  return out;
}

// The gradient of `x` beside `other`: half of it where they tie, none where x loses. NaN does neither.
template <bool kMax>
Tensor share_of(const Tensor& grad, const Tensor& x, const Tensor& other) {
  if (autograd::is_recording())
    return where(eq(x, other), grad * 0.5, where(kMax ? lt(x, other) : gt(x, other), 0.0, grad));
  const Tensor out = empty_like(grad);
  const Operands operands(kMax ? "maximum" : "minimum", x, other, grad.dtype());
  dispatch_floating("maximum", grad.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    kernels::map<T, T, T, T>(out, grad, operands.a, operands.b, [](C g, C a, C b) {
      const C half = a == b ? g * C(0.5) : g;
      return (kMax ? a < b : a > b) ? C(0) : half;
    });
  });
  return out;
}

// saved: both operands
template <bool kMax>
Tensors extremum_backward(const Backward<NoOptions>& b) {
  Tensors out(2);
  for (std::size_t i = 0; i < 2; ++i)
    if (b.wants[i]) out[i] = share_of<kMax>(b.grad(), b.saved[i], b.saved[1 - i]);
  return out;
}

}  // namespace

Tensor where(const Tensor& condition, const Tensor& input, const Tensor& other) {
  const autograd::OpTimer timer("where");
  require_bool("where", "condition", condition);
  const Operands operands("where", input, other);
  const Shape shape = broadcast_shapes("where", condition.shape(), operands.shape);
  Tensor out = kernels::empty_for(shape, operands.dtype, {&operands.a, &operands.b, &condition});
  dispatch_all(operands.dtype, [&](auto tag) {
    choose<typename decltype(tag)::type>(out, condition, operands.a, operands.b);
  });
  return record("where", out, {condition, input, other}, {condition}, NoOptions{}, where_backward);
}

Tensor where(const Tensor& condition, const Tensor& input, const Scalar& other) {
  return where(condition, input, kernels::wrap_scalar(other, input));
}

Tensor where(const Tensor& condition, const Scalar& input, const Tensor& other) {
  return where(condition, kernels::wrap_scalar(input, other), other);
}

Tensor masked_fill(const Tensor& input, const Tensor& mask, const Scalar& value) {
  const autograd::OpTimer timer("masked_fill");
  check(input.defined(), "masked_fill", "the tensor is undefined");
  require_bool("masked_fill", "mask", mask);
  check(is_floating(input.dtype()) || !value.is_floating(), "masked_fill", "value ", value.to<double>(),
        " is floating, input has dtype ", input.dtype(), "; give an integer, or convert input with .to()");
  const Shape shape = broadcast_shapes("masked_fill", input.shape(), mask.shape());
  value.require_fits("masked_fill", input.dtype());
  Tensor out = kernels::empty_for(shape, input.dtype(), {&input, &mask});
  dispatch_all(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const C fixed = value.to<T>();
    kernels::map<T, T, bool>(out, input, mask, [fixed](C x, bool m) { return m ? fixed : x; });
  });
  return record("masked_fill", out, {input, mask}, {mask}, FillOptions{value}, masked_fill_backward);
}

Tensor masked_fill(const Tensor& input, const Tensor& mask, const Tensor& value) {
  check(input.defined() && value.defined(), "masked_fill", input.defined() ? "value" : "the tensor",
        " is undefined");
  check(value.dim() == 0, "masked_fill", "value has shape ", value.shape(), "; rank 0 is required");
  if (!value.requires_grad())
    return masked_fill(
        input, mask,
        is_floating(value.dtype()) ? Scalar(value.item<double>()) : Scalar(value.item<std::int64_t>()));
  require_bool("masked_fill", "mask", mask);
  return where(mask, value.to(input.dtype()), input);
}

// x != x holds for NaN alone.
Tensor maximum(const Tensor& input, const Tensor& other) {
  const autograd::OpTimer timer("maximum");
  Tensor out = extremum("maximum", input, other, [](auto a, auto b) { return (a > b) | (a != a); });
  return record("maximum", out, {input, other}, {input, other}, NoOptions{}, extremum_backward<true>);
}

Tensor minimum(const Tensor& input, const Tensor& other) {
  const autograd::OpTimer timer("minimum");
  Tensor out = extremum("minimum", input, other, [](auto a, auto b) { return (a < b) | (a != a); });
  return record("minimum", out, {input, other}, {input, other}, NoOptions{}, extremum_backward<false>);
}

namespace ops {
namespace {

std::vector<Sample> where_samples(Generator& generator) {
  std::vector<Sample> samples;
  for (const Sample& pair : broadcast_samples(generator)) {
    const Shape shape = pair.inputs[0].shape();
    samples.push_back(
        {.inputs = {randint(0, 2, shape, boolean, &generator), pair.inputs[0], pair.inputs[1]}});
  }
  samples.push_back({.inputs = {randint(0, 2, {2, 1, 3}, boolean, &generator), normal({3}, generator),
                                normal({4, 1}, generator)}});
  return samples;
}

// The two operands differ by 0.5 or more, so that no difference quotient steps over a tie.
std::vector<Sample> extremum_samples(Generator& generator) {
  std::vector<Sample> samples;
  for (const Sample& pair : broadcast_samples(generator)) {
    const Tensor a = randint(-2, 3, pair.inputs[0].shape(), f64, &generator);
    const Tensor b = randint(-2, 3, pair.inputs[1].shape(), f64, &generator) + 0.5;
    samples.push_back({.inputs = {a, b}});
  }
  return samples;
}

template <class Function>
Op extremum_op(std::string name, std::string doc, Function function) {
  Op op{.name = std::move(name), .doc = std::move(doc), .inputs = {{"input"}, {"other"}}};
  op.call = [name = op.name, function](const Tensors& in, const nlohmann::json& options) -> Tensors {
    read_options<NoOptions>(name, options);
    return {function(in[0], in[1])};
  };
  op.samples = extremum_samples;
  op.errors = broadcast_errors;
  return op;
}

}  // namespace

Op maximum_op() {
  return extremum_op("maximum", "the larger of input and other; shapes broadcast", lucid::maximum);
}
Op minimum_op() {
  return extremum_op("minimum", "the smaller of input and other; shapes broadcast", lucid::minimum);
}

Op where_op() {
  return {.name = "where",
          .doc = "input where condition holds, else other; shapes broadcast",
          .inputs = {{"condition"}, {"input"}, {"other"}},
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            read_options<NoOptions>("where", options);
            return {lucid::where(in[0], in[1], in[2])};
          },
          .samples = where_samples,
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2}), ones({2}), ones({2})}, {}, "float32"},
                    {{ones({3}, boolean), ones({2}), ones({2})}, {}, "(3) and (2)"}};
          }};
}

Op masked_fill_op() {
  return {.name = "masked_fill",
          .doc = "value, a number or a tensor of rank 0, where mask holds, else input; shapes broadcast",
          .inputs = {{"input"}, {"mask"}, {"value", true}},
          .defaults = default_options<FillOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const Scalar value = read_options<FillOptions>("masked_fill", options).value;
            if (in.size() > 2 && in[2].defined()) return {lucid::masked_fill(in[0], in[1], in[2])};
            return {lucid::masked_fill(in[0], in[1], value)};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            return {
                {{normal({2, 3, 2, 2, 3}, generator), randint(0, 2, {2, 3, 2, 2, 3}, boolean, &generator)},
                 {{"value", -1.5}}},
                {{normal({3, 1}, generator), randint(0, 2, {2, 1, 4}, boolean, &generator)}, {{"value", 2}}},
                {{normal({}, generator), randint(0, 2, {}, boolean, &generator)}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2}), ones({2})}, {{"value", 1}}, "float32"},
                    {{ones({2}, i64), ones({2}, boolean)}, {{"value", 0.5}}, "0.5"},
                    {{ones({2}), ones({2}, boolean)}, {{"value", "x"}}, "value"}};
          }};
}

}  // namespace ops
}  // namespace lucid
