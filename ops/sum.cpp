#include "autograd/record.hpp"
#include "ops/options.hpp"
#include "ops/reduce.hpp"
#include "ops/reduce_options.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using ops::DimOption;

struct SumOptions {
  DimOption dim;
  bool keepdim = false;
  std::optional<DType> dtype;
  Shape input_shape = {};
};
LUCID_OPTIONS(SumOptions, dim, keepdim, dtype)

struct SumToOptions {
  Shape shape;
  Shape input_shape = {};
};
LUCID_OPTIONS(SumToOptions, shape)

Tensor spread(const Backward<SumOptions>& b) {
  return ops::expand_reduced(b.grad(), b.options.input_shape, b.options.dim.dims, b.options.keepdim);
}

Tensors sum_backward(const Backward<SumOptions>& b) { return {spread(b)}; }

Tensors mean_backward(const Backward<SumOptions>& b) {
  double count = 1;
  const Shape& shape = b.options.input_shape;
  for (const std::size_t axis : normalize_axes("mean", b.options.dim.dims, shape.size()))
    if (axis < shape.size()) count *= static_cast<double>(shape[axis]);
  const Tensor scaled = b.grad() / count;
  return {ops::expand_reduced(scaled, shape, b.options.dim.dims, b.options.keepdim)};
}

Tensors sum_to_backward(const Backward<SumToOptions>& b) { return {b.grad().expand(b.options.input_shape)}; }

Tensor reduced_sum(const Tensor& input, const kernels::Axes& axes, bool keepdim, double divisor) {
  Tensor out = kernels::empty_reduced(input, axes, is_floating(input.dtype()) ? input.dtype() : i64);
  kernels::sum(out, input, axes, divisor);
  return keepdim ? out : kernels::drop_axes(std::move(out), axes);
}

}  // namespace

Tensor sum(const Tensor& given, const DimList& dim, bool keepdim, std::optional<DType> dtype) {
  const autograd::OpTimer timer("sum");
  const kernels::Axes axes = ops::reduced_axes("sum", given, dim);
  const Tensor converted = dtype ? given.to(*dtype) : Tensor();
  const Tensor& input = dtype ? converted : given;
  Tensor out = reduced_sum(input, axes, keepdim, 1.0);
  if (dtype && out.dtype() != *dtype) out = out.to(*dtype);
  return autograd::record("sum", std::move(out), {input}, {},
                          SumOptions{{dim}, keepdim, dtype, input.shape()}, sum_backward);
}

Tensor mean(const Tensor& given, const DimList& dim, bool keepdim, std::optional<DType> dtype) {
  const autograd::OpTimer timer("mean");
  const kernels::Axes axes = ops::reduced_axes("mean", given, dim);
  const Tensor input = dtype ? given.to(*dtype) : given;
  check(is_floating(input.dtype()), "mean", "dtype ", input.dtype(),
        " is not floating; convert first, for example with .to(lucid::f32)");
  double count = 1;
  for (const std::size_t axis : axes)
    if (axis < input.shape().size()) count *= static_cast<double>(input.shape()[axis]);
  const Tensor out = reduced_sum(input, axes, keepdim, count);
  return autograd::record("mean", out, {input}, {}, SumOptions{{dim}, keepdim, dtype, input.shape()},
                          mean_backward);
}

Tensor sum_to(const Tensor& input, const Shape& shape) {
  const autograd::OpTimer timer("sum_to");
  check(input.defined(), "sum_to", "the tensor is undefined");
  if (input.shape() == shape) return input;
  const bool fits = shape.size() <= input.shape().size() &&
                    broadcast_shapes("sum_to", shape, input.shape()) == input.shape();
  check(fits, "sum_to", "shape ", shape, " does not broadcast to the input's ", input.shape());
  const kernels::Axes axes = kernels::broadcast_axes(shape, input.shape());
  Tensor out = reduced_sum(input, axes, true, 1.0);
  const std::size_t skip = input.shape().size() - shape.size();
  const std::span strides(out.strides().begin() + skip, shape.size());
  out = alias(out, shape, Strides(strides), out.offset());
  return autograd::record("sum_to", out, {input}, {}, SumToOptions{shape, input.shape()}, sum_to_backward);
}

namespace ops {
namespace {

template <class Function>
Op sum_like_op(std::string name, std::string doc, Function function) {
  Op op{.name = std::move(name), .doc = std::move(doc), .inputs = {{"input"}}};
  op.defaults = default_options<SumOptions>();
  op.call = [name = op.name, function](const Tensors& in, const nlohmann::json& given) -> Tensors {
    const auto options = read_options<SumOptions>(name, given);
    return {function(in[0], options.dim.dims, options.keepdim, options.dtype)};
  };
  op.samples = [](Generator& generator) {
    auto samples = reduction_samples(generator);
    samples.push_back({{normal({2, 3}, generator)}, {{"dim", 0}, {"dtype", "float64"}}});
    samples.push_back({{randint(-4, 5, {2, 3}, i64, &generator)}, {{"dim", -1}, {"dtype", "float64"}}});
    return samples;
  };
  op.errors = reduction_errors;
  op.linear_in = {0};
  op.cost = [](const Tensors& in, const nlohmann::json&) -> Cost {
    return {static_cast<double>(in[0].numel()), static_cast<double>(in[0].nbytes())};
  };
  return op;
}

}  // namespace

Op sum_op() {
  Op op = sum_like_op("sum", "sum of input over the axes dim (all when null)", lucid::sum);
  op.samples = [floats = op.samples](Generator& generator) {
    return joined(floats(generator), integer_samples(generator));
  };
  op.exact_on_integers = true;
  return op;
}

Op mean_op() {
  Op op = sum_like_op("mean", "mean of input over the axes dim (all when null)", lucid::mean);
  op.errors = [] {
    auto errors = reduction_errors();
    errors.push_back({{ones({2, 3}, i64)}, {}, "int64"});
    return errors;
  };
  return op;
}

Op sum_to_op() {
  return {.name = "sum_to",
          .doc = "sum of input over the axes along which shape broadcasts to input's: the adjoint of expand",
          .inputs = {{"input"}},
          .defaults = default_options<SumToOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            return {lucid::sum_to(in[0], read_options<SumToOptions>("sum_to", given).shape)};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            return {{{normal({2, 3, 4}, generator)}, {{"shape", {3, 1}}}},
                    {{normal({2, 3, 4}, generator)}, {{"shape", Shape{}}}},
                    {{normal({2, 3, 2, 3, 4}, generator)}, {{"shape", {1, 3, 1, 1, 1}}}},
                    {{normal({2, 3}, generator)}, {{"shape", {2, 3}}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2, 3}, f64)}, {{"shape", {2}}}, "(2)"},
                    {{ones({3}, f64)}, {{"shape", {2, 3}}}, "(2, 3)"}};
          },
          .linear_in = {0},
          .exact_on_integers = true};
}

}  // namespace ops

Tensor Tensor::sum(const std::vector<std::int64_t>& dims, bool keepdim) const {
  return lucid::sum(*this, dims, keepdim);
}
Tensor Tensor::mean(const std::vector<std::int64_t>& dims, bool keepdim) const {
  return lucid::mean(*this, dims, keepdim);
}
Tensor Tensor::sum_to(const Shape& shape) const { return lucid::sum_to(*this, shape); }

}  // namespace lucid
