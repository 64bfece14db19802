// Depthwise convolutions against their definition.

#include <doctest/doctest.h>

#include <vector>

#include "conv_naive.hpp"
#include "ops/conv_form.hpp"
#include "ops/direct/depthwise_lines.hpp"
#include "ops/direct/depthwise_window.hpp"
#include "ops/plan_stats.hpp"

using namespace lucid;
using namespace naive;

TEST_CASE("depthwise convolutions are exact on small integers, whatever their windows hold") {
  Generator generator(41);
  const auto integers = [&](const Shape& shape) { return randint(-3, 4, shape, f32, &generator); };
  const auto form = [](std::int64_t batch, std::int64_t channels, Dims3 padding, Dims3 dilation, Dims3 x,
                       Dims3 kernel, Dims3 stride = 1) {
    Form p{batch, channels, channels, channels, stride, padding, dilation, x, kernel, 0};
    for (std::size_t i = 0; i < 3; ++i)
      p.y[i] = (x[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) / stride[i] + 1;
    return p;
  };
  struct Case {
    Form form;
    bool has_window;
  };
  const std::vector<Case> cases{
      {form(1, 50, 1, 1, {5, 21, 17}, 3), true},               // channels beyond whole vectors
      {form(3, 7, {3, 0, 2}, 1, {4, 6, 9}, {4, 3, 3}), true},  // padding of a whole kernel
      {form(1, 100, 3, 1, {9, 24, 30}, 7), true},              // several blocks of channels
      {form(1, 64, {0, 1, 3}, 1, {1, 9, 8}, {1, 3, 6}), true},
      {form(2, 20, {0, 4, 5}, 1, {3, 11, 4}, {3, 3, 5}), true},
      {form(1, 33, {2, 3, 0}, 1, {6, 8, 12}, {3, 3, 4}), true},
      {form(1, 33, {2, 3, 0}, {2, 3, 1}, {6, 8, 12}, {3, 3, 4}), false},  // dilation
      {form(2, 20, {0, 4, 9}, 1, {3, 11, 4}, {3, 3, 5}), false},          // lines of zeros
      {form(1, 2, 1, 1, {3, 3, 700}, 3), false},                          // lines beyond a cache
      {form(2, 3, 0, 1, {3, 3, 3}, 3), false},
      {form(2, 20, 1, 1, {4, 12, 10}, 4, 2), false},  // several rows by the same taps
      {form(1, 35, {1, 2, 1}, 1, {5, 21, 17}, 3, 2), false},
      {form(1, 9, 0, 1, {4, 12, 6}, 2, 2), false},
      {form(1, 16, {0, 2, 2}, {1, 2, 1}, {2, 17, 16}, {2, 3, 6}, {1, 2, 2}), false},
      {form(1, 8, {0, 1, 1}, 1, {1, 28, 9}, {1, 3, 3}, {1, 3, 1}), false}};
  for (const Case& c : cases)
    for (const bool transposed : {false, true}) {
      const Form& p = c.form;
      INFO(text(p, transposed));
      const ops::ConvGeometry g = geometry_of(p, transposed);
      CHECK(direct::has_depthwise_window({g, p.batch, 1, 1}) == c.has_window);
      const Tensor x = integers(p.x_shape()), w = integers(p.weight_shape()), y = integers(p.y_shape()),
                   bias = integers({p.x_channels}), beside = bias.reshape({1, p.x_channels, 1, 1, 1});
      const Tensor strided = w.transpose(0, 4).clone().transpose(0, 4);
      const Tensor expected_y = y_of(p, x, w), expected_x = x_of(p, y, w);
      CHECK(distance(ops::conv_form_y(g, x, w, bias), expected_y + beside) == 0);
      CHECK(plan_stats().last_implementation == "lucid:depthwise");
      CHECK(distance(ops::conv_form_y(g, x, strided), expected_y) == 0);
      CHECK(distance(ops::conv_form_x(g, y, w, bias), expected_x + beside) == 0);
      CHECK(distance(ops::conv_form_x(g, y, strided), expected_x) == 0);
      CHECK(distance(ops::conv_form_w(g, x, y), w_of(p, x, y)) == 0);
    }
}

TEST_CASE("a packed line of depthwise channels is written whole, zeros included") {
  const direct::DepthwiseLines lines{2, 9, 4, 21,
                                     32};  // two voxels of zeros, four of 21 channels, three of zeros
  std::vector<float> from(4 * 21), to(static_cast<std::size_t>(lines.line_size()), 7);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<float>(i + 1);
  lines.pack(from.data(), 0, to.data());
  const std::int64_t lanes = direct::register_lanes<float>();
  for (std::int64_t c = 0; c < 21; c += lanes)
    for (std::int64_t v = 0; v < lines.voxels; ++v)
      for (std::int64_t i = 0; i < lanes; ++i) {
        const bool is_there = v >= 2 && v < 6 && c + i < 21;
        const float expected = is_there ? static_cast<float>((v - 2) * 21 + c + i + 1) : 0;
        CHECK(to[static_cast<std::size_t>(c * lines.voxels + v * lanes + i)] == expected);
      }
}
