#include "ops/conv_samples.hpp"

#include <nlohmann/json.hpp>

#include "ops/samples.hpp"

namespace lucid::ops {
namespace {

using nlohmann::json;

// One call on three axes; for fewer axes the first ones are dropped from every size and list.
struct Call {
  std::int64_t batch, in_channels, out_channels;  // batch 0: no batch axis
  Dims3 size, kernel;
  json options;
  bool bias = true;
};

Shape with_sizes(Shape shape, const Dims3& sizes, std::size_t axes) {
  for (std::size_t i = 3 - axes; i < 3; ++i) shape.push_back(sizes[i]);
  return shape;
}

json for_axes(json options, std::size_t axes) {
  for (auto& [key, value] : options.items())
    if (value.is_array()) value.erase(value.begin(), value.end() - static_cast<std::ptrdiff_t>(axes));
  return options;
}

Sample sample_of(const Call& call, std::size_t axes, bool transposed, Generator& generator) {
  const std::int64_t groups = call.options.value("groups", 1);
  const Shape input = call.batch ? Shape{call.batch, call.in_channels} : Shape{call.in_channels};
  const Shape weight = transposed ? Shape{call.in_channels, call.out_channels / groups}
                                  : Shape{call.out_channels, call.in_channels / groups};
  return {{normal(with_sizes(input, call.size, axes), generator),
           normal(with_sizes(weight, call.kernel, axes), generator),
           call.bias ? normal({call.out_channels}, generator) : Tensor()},
          for_axes(call.options, axes)};
}

Tensor filled(Shape shape, std::int64_t size, std::size_t axes) {
  return ones(with_sizes(std::move(shape), Dims3(size), axes), f64);
}

// What convolutions of both kinds refuse; `weight` fits two input and three output channels.
std::vector<ErrorCase> common_errors(std::size_t axes, const Tensor& weight) {
  const Tensor x = filled({1, 2}, 4, axes), bias = ones({3}, f64);
  const json none = json::object();
  return {{{x, weight, bias}, {{"stride", 0}}, "stride on axis"},
          {{x, weight, bias}, {{"stride", -2}}, "is -2"},
          {{x, weight, bias}, {{"padding", -1}}, "padding on axis"},
          {{x, weight, bias}, {{"dilation", 0}}, "dilation on axis"},
          {{x, weight, bias}, {{"dilation", std::int64_t{1} << 62}}, "4611686018427387904"},
          {{x, weight, bias}, {{"groups", 0}}, "groups is 0"},
          {{x, weight, bias}, {{"groups", 4}}, "groups 4"},
          {{x, weight, bias}, {{"stride", json::array()}}, "[]"},
          {{x, weight, bias}, {{"stride", 1.5}}, "1.5"},
          {{x, weight, bias}, {{"dilation", {1, 1, 1, 1}}}, "[1,1,1,1]"},
          {{x, weight, bias}, {{"kernel", 3}}, "kernel"},
          {{x, weight, ones({2}, f64)}, none, "(2)"},
          {{x, weight, ones({3, 1}, f64)}, none, "(3, 1)"},
          {{filled({3, 2, 2, 2}, 2, axes), weight, bias}, none, "rank " + std::to_string(axes + 4)},
          {{ones({2}, f64), weight, bias}, none, "rank 1"},
          {{x, ones({2}, f64), bias}, none, "weight of shape (2)"},
          {{filled({1, 5}, 4, axes), weight, bias}, none, "5 channels"},
          {{x.to(f32), weight, bias}, none, "weight is float64"},
          {{x, weight, bias.to(f32)}, none, "bias is float32"},
          {{x.to(i64), weight.to(i64), bias.to(i64)}, none, "int64"},
          {{x, filled({weight.shape()[0], weight.shape()[1]}, 0, axes), bias}, none, "kernel size on axis"}};
}

}  // namespace

std::vector<Sample> conv_samples(std::size_t axes, Generator& generator) {
  const std::vector<Call> calls = {
      {2, 2, 3, {3, 4, 5}, {2, 3, 3}, {{"stride", 1}}},
      {1, 3, 2, {3, 4, 4}, 3, {{"padding", 1}}, false},
      {2, 1, 2, {4, 5, 6}, {2, 2, 3}, {{"stride", {2, 1, 2}}, {"padding", {1, 0, 1}}}},
      {1, 2, 2, {5, 5, 6}, {2, 3, 2}, {{"dilation", {3, 2, 2}}, {"padding", {0, 1, 1}}}, false},
      {1, 4, 6, {2, 3, 3}, {1, 2, 2}, {{"groups", 2}, {"padding", "valid"}}},
      {1, 3, 3, {3, 3, 4}, {2, 2, 3}, {{"groups", 3}, {"padding", "same"}}, false},  // depthwise
      {1, 2, 2, {4, 5, 7}, {2, 1, 2}, {{"stride", {3, 3, 4}}}, false},               // gaps between kernels
      {2, 2, 2, {3, 3, 4}, {2, 2, 4}, {{"padding", "same"}, {"dilation", {1, 3, 1}}}},
      {1, 1, 1, 1, 1, {{"stride", 2}}},
      {1, 2, 1, 1, 3, {{"padding", 1}}, false},
      {0, 2, 3, {2, 3, 4}, 2, {{"padding", {0, 1, 0}}}}};
  std::vector<Sample> samples;
  for (const Call& call : calls) samples.push_back(sample_of(call, axes, false, generator));
  return samples;
}

std::vector<Sample> conv_transpose_samples(std::size_t axes, Generator& generator) {
  const std::vector<Call> calls = {
      {2, 2, 3, {2, 3, 2}, {2, 3, 3}, {{"stride", 1}}},
      {1, 3, 2, {2, 2, 3}, 2, {{"stride", 2}}, false},
      {2, 2, 1, {2, 2, 3}, {3, 3, 2}, {{"stride", 2}, {"padding", {1, 1, 0}}, {"output_padding", {1, 0, 1}}}},
      {1,
       2,
       2,
       {2, 3, 3},
       {2, 2, 3},
       {{"stride", {1, 2, 3}}, {"dilation", {2, 1, 2}}, {"padding", {0, 1, 2}}},
       false},
      {1, 1, 2, {2, 2, 4}, {2, 2, 2}, {{"dilation", {1, 2, 3}}, {"output_padding", {0, 1, 2}}}},
      {1, 4, 6, {2, 2, 2}, {1, 2, 3}, {{"groups", 2}, {"stride", {1, 2, 2}}, {"padding", {0, 0, 1}}}},
      {1, 3, 3, {2, 2, 3}, {2, 3, 2}, {{"groups", 3}, {"stride", 2}}, false},           // depthwise
      {1, 2, 1, {2, 2, 2}, {2, 1, 2}, {{"stride", {3, 3, 4}}, {"output_padding", 2}}},  // gaps between
                                                                                        // kernels
      {1, 1, 1, 1, 1, {{"stride", 3}, {"output_padding", 1}}, false},
      {1, 2, 2, 1, 3, {{"padding", 1}}},
      {0, 2, 2, {2, 1, 3}, 2, {{"stride", {2, 1, 2}}}}};
  std::vector<Sample> samples;
  for (const Call& call : calls) samples.push_back(sample_of(call, axes, true, generator));
  return samples;
}

std::vector<ErrorCase> conv_errors(std::size_t axes) {
  const Tensor x = filled({1, 2}, 4, axes), weight = filled({3, 2}, 3, axes), bias = ones({3}, f64);
  auto errors = common_errors(axes, weight);
  errors.push_back({{x, filled({3, 2}, 5, axes), bias}, json::object(), "kernel 5"});
  errors.push_back({{x, weight, bias}, {{"padding", "same"}, {"stride", 2}}, "stride 1"});
  errors.push_back({{x, weight, bias}, {{"padding", "reflect"}}, "reflect"});
  errors.push_back({{x, weight, bias}, {{"padding", std::int64_t{1} << 62}}, "4611686018427387904"});
  if (axes == 3) errors.push_back({{x, weight, bias}, {{"padding", std::int64_t{1} << 32}}, "4294967296"});
  return errors;
}

std::vector<ErrorCase> conv_transpose_errors(std::size_t axes) {
  const Tensor x = filled({1, 2}, 4, axes), weight = filled({2, 3}, 3, axes), bias = ones({3}, f64);
  auto errors = common_errors(axes, weight);
  errors.push_back({{x, weight, bias}, {{"stride", 2}, {"output_padding", 3}}, "valid are 0 to 1"});
  errors.push_back({{x, weight, bias}, {{"output_padding", -1}}, "is -1"});
  errors.push_back({{x, weight, bias}, {{"padding", 3}}, "padding on axis"});
  errors.push_back({{x, weight, bias}, {{"stride", std::int64_t{1} << 62}}, "4611686018427387904"});
  errors.push_back({{filled({1, 2}, 0, axes), weight, bias}, json::object(), "size 0"});
  errors.push_back({{x, filled({3, 2}, 3, axes), bias}, json::object(), "expects 3"});
  if (axes == 3)
    errors.push_back({{x, weight, bias}, {{"dilation", (std::int64_t{1} << 32) + 1}}, "4294967297"});
  return errors;
}

std::vector<FormSample> conv_form_samples(Generator& generator) {
  struct Draw {
    ConvGeometry geometry;
    std::int64_t batch, x_channels, y_channels;
  };
  const std::vector<Draw> draws = {
      {{.padding = 1, .x = {3, 2, 3}, .kernel = 3, .y = {3, 2, 3}}, 1, 2, 1},
      {{.stride = {2, 1, 3}, .x = {4, 3, 5}, .kernel = {2, 2, 1}, .y = {2, 2, 2}}, 2, 1, 2},
      {{.transposed = true, .groups = 2, .stride = 2, .x = {4, 4, 5}, .kernel = 2, .y = 2}, 1, 4, 2},
      {{.groups = 3, .dilation = {1, 2, 1}, .x = {2, 4, 3}, .kernel = {1, 2, 2}, .y = {2, 2, 2}}, 1, 3, 3},
      // positions of y that touch nothing, and elements of x that nothing touches
      {{.stride = {1, 3, 1}, .padding = {2, 0, 1}, .x = {2, 7, 2}, .kernel = {2, 1, 2}, .y = {6, 2, 5}},
       1,
       1,
       2},
      {{.axes = 2,
        .transposed = true,
        .stride = {1, 2, 1},
        .x = {1, 5, 3},
        .kernel = {1, 3, 2},
        .y = {1, 2, 2}},
       2,
       2,
       3},
      {{.axes = 1, .padding = {0, 0, 1}, .x = {1, 1, 4}, .kernel = {1, 1, 3}, .y = {1, 1, 4}}, 0, 2, 2}};
  std::vector<FormSample> samples;
  for (const Draw& draw : draws) {
    const ConvGeometry& g = draw.geometry;
    const auto activation = [&](std::int64_t channels, const Dims3& sizes) {
      return normal(with_sizes(draw.batch ? Shape{draw.batch, channels} : Shape{channels}, sizes, g.axes),
                    generator);
    };
    samples.push_back(
        {g, activation(draw.x_channels, g.x),
         normal(with_sizes({draw.y_channels, draw.x_channels / g.groups}, g.kernel, g.axes), generator),
         activation(draw.y_channels, g.y)});
  }
  return samples;
}

Cost conv_cost(const ConvGeometry& g, std::int64_t batch, std::int64_t x_channels, std::int64_t y_channels,
               DType dtype) {
  const auto volume = [](const Dims3& sizes) {
    return static_cast<double>(sizes[0]) * static_cast<double>(sizes[1]) * static_cast<double>(sizes[2]);
  };
  const auto n = static_cast<double>(batch), cx = static_cast<double>(x_channels),
             cy = static_cast<double>(y_channels);
  const double weights = cy * cx / static_cast<double>(g.groups) * volume(g.kernel);
  const double elements = n * cx * volume(g.x) + n * cy * volume(g.y) + weights;
  return {2.0 * n * weights * volume(g.y), elements * static_cast<double>(size_of(dtype))};
}

}  // namespace lucid::ops
