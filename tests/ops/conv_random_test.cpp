// Convolutions of random parameters against their definition.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "conv_naive.hpp"
#include "lucid/parallel.hpp"
#include "ops/conv.hpp"
#include "ops/conv_form.hpp"
#include "ops/direct/conv.hpp"
#include "ops/direct/few_channels.hpp"
#include "ops/direct/winograd.hpp"
#include "ops/plan_stats.hpp"
#include "ops/samples.hpp"

using namespace lucid;
using namespace naive;

namespace {

double dot(const Tensor& a, const Tensor& b) {
  const auto as = a.to_vector<double>(), bs = b.to_vector<double>();
  double sum = 0;
  for (std::size_t i = 0; i < as.size(); ++i) sum += as[i] * bs[i];
  return sum;
}

// Values that float32 holds exactly, so that float32 and float64 see the same operands.
Tensor operand(const Shape& shape, Generator& generator) {
  return ops::normal(shape, generator).to(f32).to(f64);
}

Tensor call(const Form& p, bool transposed, const Dims3& output_padding, const Tensor& input,
            const Tensor& weight) {
  if (transposed)
    return conv_transpose3d(input, weight, {},
                            {.stride = p.stride,
                             .padding = p.padding,
                             .output_padding = output_padding,
                             .dilation = p.dilation,
                             .groups = p.groups});
  return conv3d(input, weight, {},
                {.stride = p.stride, .padding = p.padding, .dilation = p.dilation, .groups = p.groups});
}

constexpr double kDouble = 1e-12, kFloat = 4e-6;

}  // namespace

TEST_CASE("convolutions and their gradients match the definition over random parameters") {
  Generator generator(7);
  for (int draw = 0; draw < 160; ++draw) {
    const bool transposed = draw % 2 == 1;
    Dims3 output_padding = 0;
    const Form p = naive::draw(generator, transposed, &output_padding);
    INFO(text(p, transposed));
    const Tensor x = operand(p.x_shape(), generator), w = operand(p.weight_shape(), generator),
                 y = operand(p.y_shape(), generator);
    const Tensor y_true = naive::y_of(p, x, w), x_true = naive::x_of(p, y, w), w_true = naive::w_of(p, x, y);
    for (DType dtype : {f64, f32}) {
      const double tolerance = dtype == f64 ? kDouble : kFloat;
      const Tensor input = (transposed ? y : x).to(dtype).clone(), weight = w.to(dtype).clone();
      input.requires_grad_();
      weight.requires_grad_();
      const Tensor out = call(p, transposed, output_padding, input, weight);
      CHECK(out.is_channels_last());
      CHECK(distance(out, transposed ? x_true : y_true) <= tolerance);
      out.backward((transposed ? x : y).to(dtype));
      CHECK(distance(input.grad(), transposed ? y_true : x_true) <= tolerance);
      CHECK(distance(weight.grad(), w_true) <= tolerance);
    }
  }
}

TEST_CASE("convolutions are adjoint to their gradients over random parameters, to the last bit on integers") {
  Generator generator(11);
  struct {
    int strides_beyond_kernel = 0, dilations = 0, groups = 0, output_paddings = 0, sizes_of_one = 0;
  } seen;
  constexpr int draws = 520;
  for (int draw = 0; draw < draws; ++draw) {
    const bool transposed = draw % 2 == 1;
    const DType dtype = draw / 2 % 2 == 1 ? f32 : f64;
    Dims3 output_padding = 0;
    const Form p = naive::draw(generator, transposed, &output_padding);
    INFO(text(p, transposed), str(" output padding ", output_padding, " ", dtype));
    bool stride_beyond_kernel = false, dilated = false, padded = false, size_of_one = false;
    for (std::size_t i = 0; i < 3; ++i) {
      stride_beyond_kernel = stride_beyond_kernel || p.stride[i] > p.kernel[i];
      dilated = dilated || (p.dilation[i] > 1 && p.kernel[i] > 1);
      padded = padded || output_padding[i] > 0;
      size_of_one = size_of_one || p.x[i] == 1 || p.y[i] == 1;
    }
    seen.strides_beyond_kernel += stride_beyond_kernel;
    seen.dilations += dilated;
    seen.groups += p.groups > 1;
    seen.output_paddings += padded;
    seen.sizes_of_one += size_of_one;

    const auto integers = [&](const Shape& shape) { return randint(-3, 4, shape, dtype, &generator); };
    const Tensor x = integers(p.x_shape()), w = integers(p.weight_shape()), y = integers(p.y_shape());
    const Tensor input = transposed ? y : x, cotangent = transposed ? x : y;
    input.requires_grad_();
    w.requires_grad_();
    const Tensor out = call(p, transposed, output_padding, input, w);
    REQUIRE(out.shape() == cotangent.shape());
    out.backward(cotangent);
    // No product or sum here needs more than float32's 24 bits.
    const double forward = dot(out, cotangent);
    CHECK(forward == dot(input, input.grad()));
    CHECK(forward == dot(w, w.grad()));
  }
  CHECK(seen.strides_beyond_kernel >= draws / 10);
  CHECK(seen.dilations >= draws / 10);
  CHECK(seen.groups >= draws / 10);
  CHECK(seen.output_paddings >= draws / 10);
  CHECK(seen.sizes_of_one >= draws / 10);
}

TEST_CASE("many channels, wide rows and odd sizes match the definition") {
  Generator generator(3);
  const Form forms[] = {
      {1, 32, 48, 1, 1, 1, 1, {5, 6, 19}, 3, {5, 6, 19}},
      {2, 24, 40, 1, 2, 0, 1, {6, 8, 10}, 2, {3, 4, 5}},
      {1, 1, 16, 1, 1, 1, 1, {7, 9, 20}, 3, {7, 9, 20}},
      {1, 16, 1, 1, 1, 0, 1, {7, 9, 20}, 1, {7, 9, 20}},
      {1, 32, 32, 32, 2, 1, 1, {9, 8, 12}, 4, {4, 4, 6}},
      {1, 64, 32, 4, 1, 2, 2, {8, 8, 8}, 3, {8, 8, 8}},
      {2, 32, 16, 1, 2, 0, 1, {6, 8, 10}, 2, {3, 4, 5}},                 // kernel = stride
      {1, 16, 32, 1, {1, 2, 2}, 0, 1, {3, 8, 9}, {1, 2, 2}, {3, 4, 4}},  // the same, some of x untouched
      {1, 96, 128, 1, 1, 1, 1, {2, 2, 3}, 3, {2, 2, 3}},                 // a weight beyond a core's cache
      {1, 96, 128, 1, 2, 0, 1, {4, 4, 8}, 2, {2, 2, 4}},
      {3, 4, 64, 1, {1, 2, 2}, {0, 0, 0}, 1, {3, 10, 14}, {1, 2, 2}, {3, 5, 7}},
      {9, 13, 20, 1, 1, 0, 1, {4, 3, 2}, {4, 3, 2}, 1},    // one voxel
      {9, 70, 5, 1, 1, 0, 1, {4, 3, 3}, {4, 3, 3}, 1},     // long sums
      {2, 512, 64, 1, 1, 0, 1, 4, 4, 1},                   // a weight beyond the caches
      {2, 3, 33, 1, 2, 1, 1, {10, 9, 20}, 4, {5, 5, 10}},  // few channels, overlapping taps
      {1, 8, 16, 1, {3, 1, 2}, {0, 1, 2}, {1, 2, 2}, {7, 6, 20}, {2, 3, 2}, {3, 4, 11}},
      {2, 40, 40, 40, {1, 2, 1}, {1, 0, 2}, {2, 1, 3}, {6, 9, 15}, {2, 3, 5}, {6, 4, 7}},  // depthwise
      {1, 70, 70, 70, 2, 1, 1, {6, 8, 36}, 4, {3, 4, 18}},
      {1, 40, 40, 40, 1, {2, 2, 3}, 1, {5, 9, 100}, {5, 5, 7}, {5, 9, 100}},  // many taps, long sums
      {1, 16, 3, 1, 1, 0, 1, {16, 17, 19}, 1, {16, 17, 19}},                  // few outputs of a voxel
      {2, 24, 4, 1, 1, 0, 1, {1, 3, 5}, 1, {1, 3, 5}},
      {1, 32, 1, 1, 1, 0, 1, {1, 2, 5}, 1, {1, 2, 5}},
      {3, 40, 2, 1, 1, 0, 1, {1, 1, 1}, 1, {1, 1, 1}},
      {2, 16, 32, 1, 1, 1, 1, {3, 8, 9}, 3, {3, 8, 9}},  // Winograd: odd and even sizes
      {1, 48, 16, 1, 1, 2, 1, {2, 9, 38}, {3, 3, 3}, {4, 11, 40}},
      {1, 32, 32, 1, 1, {1, 0, 1}, 1, {5, 11, 10}, {2, 3, 3}, {6, 9, 10}},
      {3, 16, 16, 1, 1, {4, 1, 1}, 1, {1, 20, 7}, {5, 3, 3}, {5, 20, 7}},
      {1, 32, 32, 1, 1, {0, 4, 2}, {1, 4, 1}, {2, 16, 9}, {1, 3, 3}, {2, 16, 11}},  // dilated
      {1, 16, 24, 1, 1, {0, 4, 8}, {1, 2, 4}, {2, 8, 16}, {1, 3, 3}, {2, 12, 24}},
  };
  for (const Form& p : forms)
    for (const bool transposed : {false, true}) {
      INFO(text(p, transposed));
      const ops::ConvGeometry g = geometry_of(p, transposed);
      const Tensor x = operand(p.x_shape(), generator), w = operand(p.weight_shape(), generator),
                   y = operand(p.y_shape(), generator);
      const Tensor y_true = naive::y_of(p, x, w), x_true = naive::x_of(p, y, w),
                   w_true = naive::w_of(p, x, y);
      for (DType dtype : {f64, f32}) {
        const double tolerance = dtype == f64 ? kDouble : kFloat;
        CHECK(distance(ops::conv_form_y(g, x.to(dtype), w.to(dtype)), y_true) <= tolerance);
        CHECK(distance(ops::conv_form_x(g, y.to(dtype), w.to(dtype)), x_true) <= tolerance);
        CHECK(distance(ops::conv_form_w(g, x.to(dtype), y.to(dtype)), w_true) <= tolerance);
      }
    }
}

TEST_CASE(
    "Winograd serves all passes of 3x3 taps: in tiles of 2x2 exactly where operands are small integers") {
  constexpr double kLargeTiles = 1e-5;
  int large_tiles[3] = {};
  const auto tolerance = [&](const Form& p, ops::ConvPass pass) {
    ops::ConvProblem problem{.geometry = geometry_of(p, false), .batch = p.batch};
    problem.x_channels = p.x_channels / p.groups;
    problem.y_channels = p.y_channels / p.groups;
    const bool is_large = direct::winograd_side(problem, pass) > 4;
    large_tiles[static_cast<int>(pass)] += is_large;
    return is_large ? kLargeTiles : 0.0;
  };
  Generator generator(5);
  const auto integers = [&](const Shape& shape) { return randint(-3, 4, shape, f32, &generator); };
  std::vector<Form> forms{{2, 16, 24, 1, 1, {2, 3, 1}, {2, 2, 3}, {5, 9, 17}, 3, {5, 11, 13}},  // dilated
                          {1, 8, 16, 1, 1, {1, 2, 4}, {3, 2, 2}, {7, 8, 12}, 3, {3, 8, 16}},
                          {1, 16, 8, 1, 1, {0, 1, 4}, {2, 1, 4}, {9, 6, 33}, 3, {5, 6, 33}},
                          {2, 48, 16, 2, 1, 1, 1, {3, 9, 14}, 3, {3, 9, 14}},  // groups
                          {1, 24, 120, 3, 1, {1, 0, 2}, {1, 1, 2}, {4, 9, 12}, 3, {4, 7, 12}},
                          {1, 128, 128, 16, 1, 1, 1, {3, 6, 8}, 3, {3, 6, 8}},
                          {2, 72, 160, 1, 1, 1, 1, {3, 8, 8}, 3, {3, 8, 8}},  // two slabs of a large weight
                          {2, 24, 8, 1, 1, 1, 1, {3, 6, 10}, 3, {3, 6, 10}},
                          {2, 40, 16, 1, 1, 1, 1, {4, 6, 6}, 3, {4, 6, 6}},
                          {1, 16, 16, 1, 1, {0, 1, 1}, 1, {9, 6, 10}, 3, {7, 6, 10}},
                          {1, 48, 32, 1, 1, 1, 1, {4, 6, 14}, 3, {4, 6, 14}},
                          // tiles of 4x4, whole and with one to three rows and columns
                          {1, 16, 8, 1, 1, 1, 1, {9, 16, 20}, 3, {9, 16, 20}},
                          {2, 8, 16, 1, 1, {1, 2, 0}, 1, {5, 15, 25}, 3, {5, 17, 23}},
                          {1, 24, 40, 1, 1, {0, 1, 2}, 1, {11, 18, 19}, 3, {9, 18, 21}},
                          {1, 32, 48, 2, 1, 1, 1, {8, 19, 22}, 3, {8, 19, 22}},
                          {2, 48, 16, 1, 1, {3, 4, 6}, {3, 2, 3}, {7, 26, 40}, 3, {7, 30, 46}}};
  // chunks and blocks of 8, of 16 and of 32 channels, and what follows them
  for (const auto& [x_channels, y_channels] :
       {std::pair{32, 16}, {8, 8}, {16, 8}, {8, 56}, {24, 40}, {40, 24}, {72, 48}})
    forms.push_back({2, x_channels, y_channels, 1, 1, {1, 0, 2}, 1, {4, 9, 12}, {3, 3, 3}, {4, 7, 14}});
  const int threads_before = num_threads();
  for (const Form& p : forms) {
    INFO(text(p, false));
    const ops::ConvGeometry g = geometry_of(p, false);
    const Tensor x = integers(p.x_shape()), w = integers(p.weight_shape()), y = integers(p.y_shape());
    const Tensor forward = ops::conv_form_y(g, x, w);
    CHECK(plan_stats().last_implementation == "lucid:winograd");
    CHECK(distance(forward, naive::y_of(p, x, w)) <= tolerance(p, ops::ConvPass::y));
    const Tensor bias = integers({p.y_channels});
    CHECK(distance(ops::conv_form_y(g, x, w, bias), forward + bias.reshape({1, p.y_channels, 1, 1, 1})) == 0);
    const Tensor backward = ops::conv_form_x(g, y, w);
    CHECK(plan_stats().last_implementation == "lucid:winograd");
    CHECK(distance(backward, naive::x_of(p, y, w)) <= tolerance(p, ops::ConvPass::x));
    const Tensor weight = ops::conv_form_w(g, x, y);
    CHECK(plan_stats().last_implementation == "lucid:winograd");
    CHECK(distance(weight, naive::w_of(p, x, y)) <= tolerance(p, ops::ConvPass::w));
    // How depths are taken together depends on the number of threads, and the result does not.
    for (const int threads : {1, 2, 16}) {
      CAPTURE(threads);
      set_num_threads(threads);
      CHECK(distance(ops::conv_form_y(g, x, w), forward) == 0);
      CHECK(distance(ops::conv_form_x(g, y, w), backward) == 0);
    }
    set_num_threads(threads_before);
  }
  for (const int count : large_tiles) {
    CHECK(count >= 5);
    CHECK(count <= std::ssize(forms) - 5);
  }
}

TEST_CASE("few outputs of a voxel are exact on small integers, with a bias and from a slice of channels") {
  Generator generator(9);
  const auto integers = [&](const Shape& shape) { return randint(-3, 4, shape, f32, &generator); };
  const Tensor whole = integers({2, 64, 5, 7, 9}).channels_last();
  for (const std::int64_t outputs : {1, 2, 3, 4})
    for (const std::int64_t channels : {16, 40}) {
      const Tensor x = whole.narrow(1, 8, channels), w = integers({outputs, channels, 1, 1, 1}),
                   bias = integers({outputs});
      const Tensor y = conv3d(x, w, bias);
      CHECK(plan_stats().last_implementation == "lucid:direct");
      CHECK(distance(y, conv3d(x.to(f64), w.to(f64), bias.to(f64))) == 0);
    }
}

TEST_CASE("large results of transposed convolutions are right wherever their lines begin") {
  Generator generator(10);
  struct Case {
    Shape input, weight;
    Dims3 stride, output_padding;
    DType dtype;
  };
  // 8 MB and more: written past the caches where lines begin at whole vectors, and not where a voxel lies
  // behind.
  for (const Case& c : {Case{{1, 16, 32, 32, 32}, {16, 8, 2, 2, 2}, 2, 0, f32},
                        Case{{1, 16, 64, 64, 32}, {16, 2, 1, 1, 8}, {1, 1, 8}, {0, 0, 1}, f32},
                        Case{{1, 16, 16, 32, 64}, {16, 4, 2, 2, 4}, {2, 2, 4}, {1, 0, 1}, f32},
                        Case{{1, 16, 32, 64, 64}, {16, 1, 1, 1, 8}, {1, 1, 8}, {0, 0, 1}, f64}}) {
    CAPTURE(str(c.input, " ", c.weight));
    const auto integers = [&](const Shape& shape) { return randint(-3, 4, shape, f32, &generator); };
    const Tensor x = integers(c.input).channels_last(), w = integers(c.weight),
                 bias = integers({c.weight[1]});
    const ConvTranspose3dOptions options{.stride = c.stride, .output_padding = c.output_padding};
    const Tensor y = conv_transpose3d(x.to(c.dtype), w.to(c.dtype), bias.to(c.dtype), options);
    REQUIRE(y.nbytes() >= 1 << 23);
    // A few samples of the definition: each voxel has one tap.
    const auto value = [&](std::int64_t f, const Dims3& at) {
      double sum = bias.to_vector<double>()[static_cast<std::size_t>(f)];
      Dims3 from = 0, tap = 0;
      for (std::size_t i = 0; i < 3; ++i) {
        from[i] = at[i] / c.stride[i];
        tap[i] = at[i] % c.stride[i];
        if (from[i] >= c.input[2 + i]) return sum;
      }
      for (std::int64_t k = 0; k < c.input[1]; ++k)
        sum += x[0][k][from[0]][from[1]][from[2]].item<double>() *
               w[k][f][tap[0]][tap[1]][tap[2]].item<double>();
      return sum;
    };
    for (int draw = 0; draw < 60; ++draw) {
      Dims3 at = 0;
      for (std::size_t i = 0; i < 3; ++i)
        at[i] = draw < 8 ? (draw >> i & 1) * (y.shape()[2 + i] - 1)
                         : randint(0, y.shape()[2 + i], {}, i64, &generator).item<std::int64_t>();
      const std::int64_t f = draw % c.weight[1];
      CHECK(y[0][f][at[0]][at[1]][at[2]].item<double>() == value(f, at));
    }
  }
}

TEST_CASE("large results of one-voxel kernels equal those of their parts, exact on small integers") {
  Generator generator(12);
  const auto integers = [&](const Shape& shape) { return randint(-3, 4, shape, f32, &generator); };
  // 8, 16 and 32 channels are written past the caches, 24 are not.
  for (const std::int64_t outputs : {8, 16, 24, 32}) {
    CAPTURE(outputs);
    const std::int64_t depth = 64 * 24 / outputs + 1;  // 24 MB
    const Tensor x = integers({1, 4, depth, 64, 64}).channels_last(), bias = integers({outputs}),
                 w = integers({outputs, 4, 1, 1, 1}), turned = w.transpose(0, 1).contiguous();
    const Tensor y = conv3d(x, w, bias), z = conv_transpose3d(x, turned, bias);
    REQUIRE(y.nbytes() >= 3 << 23);
    CHECK(distance(y, z) == 0);
    for (std::int64_t d = 0; d < depth; d += 32) {
      const std::int64_t planes = std::min<std::int64_t>(32, depth - d);
      const Tensor part = x.narrow(2, d, planes).to(f64).contiguous();
      CHECK(distance(y.narrow(2, d, planes), conv3d(part, w.to(f64), bias.to(f64))) == 0);
    }
  }
}

TEST_CASE("the weight gradient of a one-voxel kernel to few channels is exact on integers, of a slice too") {
  Generator generator(11);
  const auto integers = [&](const Shape& shape) { return randint(-3, 4, shape, f64, &generator); };
  for (const std::int64_t outputs : {1, 3, 8}) {
    const Tensor whole = integers({2, 48, 9, 10, 11}).channels_last(), x = whole.narrow(1, 16, 32),
                 y = integers({2, outputs, 9, 10, 11});
    const Form p{2, 32, outputs, 1, 1, 0, 1, {9, 10, 11}, 1, {9, 10, 11}};
    const ops::ConvGeometry g = geometry_of(p, false);
    const Tensor expected = naive::w_of(p, x.contiguous(), y);
    for (const DType dtype : {f32, f64}) {
      const Tensor found = ops::conv_form_w(g, whole.to(dtype).narrow(1, 16, 32), y.to(dtype));
      CHECK(plan_stats().last_implementation == "lucid:direct");
      CHECK(distance(found, expected) == 0);
    }
  }
}

TEST_CASE("results of few channels, summed along their lines, are exact on integers") {
  Generator generator(13);
  const auto integers = [&](const Shape& shape) { return randint(-3, 4, shape, f64, &generator); };
  struct Axes {
    Dims3 stride, dilation, padding, x, kernel, y;
  };
  // Taps that touch, overlap, leave gaps, lie apart and fall outside; lines of several vectors, and parts of
  // planes; voxels that no tap reaches.
  const Axes axes[] = {{1, 1, 1, {5, 19, 21}, 3, {5, 19, 21}},
                       {1, {2, 1, 3}, {2, 0, 3}, {6, 9, 40}, {3, 2, 3}, {6, 8, 40}},
                       {{2, 3, 1}, 1, {1, 0, 2}, {9, 26, 18}, {4, 2, 5}, {5, 9, 18}},
                       {2, 1, 1, {8, 36, 34}, 4, {4, 18, 17}},
                       {{1, 2, 3}, 1, 0, {4, 20, 29}, {3, 2, 2}, {2, 10, 9}},
                       {{1, 1, 2}, {1, 1, 5}, {0, 0, 30}, {3, 4, 9}, {1, 2, 7}, {3, 3, 16}}};
  for (const std::int64_t few : {1, 2, 3, 8})
    for (const Axes& a : axes)
      for (const ops::ConvPass pass : {ops::ConvPass::x, ops::ConvPass::y}) {
        const bool to_x = pass == ops::ConvPass::x;
        const Form form{2,  to_x ? few : 5, to_x ? 5 : few, 1, a.stride, a.padding, a.dilation, a.x, a.kernel,
                        a.y};
        const ops::ConvProblem problem{geometry_of(form, to_x), form.batch, form.x_channels, form.y_channels};
        INFO(text(form, to_x));
        if (!to_x && a.stride[2] > 1) {
          CHECK_FALSE(direct::has_few_channels(problem, pass));
          continue;
        }
        REQUIRE(direct::has_few_channels(problem, pass));
        const Tensor from = integers(to_x ? form.y_shape() : form.x_shape()),
                     w = integers(form.weight_shape()), bias = integers({few});
        const Tensor beside = bias.reshape({1, few, 1, 1, 1});
        const Tensor expected = to_x ? naive::x_of(form, from, w) : naive::y_of(form, from, w);
        for (const DType dtype : {f32, f64}) {
          const Tensor made = full(expected.shape(), 7, dtype).channels_last();
          const Tensor input = from.to(dtype).channels_last();
          direct::conv_few_channels(problem, pass, input, w.to(dtype), {}, made);
          CHECK(distance(made, expected) == 0);
          direct::conv_few_channels(problem, pass, input, w.to(dtype), bias.to(dtype), made);
          CHECK(distance(made, expected + beside) == 0);
        }
      }
}
