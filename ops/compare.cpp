#include "ops/compare.hpp"

#include "autograd/record.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

template <class F>
Tensor compare(std::string_view op, const Tensor& input, const Tensor& other, F f) {
  const autograd::OpTimer timer(op);
  const kernels::Operands operands(op, input, other);
  const Tensor out = operands.empty(boolean);
  dispatch_all(operands.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::map<bool, T, T>(out, operands.a, operands.b, f);
  });
  const Tensor inputs[] = {input, other};
  autograd::observe_op(op, std::span(&out, 1), inputs, autograd::NoOptions{});
  return out;
}

template <class T>
bool truth(T x) {
  return x != T(0);
}

}  // namespace

Tensor eq(const Tensor& input, const Tensor& other) {
  return compare("eq", input, other, [](auto a, auto b) { return a == b; });
}
Tensor ne(const Tensor& input, const Tensor& other) {
  return compare("ne", input, other, [](auto a, auto b) { return a != b; });
}
Tensor lt(const Tensor& input, const Tensor& other) {
  return compare("lt", input, other, [](auto a, auto b) { return a < b; });
}
Tensor le(const Tensor& input, const Tensor& other) {
  return compare("le", input, other, [](auto a, auto b) { return a <= b; });
}
Tensor gt(const Tensor& input, const Tensor& other) {
  return compare("gt", input, other, [](auto a, auto b) { return a > b; });
}
Tensor ge(const Tensor& input, const Tensor& other) {
  return compare("ge", input, other, [](auto a, auto b) { return a >= b; });
}

Tensor logical_and(const Tensor& input, const Tensor& other) {
  return compare("logical_and", input, other, [](auto a, auto b) { return truth(a) & truth(b); });
}
Tensor logical_or(const Tensor& input, const Tensor& other) {
  return compare("logical_or", input, other, [](auto a, auto b) { return truth(a) | truth(b); });
}
Tensor logical_xor(const Tensor& input, const Tensor& other) {
  return compare("logical_xor", input, other, [](auto a, auto b) { return truth(a) != truth(b); });
}
Tensor logical_not(const Tensor& input) {
  const autograd::OpTimer timer("logical_not");
  check(input.defined(), "logical_not", "the tensor is undefined");
  const Tensor out = empty_like(input, boolean);
  dispatch_all(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::map<bool, T>(out, input, [](auto a) { return !truth(a); });
  });
  autograd::observe_op("logical_not", std::span(&out, 1), std::span(&input, 1), autograd::NoOptions{});
  return out;
}

#define LUCID_COMPARISON(symbol, function)                                            \
  Tensor operator symbol(const Tensor& a, const Tensor& b) { return function(a, b); } \
  Tensor operator symbol(const Tensor& a, const Scalar& b) { return function(a, kernels::wrap_scalar(b, a)); }
LUCID_COMPARISON(==, eq)
LUCID_COMPARISON(!=, ne)
LUCID_COMPARISON(<, lt)
LUCID_COMPARISON(<=, le)
LUCID_COMPARISON(>, gt)
LUCID_COMPARISON(>=, ge)
#undef LUCID_COMPARISON

namespace ops {
namespace {

// Values from a small set, so that equal ones occur.
std::vector<Sample> comparison_samples(Generator& generator) {
  auto samples = broadcast_samples(generator);
  for (Sample& sample : samples)
    for (Tensor& input : sample.inputs) input = randint(-1, 2, input.shape(), f64, &generator);
  samples.push_back(
      {.inputs = {randint(-1, 2, {2, 3}, i64, &generator), randint(-1, 2, {3}, f64, &generator)}});
  samples.push_back(
      {.inputs = {randint(0, 2, {4}, boolean, &generator), randint(0, 2, {4}, boolean, &generator)}});
  return samples;
}

template <class Function>
Op comparison_op(std::string name, std::string doc, Function function) {
  Op op{.name = std::move(name), .doc = std::move(doc), .inputs = {{"input"}, {"other"}}};
  op.call = [name = op.name, function](const Tensors& in, const nlohmann::json& options) -> Tensors {
    read_options<autograd::NoOptions>(name, options);
    return {function(in[0], in[1])};
  };
  op.samples = comparison_samples;
  op.errors = broadcast_errors;
  op.differentiable = false;
  return op;
}

}  // namespace

Op eq_op() { return comparison_op("eq", "input == other as bool; shapes broadcast", lucid::eq); }
Op ne_op() { return comparison_op("ne", "input != other as bool; shapes broadcast", lucid::ne); }
Op lt_op() { return comparison_op("lt", "input < other as bool; shapes broadcast", lucid::lt); }
Op le_op() { return comparison_op("le", "input <= other as bool; shapes broadcast", lucid::le); }
Op gt_op() { return comparison_op("gt", "input > other as bool; shapes broadcast", lucid::gt); }
Op ge_op() { return comparison_op("ge", "input >= other as bool; shapes broadcast", lucid::ge); }
Op logical_and_op() {
  return comparison_op("logical_and", "both nonzero, as bool; shapes broadcast", lucid::logical_and);
}
Op logical_or_op() {
  return comparison_op("logical_or", "either nonzero, as bool; shapes broadcast", lucid::logical_or);
}
Op logical_xor_op() {
  return comparison_op("logical_xor", "just one nonzero, as bool; shapes broadcast", lucid::logical_xor);
}
Op logical_not_op() {
  return {.name = "logical_not",
          .doc = "input == 0, as bool",
          .inputs = {{"input"}},
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            read_options<autograd::NoOptions>("logical_not", options);
            return {lucid::logical_not(in[0])};
          },
          .samples =
              [](Generator& generator) {
                auto samples = unary_samples(generator);
                samples.push_back({.inputs = {randint(0, 2, {6}, f64, &generator)}});
                samples.push_back({.inputs = {randint(0, 2, {6}, boolean, &generator)}});
                return samples;
              },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{Tensor()}, {}, "\"input\" is missing"}};
          },
          .differentiable = false};
}

}  // namespace ops
}  // namespace lucid
