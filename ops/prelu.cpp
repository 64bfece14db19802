// prelu: leaky_relu with a learned slope for each channel.

#include "autograd/record.hpp"
#include "ops/activation.hpp"
#include "ops/compare.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"
#include "ops/select.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using autograd::NoOptions;

// (C, 1, 1, ...): what broadcasts along axis 1 of `input`; () for a single value.
Shape weight_shape(const Tensor& input, const Tensor& weight) {
  if (weight.numel() == 1) return {};
  Shape shape = Shape::filled(input.shape().size() - 1, 1);
  shape[0] = weight.numel();
  return shape;
}

// `weight` in that shape; not recorded.
Tensor along_channels(const Tensor& input, const Tensor& weight) {
  const Shape shape = weight_shape(input, weight);
  Strides strides = Shape::filled(shape.size(), 1);
  if (!shape.empty()) strides[0] = weight.strides()[0];
  return alias(weight, shape, strides, weight.offset());
}

// saved: input, weight
Tensors prelu_backward(const Backward<NoOptions>& b) {
  const Tensor &grad = b.grad(), &x = b.saved[0], &weight = b.saved[1];
  const Shape shape = weight_shape(x, weight);
  Tensors out(2);
  if (autograd::is_recording()) {
    if (b.wants[0]) out[0] = where(x > 0.0, grad, grad * weight.reshape(shape));
    if (b.wants[1]) out[1] = where(x > 0.0, 0.0, grad * x).sum_to(shape).reshape(weight.shape());
    return out;
  }
  if (b.wants[0]) {
    const Tensor slopes = along_channels(x, weight);
    const kernels::Operands operands("prelu", x, slopes, x.dtype());
    out[0] = empty_like(x);
    dispatch_floating("prelu", x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      kernels::map<T, T, T, T>(out[0], grad, operands.a, operands.b,
                               [](auto g, auto value, auto slope) { return value > 0 ? g : g * slope; });
    });
  }
  if (b.wants[1]) {
    const Tensor terms = empty_like(x);
    dispatch_floating("prelu", x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      kernels::map<T, T, T>(terms, grad, x,
                            [](auto g, auto value) { return value > 0 ? decltype(g)(0) : g * value; });
    });
    out[1] = terms.sum_to(shape).reshape(weight.shape());
  }
  return out;
}

}  // namespace

Tensor prelu(const Tensor& input, const Tensor& weight) {
  const autograd::OpTimer timer("prelu");
  check(input.defined(), "prelu", "the tensor is undefined");
  check(weight.defined(), "prelu", "the weight is undefined");
  const std::int64_t channels = input.dim() > 1 ? input.size(1) : 1;
  check(weight.dim() <= 1 && (weight.numel() == 1 || weight.numel() == channels), "prelu",
        "weight has shape ", weight.shape(), ", input ", input.shape(), "; a weight of ",
        channels == 1 ? std::string("1 value") : str("1 or ", channels, " values"), " is required");
  check(weight.dtype() == input.dtype(), "prelu", "weight has dtype ", weight.dtype(), ", input ",
        input.dtype(), "; the same is required");
  const Tensor slopes = along_channels(input, weight);
  const Tensor out = empty_like(input);
  const auto value = [](auto x, auto slope) { return x > 0 ? x : x * slope; };
  dispatch_floating("prelu", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::map<T, T, T>(out, input, slopes, value);
  });
  return autograd::record("prelu", out, {input, weight}, {input, weight}, NoOptions{}, prelu_backward);
}

namespace ops {

Op prelu_op() {
  return {.name = "prelu",
          .doc = "input where it is positive, else weight * input; weight (1) or (C) for input (N, C, ...)",
          .inputs = {{"input"}, {"weight"}},
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            read_options<NoOptions>("prelu", options);
            return {lucid::prelu(in[0], in[1])};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            const auto input = [&](const Shape& shape) { return away_from_zero(normal(shape, generator)); };
            return {{{input({2, 3, 2, 3, 4}), normal({3}, generator)}},
                    {{input({2, 3, 2, 3, 4}), normal({1}, generator)}},
                    {{input({4, 3}), normal({3}, generator)}},
                    {{input({5}), normal({}, generator)}},
                    {{input({}), normal({1}, generator)}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2, 3, 4}), ones({2})}, {}, "weight has shape (2)"},
                    {{ones({2, 3}), ones({3}, f64)}, {}, "float64"},
                    {{ones({2, 3}), ones({3, 1})}, {}, "(3, 1)"}};
          },
          .linear_in = {1}};
}

}  // namespace ops
}  // namespace lucid
