// Convolutions of few channels, whose vectors lie along other channels or sums, and gradients of many,
// against their definition.

#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "conv_naive.hpp"
#include "ops/conv.hpp"
#include "ops/direct/conv.hpp"
#include "ops/direct/dots.hpp"
#include "ops/direct/patch_sums.hpp"
#include "ops/direct/sliding.hpp"
#include "ops/direct/weight_share_y_rows.hpp"
#include "ops/plan_stats.hpp"

using namespace lucid;
using namespace naive;

namespace {

// Forms of one group with these channels.
std::vector<Form> forms_of(std::vector<std::int64_t> xs, std::vector<std::int64_t> ys, Generator& generator) {
  constexpr int kEach = 12;
  std::vector<Form> out;
  for (const std::int64_t x : xs)
    for (const std::int64_t y : ys)
      for (int i = 0; i < kEach; ++i) {
        Dims3 output_padding = 0;
        Form p = draw(generator, i % 2 == 1, &output_padding);
        p.groups = 1, p.x_channels = x, p.y_channels = y;
        out.push_back(p);
      }
  return out;
}

Tensor integers(const Shape& shape, Generator& generator) { return randint(-3, 4, shape, f32, &generator); }
// With whatever lies in front of and behind the channels of each voxel.
Tensor within_wider(const Tensor& x) {
  const Shape& s = x.shape();
  const Tensor wide = full({s[0], s[1] + 11, s[2], s[3], s[4]}, 1e6, f32).channels_last();
  const Tensor slice = wide.narrow(1, 3, s[1]);
  slice.copy_(x);
  return slice;
}

void check_weight_gradient(const Form& p, ops::ConvProblem problem, Generator& generator) {
  const Tensor x = integers(p.x_shape(), generator), y = integers(p.y_shape(), generator).channels_last(),
               made = full(p.weight_shape(), 7, f32), expected = w_of(p, x, y);
  direct::conv_weight_grad(problem, x.channels_last(), y, made);
  CHECK(distance(made, expected) == 0);
  problem.x_gap = 11;
  direct::conv_weight_grad(problem, within_wider(x), y, made);
  CHECK(distance(made, expected) == 0);
}

}  // namespace

TEST_CASE("dot products write their columns and nothing beside them") {
  constexpr std::int64_t kDepth = 16, kMostRows = 19, kMostStep = 9;
  constexpr float kUntouched = 7;
  Generator generator(31);
  const std::vector<float> a = randint(-3, 4, {2 * kMostRows * kDepth}, f32, &generator).to_vector<float>();
  const direct::RowsTerm term{0, 0};
  for (std::int64_t columns = 1; columns <= direct::kMostDots; ++columns)
    for (std::int64_t step = columns; step <= kMostStep; ++step)
      for (std::int64_t rows = 1; rows <= kMostRows; ++rows) {
        CAPTURE(columns);
        CAPTURE(step);
        CAPTURE(rows);
        const std::int64_t padded = direct::padded_dots(columns), line = kMostRows * kMostStep;
        std::vector<float> b(static_cast<std::size_t>(kDepth * padded)), start(8, 1.0f),
            c(static_cast<std::size_t>(2 * line), kUntouched);
        const auto b_at = [&](std::int64_t k, std::int64_t column) {
          return static_cast<std::size_t>((k / direct::kDotLanes * padded + column) * direct::kDotLanes +
                                          k % direct::kDotLanes);
        };
        for (std::int64_t k = 0; k < kDepth; ++k)
          for (std::int64_t j = 0; j < columns; ++j) b[b_at(k, j)] = static_cast<float>((k * 5 + j) % 7 - 3);
        direct::store_dots({.a = a.data(),
                            .a_row = kDepth,
                            .a_step = 1,
                            .b = b.data(),
                            .b_row = direct::kDotLanes,
                            .c = c.data(),
                            .c_row = step,
                            .rows = rows,
                            .depth = kDepth,
                            .columns = columns,
                            .terms = &term,
                            .lines = 2,
                            .a_line = kMostRows * kDepth,
                            .c_line = line,
                            .start = start.data()});
        std::vector<float> expected(c.size(), kUntouched);
        for (std::int64_t l = 0; l < 2; ++l)
          for (std::int64_t r = 0; r < rows; ++r)
            for (std::int64_t j = 0; j < columns; ++j) {
              float sum = 1;
              for (std::int64_t k = 0; k < kDepth; ++k)
                sum += a[static_cast<std::size_t>((l * kMostRows + r) * kDepth + k)] * b[b_at(k, j)];
              expected[static_cast<std::size_t>(l * line + r * step + j)] = sum;
            }
        CHECK(c == expected);
      }
}

TEST_CASE("dot products along channels are exact on integers both ways, from a slice of channels too") {
  Generator generator(31);
  for (const Form& p : forms_of({8, 24}, {1, 2, 3, 4}, generator)) {
    INFO(text(p, false));
    ops::ConvProblem problem{geometry_of(p, false), p.batch, p.x_channels, p.y_channels};
    REQUIRE(direct::has_dots(problem, false));
    const Tensor x = integers(p.x_shape(), generator), w = integers(p.weight_shape(), generator),
                 bias = integers({p.y_channels}, generator), made = full(p.y_shape(), 7, f32).channels_last();
    const Tensor expected = y_of(p, x, w);
    direct::conv_forward(problem, x.channels_last(), w, {}, made, {});
    CHECK(distance(made, expected) == 0);
    problem.x_gap = 11;
    direct::conv_forward(problem, within_wider(x), w, bias, made, {});
    CHECK(distance(made, expected + bias.reshape({1, p.y_channels, 1, 1, 1})) == 0);
  }
  for (const Form& p : forms_of({1, 2, 3, 4}, {8, 24}, generator)) {
    INFO(text(p, true));
    const ops::ConvProblem problem{geometry_of(p, true), p.batch, p.x_channels, p.y_channels};
    REQUIRE(direct::has_dots(problem, true));
    const Tensor y = integers(p.y_shape(), generator), w = integers(p.weight_shape(), generator),
                 bias = integers({p.x_channels}, generator), made = full(p.x_shape(), 7, f32).channels_last();
    direct::conv_transpose(problem, y.channels_last(), w, bias, made, {});
    CHECK(distance(made, x_of(p, y, w) + bias.reshape({1, p.x_channels, 1, 1, 1})) == 0);
  }
}

TEST_CASE("taps that share what they load are exact on integers both ways, from a slice of channels too") {
  Generator generator(33);
  const auto along_w = [](Dims3 at, std::int64_t value) {
    at[2] = value;
    return at;
  };
  // Any kernel, stride and dilation along D and H; padding up to beyond the kernel.
  const auto form = [&](bool to_x, std::int64_t from, std::int64_t to, std::int64_t width,
                        std::int64_t padding) {
    // As many as share no divisor with the counts of widths, paddings and channels.
    static constexpr std::int64_t kKernels[11] = {3, 2, 5, 3, 4, 7, 6, 2, 8, 3, 5},
                                  kStrides[13] = {1, 2, 1, 3, 1, 1, 2, 1, 3, 1, 2, 1, 1};
    static std::size_t count = 0;
    const std::int64_t stride = to_x ? 1 : kStrides[count % 13], groups = stride > 1 ? 1 : width % 3 + 1,
                       kernel = stride == 1 ? kKernels[count % 11] : stride * (2 + kKernels[count % 11] % 3);
    ++count;
    Dims3 output_padding = 0;
    Form p = draw(generator, to_x, &output_padding);
    p.groups = groups;
    (to_x ? p.y_channels : p.x_channels) = from * groups;
    (to_x ? p.x_channels : p.y_channels) = to * groups;
    p.kernel = along_w(p.kernel, kernel), p.stride = along_w(p.stride, stride);
    p.dilation = along_w(p.dilation, 1), p.padding = along_w(p.padding, padding);
    p.x = along_w(p.x, to_x ? width : (width - 1) * stride + kernel - 2 * padding);
    p.y = along_w(p.y, to_x ? width + 2 * padding - kernel + 1 : width);
    return p;
  };
  for (const bool to_x : {false, true})
    for (const std::int64_t from : {1, 3, 12})
      for (const std::int64_t to : {1, 5, 8, 15, 16, 24, 37})
        for (const std::int64_t width : {8, 9, 10, 13, 23})
          for (const std::int64_t padding : {0, 1, 2, 4}) {
            const Form p = form(to_x, from, to, width, padding);
            INFO(text(p, to_x));
            ops::ConvProblem problem{geometry_of(p, to_x), p.batch, p.x_channels / p.groups,
                                     p.y_channels / p.groups};
            CHECK(direct::has_sliding(problem, to_x ? ops::ConvPass::x : ops::ConvPass::y) ==
                  (to_x || (p.stride[1] <= p.kernel[1] && (p.kernel[2] == 3 || from <= 2 || to <= 8))));
            const Tensor w = integers(p.weight_shape(), generator),
                         bias = integers({to * p.groups}, generator),
                         added = bias.reshape({1, to * p.groups, 1, 1, 1});
            if (to_x) {
              const Tensor y = integers(p.y_shape(), generator),
                           made = full(p.x_shape(), 7, f32).channels_last();
              direct::conv_sliding(problem, ops::ConvPass::x, y.channels_last(), w, bias, made, {});
              CHECK(distance(made, x_of(p, y, w) + added) == 0);
              continue;
            }
            const Tensor x = integers(p.x_shape(), generator),
                         made = full(p.y_shape(), 7, f32).channels_last(), expected = y_of(p, x, w);
            direct::conv_sliding(problem, ops::ConvPass::y, x.channels_last(), w, {}, made, {});
            CHECK(distance(made, expected) == 0);
            problem.x_gap = 11;
            direct::conv_sliding(problem, ops::ConvPass::y, within_wider(x), w, bias, made, {});
            CHECK(distance(made, expected + added) == 0);
          }
}

TEST_CASE("large results from few channels equal those of their samples, exact on small integers") {
  Generator generator(36);
  for (const std::int64_t channels : {16, 32}) {
    const Tensor x = integers({channels == 16 ? 2 : 1, 1, 48, 64, 73}, generator).channels_last(),
                 w = integers({channels, 1, 3, 3, 3}, generator), bias = integers({channels}, generator);
    const Tensor y = conv3d(x, w, bias, {.padding = 1});
    CHECK(y.nbytes() >= direct::kBytesPastCaches);
    for (std::int64_t first = 0; first < 48; first += 16) {  // some planes, with those that they meet
      const std::int64_t begin = std::max<std::int64_t>(0, first - 1),
                         end = std::min<std::int64_t>(48, first + 17);
      const Tensor part = conv3d(x.narrow(2, begin, end - begin).channels_last(), w, bias, {.padding = 1});
      CHECK(distance(y.narrow(2, first, 16), part.narrow(2, first - begin, 16)) == 0);
    }
  }
}

TEST_CASE("patches are summed to few channels along the lines of x, exactly on integers") {
  Generator generator(35);
  struct Sums {
    std::int64_t x_channels, most_y_channels;
    Dims3 kernel;
  };
  for (const Sums& sums :
       {Sums{1, 4, {2, 2, 2}}, Sums{2, 4, {3, 2, 1}}, Sums{1, 2, {1, 2, 4}}, Sums{2, 2, {2, 1, 2}},
        Sums{4, 1, {1, 1, 2}}, Sums{1, 1, {2, 3, 8}}, Sums{3, 0, {2, 2, 2}}})
    for (std::int64_t channels = 1; channels <= 5; ++channels)
      for (const std::int64_t width : {1, 5, 16, 23, 64, 71}) {
        Form p{2, sums.x_channels, channels, 1, sums.kernel, 0, 1, {}, sums.kernel, {3, 7, width}};
        for (std::size_t axis = 0; axis < 3; ++axis)  // some voxels behind the last patch
          p.x[axis] = p.y[axis] * p.kernel[axis] + width % p.kernel[axis];
        INFO(text(p, false));
        ops::ConvProblem problem{geometry_of(p, false), p.batch, p.x_channels, p.y_channels};
        const bool fits = sums.x_channels * sums.kernel[2] <= direct::register_lanes<float>();
        REQUIRE(direct::has_patch_sums(problem) == (fits && channels <= sums.most_y_channels));
        if (!direct::has_patch_sums(problem)) continue;
        const Tensor x = integers(p.x_shape(), generator), w = integers(p.weight_shape(), generator),
                     bias = integers({channels}, generator), made = full(p.y_shape(), 7, f32).channels_last();
        const Tensor expected = y_of(p, x, w);
        direct::sum_patches(problem, x.channels_last(), w, {}, made);
        CHECK(distance(made, expected) == 0);
        direct::sum_patches(problem, x.channels_last(), w, bias, made);
        CHECK(distance(made, expected + bias.reshape({1, channels, 1, 1, 1})) == 0);
        const Tensor y = integers(p.y_shape(), generator).channels_last(), grad = full(w.shape(), 7, f32);
        direct::patch_weight_grad(problem, x.channels_last(), y, grad);
        CHECK(distance(grad, w_of(p, x, y)) == 0);
        problem.x_gap = 11;
        CHECK_FALSE(direct::has_patch_sums(problem));
      }
}

TEST_CASE("weight gradients of few y channels are exact on integers, from a slice of channels too") {
  Generator generator(32);
  std::vector<Form> forms = forms_of({16, 32}, {1, 2, 3, 5, 7}, generator);
  forms.push_back({1, 16, 2, 1, {1, 1, 5}, {0, 0, 1}, 1, {2, 2, 23}, {2, 2, 3}, {1, 1, 5}});  // unmet voxels
  forms.push_back({2, 16, 1, 1, {1, 1, 3}, {1, 1, 6}, 1, {3, 4, 2}, {3, 3, 7}, {3, 4, 3}});  // mostly outside
  for (const Form& p : forms) {
    INFO(text(p, false));
    const ops::ConvProblem problem{geometry_of(p, false), p.batch, p.x_channels, p.y_channels};
    CHECK(direct::YRowsShare<float>::fits(problem) ==
          (p.y_channels < direct::register_lanes<float>() && (p.dilation[2] == 1 || p.kernel[2] == 1)));
    check_weight_gradient(p, problem, generator);
  }
}

TEST_CASE("the gradient of a large weight is summed in slabs, exactly on integers") {
  Generator generator(34);
  const Form p{1, 90, 560, 1, 1, {1, 0, 2}, 1, {2, 4, 5}, {3, 2, 4}, {2, 3, 6}};
  check_weight_gradient(p, {geometry_of(p, false), p.batch, p.x_channels, p.y_channels}, generator);
}

TEST_CASE("strided convolutions to few channels are sums along channels") {
  Generator generator(33);
  const Tensor x = randn({1, 32, 20, 20, 20}, f32, &generator).channels_last(),
               w = randn({2, 32, 3, 3, 3}, f32, &generator);
  const Tensor y = conv3d(x, w, {}, {.stride = 2, .padding = 1});
  CHECK(plan_stats().last_implementation == "lucid:direct");
  CHECK(distance(y, conv3d(x.to(f64), w.to(f64), {}, {.stride = 2, .padding = 1})) < 4e-6);
}

TEST_CASE("a stride beyond all sizes gives gradients of few y channels") {
  const Tensor x = ones({1, 16, 5, 5, 5}).channels_last(), w = ones({2, 16, 3, 3, 3});
  const std::int64_t far = std::numeric_limits<std::int64_t>::max();
  w.requires_grad_(true);
  conv3d(x, w, {}, {.stride = {1, 1, far}}).sum().backward();
  CHECK(distance(w.grad(), full(w.shape(), 9, f32)) == 0);
}
