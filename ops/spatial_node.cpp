#include "ops/spatial_node.hpp"

#include <nlohmann/json.hpp>

#include "ops/kernels/resample.hpp"

namespace lucid::ops {
namespace {

Tensors resample_backward(const autograd::Backward<SpatialNode>& b) {
  SpatialNode back = b.options;
  std::swap(back.op, back.adjoint);
  if (back.taps) back.taps = std::make_shared<const kernels::SpatialTaps>(kernels::transposed(*back.taps));
  back.input_shape = b.grad().shape();
  return {resample(b.grad(), b.options.input_shape, std::move(back))};
}

}  // namespace

void to_json(nlohmann::json& out, const SpatialNode& node) { out = node.options.json(); }

Shape result_shape(const Tensor& input, std::size_t spatial_rank, const Shape& out) {
  Shape shape = input.shape();
  for (std::size_t i = 0; i < spatial_rank; ++i) shape[shape.size() - 1 - i] = out[4 - i];
  return shape;
}

Tensor resample(const Tensor& input, const Shape& out_shape, SpatialNode node) {
  const autograd::OpTimer timer(node.op);
  Tensor out;
  if (node.taps) {
    const Tensor volume = kernels::as_volume(node.op, input, node.spatial_rank);
    out =
        kernels::from_volume(kernels::resample(volume, *node.taps), node.spatial_rank, input.shape().size());
  } else {
    out = zeros(out_shape, input.dtype());
  }
  const std::string_view op = node.op;
  return autograd::record(op, out, {input}, {}, std::move(node), resample_backward);
}

}  // namespace lucid::ops
