#include "ops/conv_joined.hpp"

#include <algorithm>

#include "autograd/record.hpp"
#include "ops/autocast.hpp"
#include "ops/conv_form.hpp"
#include "ops/conv_grad.hpp"
#include "ops/conv_samples.hpp"
#include "ops/join.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"
#include "ops/slice.hpp"

namespace lucid {

void to_json(nlohmann::json& out, const Conv3dOptions& options);  // beside conv3d
void from_json(const nlohmann::json& in, Conv3dOptions& options);

namespace {

using autograd::Backward;

constexpr std::string_view kOp = "conv3d_joined";

// What the node keeps: the caller's options, what they came to, and the channels of each input.
struct Recorded {
  Conv3dOptions options;
  ops::ConvGeometry geometry;
  std::vector<std::int64_t> channels;
};
void to_json(nlohmann::json& out, const Recorded& recorded) { lucid::to_json(out, recorded.options); }

// Of weight, bias, and each input; saved: weight, and each input.
Tensors backward(const Backward<Recorded>& b) {
  const ops::ConvGeometry& g = b.options.geometry;
  Tensors out(b.wants.size()), by_weight;
  const Tensor grad = b.grad().dim() == 5 ? b.grad().channels_last() : b.grad();  // once for all inputs
  std::int64_t first = 0;
  for (std::size_t i = 0; i < b.options.channels.size(); ++i) {
    const std::int64_t count = b.options.channels[i];
    if (b.wants[0]) by_weight.push_back(ops::conv_weight_grad(b.saved[1 + i], grad, g));
    if (b.wants[2 + i]) out[2 + i] = ops::conv_input_grad(grad, narrow(b.saved[0], 1, first, count), g);
    first += count;
  }
  if (b.wants[0]) out[0] = cat(by_weight, 1);
  if (b.wants[1]) out[1] = ops::conv_bias_grad(b.grad(), 3);
  return out;
}

// The inputs' shape joined; its axis of channels.
Shape joined_shape(const Tensors& inputs, std::size_t& axis) {
  check(!inputs.empty(), kOp, "no inputs given; at least one is required");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    check(inputs[i].defined(), kOp, "input ", i, " is undefined");
    check(inputs[i].dim() == 4 || inputs[i].dim() == 5, kOp, "input ", i, " has shape ", inputs[i].shape(),
          "; (N, C, D, H, W) or (C, D, H, W) is required");
    check(inputs[i].dtype() == inputs[0].dtype(), kOp, "input ", i, " is ", inputs[i].dtype(),
          ", the first is ", inputs[0].dtype(), "; one dtype is required: convert with .to(dtype)");
  }
  Shape shape = inputs[0].shape();
  axis = shape.size() - 4;
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    Shape expected = inputs[0].shape();
    if (inputs[i].shape().size() == shape.size()) expected[axis] = inputs[i].shape()[axis];
    check(inputs[i].shape() == expected, kOp, "input ", i, " has shape ", inputs[i].shape(),
          ", which does not fit ", inputs[0].shape(), " off axis ", axis);
    shape[axis] = checked_add(kOp, "channels", shape[axis], inputs[i].shape()[axis]);
  }
  return shape;
}

// What has a shape and a type, and no memory to speak of.
Tensor stand_in(const Shape& shape, DType dtype) {
  return alias(zeros({1}, dtype), shape, Shape::filled(shape.size(), 0), 0);
}

}  // namespace

Tensor conv3d_joined(const Tensors& given_inputs, const Tensor& given_weight, const Tensor& given_bias,
                     const Conv3dOptions& options) {
  const autograd::OpTimer timer(kOp);
  Tensors inputs;
  for (const Tensor& input : given_inputs) inputs.push_back(ops::autocast_operand(input));
  const Tensor weight = ops::autocast_operand(given_weight), bias = ops::autocast_operand(given_bias);
  std::size_t axis = 0;
  const Shape shape = joined_shape(inputs, axis);
  const ops::ConvGeometry geometry =
      ops::conv_geometry(kOp, stand_in(shape, inputs[0].dtype()), weight, bias, options);
  if (geometry.groups != 1)
    return conv3d(cat(inputs, static_cast<std::int64_t>(axis)), weight, bias, options);
  Tensor out = ops::conv_form_y(geometry, inputs, weight, bias);
  Recorded recorded{options, geometry, {}};
  Tensors operands{weight, bias}, saved{Tensor()};
  for (const Tensor& input : inputs) {
    operands.push_back(input);
    saved.push_back(weight.requires_grad() ? input : Tensor());
    if (input.requires_grad()) saved[0] = weight;
    recorded.channels.push_back(input.shape()[axis]);
  }
  autograd::record_all(kOp, std::span(&out, 1), operands, saved, recorded, backward);
  return out;
}

namespace ops {
namespace {

// A convolution's samples with the input cut in two or three.
std::vector<Sample> joined_samples(Generator& generator) {
  std::vector<Sample> out;
  for (Sample& sample : conv_samples(3, generator)) {
    const Tensor& x = sample.inputs[0];
    const std::int64_t axis = x.dim() - 4, channels = x.size(axis);
    Sample cut{{sample.inputs[1], sample.inputs[2]}, sample.options};
    for (std::int64_t first = 0; first < channels;) {
      const std::int64_t count = std::min(channels - first, 1 + first);
      cut.inputs.push_back(x.narrow(axis, first, count).contiguous());
      first += count;
    }
    out.push_back(std::move(cut));
  }
  return out;
}

}  // namespace

Op conv3d_joined_op() {
  return {.name = std::string(kOp),
          .doc =
              "convolution of inputs (N, Ci, D, H, W) joined along their channels with weight (Cout, sum of "
              "Ci, kD, "
              "kH, kW) plus bias (Cout)",
          .inputs = {{"weight"}, {"bias", true}, {.name = "inputs", .repeated = true}},
          .defaults = default_options<Conv3dOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {lucid::conv3d_joined({in.begin() + 2, in.end()}, in[0], in[1],
                                         read_options<Conv3dOptions>(kOp, options))};
          },
          .samples = joined_samples,
          .errors = []() -> std::vector<ErrorCase> {
            const Tensor weight = ones({3, 3, 2, 2, 2}, f64), x = ones({1, 2, 4, 4, 4}, f64),
                         one = ones({1, 1, 4, 4, 4}, f64);
            const OptionValues none;
            return {{{weight, Tensor(), x, ones({1, 1, 4, 4, 5}, f64)}, none, "(1, 1, 4, 4, 5)"},
                    {{weight, Tensor(), x}, none, "2 channels"},
                    {{weight, Tensor(), x, one.to(f32)}, none, "input 1 is float32"},
                    {{weight, Tensor(), x, ones({1}, f64)}, none, "input 1 has shape (1)"},
                    {{weight, Tensor(), x, one}, {{"stride", 0}}, "stride on axis"},
                    {{weight, ones({2}, f64), x, one}, none, "(2)"}};
          },
          .linear_in = {0, 1},
          .exact_on_integers = true,
          .cost =
              [](const Tensors& in, const nlohmann::json& options) {
                std::size_t axis = 0;
                const Tensor x = stand_in(joined_shape({in.begin() + 2, in.end()}, axis), in[2].dtype());
                const ConvGeometry g =
                    conv_geometry(kOp, x, in[0], in[1], read_options<Conv3dOptions>(kOp, options));
                return conv_cost(g, axis == 1 ? x.shape()[0] : 1, x.shape()[axis], in[0].shape()[0],
                                 x.dtype());
              }};
}

}  // namespace ops
}  // namespace lucid
