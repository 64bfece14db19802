#include "autograd/record.hpp"
#include "ops/autocast.hpp"
#include "ops/conv.hpp"
#include "ops/conv_form.hpp"
#include "ops/conv_grad.hpp"
#include "ops/conv_samples.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"

namespace lucid {

LUCID_OPTIONS(ConvTranspose1dOptions, stride, padding, output_padding, dilation, groups)
LUCID_OPTIONS(ConvTranspose2dOptions, stride, padding, output_padding, dilation, groups)
LUCID_OPTIONS(ConvTranspose3dOptions, stride, padding, output_padding, dilation, groups)

namespace {

using autograd::Backward;

// What the node of a transposed convolution keeps: the caller's options, and what they came to.
template <std::size_t N>
struct RecordedTranspose {
  ConvTransposeOptions<N> options;
  ops::ConvGeometry geometry;
};
template <std::size_t N>
void to_json(nlohmann::json& out, const RecordedTranspose<N>& recorded) {
  lucid::to_json(out, recorded.options);
}

// The input is the form's y and the output its x: the input's gradient is a convolution of the output's.
template <std::size_t N>
Tensors conv_transpose_backward(const Backward<RecordedTranspose<N>>& b) {
  const ops::ConvGeometry& g = b.options.geometry;
  Tensors out(3);
  if (b.wants[0]) out[0] = ops::conv_output(b.grad(), b.saved[1], g);
  if (b.wants[1]) out[1] = ops::conv_weight_grad(b.grad(), b.saved[0], g);
  if (b.wants[2]) out[2] = ops::conv_bias_grad(b.grad(), N);
  return out;
}

template <std::size_t N>
Tensor conv_transpose(std::string_view op, const Tensor& given_input, const Tensor& given_weight,
                      const Tensor& given_bias, const ConvTransposeOptions<N>& options) {
  const autograd::OpTimer timer(op);
  const Tensor input = ops::autocast_operand(given_input), weight = ops::autocast_operand(given_weight),
               bias = ops::autocast_operand(given_bias);
  const ops::ConvGeometry geometry = ops::conv_transpose_geometry(op, input, weight, bias, options);
  Tensor out = ops::conv_form_x(geometry, input, weight, bias);
  // Each gradient needs the other operand only.
  return autograd::record(
      op, std::move(out), {input, weight, bias},
      {weight.requires_grad() ? input : Tensor(), input.requires_grad() ? weight : Tensor()},
      RecordedTranspose<N>{options, geometry}, conv_transpose_backward<N>);
}

}  // namespace

Tensor conv_transpose1d(const Tensor& input, const Tensor& weight, const Tensor& bias,
                        const ConvTranspose1dOptions& options) {
  return conv_transpose("conv_transpose1d", input, weight, bias, options);
}
Tensor conv_transpose2d(const Tensor& input, const Tensor& weight, const Tensor& bias,
                        const ConvTranspose2dOptions& options) {
  return conv_transpose("conv_transpose2d", input, weight, bias, options);
}
Tensor conv_transpose3d(const Tensor& input, const Tensor& weight, const Tensor& bias,
                        const ConvTranspose3dOptions& options) {
  return conv_transpose("conv_transpose3d", input, weight, bias, options);
}

namespace ops {
namespace {

template <std::size_t N, class Function>
Op conv_transpose_op(std::string name, std::string doc, Function function) {
  Op op{.name = std::move(name),
        .doc = std::move(doc),
        .inputs = {{"input"}, {"weight"}, {"bias", true}},
        .defaults = default_options<ConvTransposeOptions<N>>()};
  op.call = [name = op.name, function](const Tensors& in, const nlohmann::json& options) -> Tensors {
    return {function(in[0], in[1], in[2], read_options<ConvTransposeOptions<N>>(name, options))};
  };
  op.samples = [](Generator& generator) { return conv_transpose_samples(N, generator); };
  op.errors = [] { return conv_transpose_errors(N); };
  // Linear up to a constant: what the other operands add.
  op.linear_in = {0, 1, 2};
  op.exact_on_integers = true;
  op.cost = [name = op.name](const Tensors& in, const nlohmann::json& options) {
    const ConvGeometry g = conv_transpose_geometry(name, in[0], in[1], in[2],
                                                   read_options<ConvTransposeOptions<N>>(name, options));
    const bool batched = in[0].shape().size() == N + 2;
    return conv_cost(g, batched ? in[0].shape()[0] : 1, in[1].shape()[1] * g.groups, in[1].shape()[0],
                     in[0].dtype());
  };
  return op;
}

}  // namespace

Op conv_transpose1d_op() {
  return conv_transpose_op<1>(
      "conv_transpose1d",
      "transposed convolution of input (N, Cin, W) with weight (Cin, Cout / groups, kW) "
      "plus bias (Cout); linear in input and weight without a bias",
      lucid::conv_transpose1d);
}
Op conv_transpose2d_op() {
  return conv_transpose_op<2>(
      "conv_transpose2d",
      "transposed convolution of input (N, Cin, H, W) with weight (Cin, Cout / groups, kH, "
      "kW) plus bias (Cout); linear in input and weight without a bias",
      lucid::conv_transpose2d);
}
Op conv_transpose3d_op() {
  return conv_transpose_op<3>(
      "conv_transpose3d",
      "transposed convolution of input (N, Cin, D, H, W) with weight (Cin, Cout / groups, "
      "kD, kH, kW) plus bias (Cout); linear in input and weight without a bias",
      lucid::conv_transpose3d);
}

}  // namespace ops
}  // namespace lucid
