#include "ops/conv_form.hpp"

#include "ops/conv_plan.hpp"
#include "ops/conv_slabs.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/kernels/join.hpp"

namespace lucid::ops {
namespace {

// What kernels read in place, or else a copy.
Tensor in_voxel_order(const Tensor& tensor) { return voxel_gap(tensor) ? tensor : in_channels_last(tensor); }

Tensor contiguous(const Tensor& tensor) {
  if (tensor.is_contiguous()) return tensor;
  const Tensor out = empty(tensor.shape(), tensor.dtype());
  kernels::copy(out, tensor);
  return out;
}

// oneDNN takes a weight of any axis order, but no gaps and nothing expanded.
Tensor usable_weight(const Tensor& weight) { return weight.is_dense() ? weight : contiguous(weight); }

Tensor empty_activation(const Shape& shape, DType dtype) {
  return empty_strided(shape, channels_last_strides(shape), dtype);
}

Shape activation_shape(std::int64_t batch, std::int64_t channels, const Dims3& sizes) {
  return {batch, channels, sizes[0], sizes[1], sizes[2]};
}

ConvProblem problem_of(const ConvGeometry& g, std::int64_t batch, const Tensor& weight) {
  return {g, batch, weight.shape()[1], weight.shape()[0] / g.groups};
}

// What every position of the result holds when there is nothing to sum over.
void fill_with_bias(const Tensor& out, const Tensor& bias) {
  if (bias.defined())
    kernels::copy(out, alias(bias, {1, bias.numel(), 1, 1, 1}, {1, 1, 1, 1, 1}, bias.offset()));
  else
    kernels::copy(out, zeros({}, out.dtype()));
}

}  // namespace

Tensor conv_form_y(const ConvGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Tensor input = lifted(x, g.axes), w = lifted_weight(weight, g.axes);
  const std::int64_t batch = input.shape()[0];
  const Tensor out = empty_activation(activation_shape(batch, w.shape()[0], g.y), x.dtype());
  const Tensor b = bias.defined() ? contiguous(bias) : bias;
  if (out.numel() == 0 || input.numel() == 0)
    fill_with_bias(out, b);
  else
    run_conv_in_slabs(problem_of(g, batch, w), ConvPass::y, in_voxel_order(input), usable_weight(w), out, b);
  return lowered(out, g.axes, x.shape().size() == g.axes + 2);
}

Tensor conv_form_y(const ConvGeometry& g, std::span<const Tensor> parts, const Tensor& weight,
                   const Tensor& bias) {
  Tensors inputs;
  std::int64_t channels = 0, elements = 0;
  for (const Tensor& part : parts) {
    inputs.push_back(lifted(part, g.axes));
    channels += inputs.back().shape()[1];
    elements += part.numel();
  }
  const DType dtype = parts[0].dtype();
  const Tensor w = lifted_weight(weight, g.axes);
  const std::int64_t batch = inputs[0].shape()[0];
  if (dtype == f32 && elements > 0 && elements <= SlabLimits{}.whole) {
    const Tensor out = empty_activation(activation_shape(batch, w.shape()[0], g.y), dtype);
    if (out.numel() > 0 && out.numel() <= SlabLimits{}.whole &&
        run_conv_of_parts(problem_of(g, batch, w), inputs, usable_weight(w), out,
                          bias.defined() ? contiguous(bias) : bias))
      return lowered(out, g.axes, parts[0].shape().size() == g.axes + 2);
  }
  const Tensor joined = empty_activation(activation_shape(batch, channels, g.x), dtype);
  kernels::concatenate(joined, inputs, 1);
  return conv_form_y(g, lowered(joined, g.axes, parts[0].shape().size() == g.axes + 2), weight, bias);
}

Tensor conv_form_x(const ConvGeometry& g, const Tensor& y, const Tensor& weight, const Tensor& bias) {
  const Tensor input = lifted(y, g.axes), w = lifted_weight(weight, g.axes);
  const std::int64_t batch = input.shape()[0];
  const Tensor out = empty_activation(activation_shape(batch, w.shape()[1] * g.groups, g.x), y.dtype());
  const Tensor b = bias.defined() ? contiguous(bias) : bias;
  if (out.numel() == 0 || input.numel() == 0)
    fill_with_bias(out, b);
  else
    run_conv_in_slabs(problem_of(g, batch, w), ConvPass::x, out, usable_weight(w), in_channels_last(input),
                      b);
  return lowered(out, g.axes, y.shape().size() == g.axes + 2);
}

Tensor conv_form_w(const ConvGeometry& g, const Tensor& x, const Tensor& y) {
  const Tensor input = lifted(x, g.axes), grad = lifted(y, g.axes);
  const Tensor out =
      empty({grad.shape()[1], input.shape()[1] / g.groups, g.kernel[0], g.kernel[1], g.kernel[2]},
            x.dtype() == bf16 ? f32 : x.dtype());
  if (out.numel() == 0 || input.numel() == 0 || grad.numel() == 0)
    fill_with_bias(out, {});
  else
    run_conv_in_slabs(problem_of(g, input.shape()[0], out), ConvPass::w, in_voxel_order(input), out,
                      in_channels_last(grad));
  Shape shape = out.shape();
  for (std::size_t i = g.axes; i < 3; ++i) shape.erase(2);
  return kernels::converted(alias(out, shape, contiguous_strides(shape), out.offset()), x.dtype());
}

}  // namespace lucid::ops
