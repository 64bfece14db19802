#include "ops/conv.hpp"

#include "autograd/record.hpp"
#include "ops/autocast.hpp"
#include "ops/conv_form.hpp"
#include "ops/conv_grad.hpp"
#include "ops/conv_samples.hpp"
#include "ops/json_options.hpp"
#include "ops/registry.hpp"

namespace lucid {

template <std::size_t N>
void to_json(nlohmann::json& out, const Padding<N>& padding) {
  switch (padding.mode()) {
    case Padding<N>::Mode::same: out = "same"; break;
    case Padding<N>::Mode::valid: out = "valid"; break;
    default: out = padding.amounts();
  }
}

template <std::size_t N>
void from_json(const nlohmann::json& in, Padding<N>& padding) {
  padding = in.is_string() ? Padding<N>(std::string_view(in.get_ref<const std::string&>()))
                           : Padding<N>(in.get<Dims<N>>());
}

LUCID_OPTIONS(Conv1dOptions, stride, padding, dilation, groups)
LUCID_OPTIONS(Conv2dOptions, stride, padding, dilation, groups)
LUCID_OPTIONS(Conv3dOptions, stride, padding, dilation, groups)

namespace {

using autograd::Backward;

// What the node of a convolution keeps: the caller's options, and what they came to.
template <std::size_t N>
struct Recorded {
  ConvOptions<N> options;
  ops::ConvGeometry geometry;
};
template <std::size_t N>
void to_json(nlohmann::json& out, const Recorded<N>& recorded) {
  lucid::to_json(out, recorded.options);
}

template <std::size_t N>
Tensors conv_backward(const Backward<Recorded<N>>& b) {
  const ops::ConvGeometry& g = b.options.geometry;
  Tensors out(3);
  if (b.wants[0]) out[0] = ops::conv_input_grad(b.grad(), b.saved[1], g);
  if (b.wants[1]) out[1] = ops::conv_weight_grad(b.saved[0], b.grad(), g);
  if (b.wants[2]) out[2] = ops::conv_bias_grad(b.grad(), N);
  return out;
}

template <std::size_t N>
Tensor conv(std::string_view op, const Tensor& given_input, const Tensor& given_weight,
            const Tensor& given_bias, const ConvOptions<N>& options) {
  const autograd::OpTimer timer(op);
  const Tensor input = ops::autocast_operand(given_input), weight = ops::autocast_operand(given_weight),
               bias = ops::autocast_operand(given_bias);
  const ops::ConvGeometry geometry = ops::conv_geometry(op, input, weight, bias, options);
  Tensor out = ops::conv_form_y(geometry, input, weight, bias);
  // Each gradient needs the other operand only.
  return autograd::record(
      op, std::move(out), {input, weight, bias},
      {weight.requires_grad() ? input : Tensor(), input.requires_grad() ? weight : Tensor()},
      Recorded<N>{options, geometry}, conv_backward<N>);
}

}  // namespace

Tensor conv1d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Conv1dOptions& options) {
  return conv("conv1d", input, weight, bias, options);
}
Tensor conv2d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options) {
  return conv("conv2d", input, weight, bias, options);
}
Tensor conv3d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Conv3dOptions& options) {
  return conv("conv3d", input, weight, bias, options);
}

namespace ops {
namespace {

template <std::size_t N, class Function>
Op conv_op(std::string name, std::string doc, Function function) {
  Op op{.name = std::move(name),
        .doc = std::move(doc),
        .inputs = {{"input"}, {"weight"}, {"bias", true}},
        .defaults = default_options<ConvOptions<N>>()};
  op.call = [name = op.name, function](const Tensors& in, const nlohmann::json& options) -> Tensors {
    return {function(in[0], in[1], in[2], read_options<ConvOptions<N>>(name, options))};
  };
  op.samples = [](Generator& generator) { return conv_samples(N, generator); };
  op.errors = [] { return conv_errors(N); };
  // Linear up to a constant: what the other operands add.
  op.linear_in = {0, 1, 2};
  op.exact_on_integers = true;
  op.cost = [name = op.name](const Tensors& in, const nlohmann::json& options) {
    const ConvGeometry g =
        conv_geometry(name, in[0], in[1], in[2], read_options<ConvOptions<N>>(name, options));
    const bool batched = in[0].shape().size() == N + 2;
    return conv_cost(g, batched ? in[0].shape()[0] : 1, in[0].shape()[batched], in[1].shape()[0],
                     in[0].dtype());
  };
  return op;
}

}  // namespace

Op conv1d_op() {
  return conv_op<1>(
      "conv1d",
      "convolution of input (N, Cin, W) with weight (Cout, Cin / groups, kW) plus bias (Cout); linear "
      "in input and weight without a bias",
      lucid::conv1d);
}
Op conv2d_op() {
  return conv_op<2>(
      "conv2d",
      "convolution of input (N, Cin, H, W) with weight (Cout, Cin / groups, kH, kW) plus bias (Cout); "
      "linear in input and weight without a bias",
      lucid::conv2d);
}
Op conv3d_op() {
  return conv_op<3>(
      "conv3d",
      "convolution of input (N, Cin, D, H, W) with weight (Cout, Cin / groups, kD, kH, kW) plus bias "
      "(Cout); linear in input and weight without a bias",
      lucid::conv3d);
}

}  // namespace ops
}  // namespace lucid
