// Convolutions of few voxels and large weights against their definition.

#include <doctest/doctest.h>

#include <vector>

#include "conv_naive.hpp"
#include "ops/conv.hpp"
#include "ops/direct/conv.hpp"
#include "ops/direct/single_voxel.hpp"
#include "ops/direct/tap_products.hpp"
#include "ops/direct/unfolded.hpp"
#include "ops/direct/weight_by_channels.hpp"
#include "ops/plan_stats.hpp"

using namespace lucid;
using namespace naive;

namespace {

// Forms, of one group unless asked.
std::vector<Form> forms_of(std::vector<Form> forms, std::size_t count, Generator& generator,
                           bool has_groups = false) {
  while (forms.size() < count) {
    Dims3 output_padding = 0;
    const Form p = draw(generator, false, &output_padding);
    if (p.groups == 1 || has_groups) forms.push_back(p);
  }
  return forms;
}

Tensor beside(const Tensor& bias) { return bias.reshape({1, bias.numel(), 1, 1, 1}); }

}  // namespace

TEST_CASE("unfolded products serve every pass of one group, in chunks of channels, exactly on integers") {
  Generator generator(8);
  const std::vector<Form> forms =
      forms_of({{1, 48, 4, 1, 1, 2, 1, {9, 10, 11}, 4, 8},  // two chunks, voxels behind the last patch
                {2, 20, 5, 1, 2, 1, 1, {5, 4, 3}, 3, {3, 2, 2}}},
               60, generator);
  const auto integers = [&](const Shape& shape) { return randint(-3, 4, shape, f64, &generator); };
  for (const Form& p : forms) {
    INFO(text(p, false));
    const ops::ConvProblem problem{geometry_of(p, false), p.batch, p.x_channels, p.y_channels};
    REQUIRE(direct::has_unfolded(problem));
    const Tensor x = integers(p.x_shape()), w = integers(p.weight_shape()), y = integers(p.y_shape()),
                 x_bias = integers({p.x_channels}), y_bias = integers({p.y_channels});
    for (const DType dtype : {f64, f32}) {
      const auto given = [&](const Tensor& t) { return t.to(dtype).channels_last(); };
      const auto fresh = [&](const Tensor& t) { return full(t.shape(), 7, dtype).channels_last(); };
      const Tensor none, made_y = fresh(y), made_x = fresh(x), made_w = full(w.shape(), 7, dtype);
      direct::run_unfolded(problem, ops::ConvPass::y, given(x), w.to(dtype), made_y, none);
      CHECK(distance(made_y, y_of(p, x, w)) == 0);
      direct::run_unfolded(problem, ops::ConvPass::y, given(x), w.to(dtype), made_y, y_bias.to(dtype));
      CHECK(distance(made_y, y_of(p, x, w) + beside(y_bias)) == 0);
      direct::run_unfolded(problem, ops::ConvPass::x, made_x, w.to(dtype), given(y), none);
      CHECK(distance(made_x, x_of(p, y, w)) == 0);
      direct::run_unfolded(problem, ops::ConvPass::x, made_x, w.to(dtype), given(y), x_bias.to(dtype));
      CHECK(distance(made_x, x_of(p, y, w) + beside(x_bias)) == 0);
      direct::run_unfolded(problem, ops::ConvPass::w, given(x), made_w, given(y), none);
      CHECK(distance(made_w, w_of(p, x, y)) == 0);
    }
  }
}

TEST_CASE("single voxels of few and many samples are exact on integers") {
  Generator generator(10);
  const auto integers = [&](const Shape& shape) { return randint(-3, 4, shape, f64, &generator); };
  struct Size {
    std::int64_t batch, x_channels;
  };
  for (const Size size :
       {Size{1, 5}, {2, 150}, {3, 150}, {4, 5}, {8, 5}, {9, 5}, {16, 5}, {17, 5}, {40, 5}}) {
    const Form p{size.batch, size.x_channels, 7, 1, 1, 0, 1, {2, 3, 2}, {2, 3, 2}, 1};
    INFO(text(p, false));
    const ops::ConvProblem problem{geometry_of(p, false), p.batch, p.x_channels, p.y_channels};
    REQUIRE(direct::is_single_voxel(problem));
    const Tensor x = integers(p.x_shape()), w = integers(p.weight_shape()), y = integers(p.y_shape()),
                 bias = integers({p.y_channels}), x_bias = integers({p.x_channels});
    for (const DType dtype : {f64, f32}) {
      const auto fresh = [&](const Tensor& t) { return full(t.shape(), 7, dtype).channels_last(); };
      const Tensor given_x = x.to(dtype).channels_last(), given_y = y.to(dtype).channels_last();
      const Tensor none, made_y = fresh(y), made_x = fresh(x), made_w = full(w.shape(), 7, dtype);
      direct::run_single_voxel(problem, ops::ConvPass::y, given_x, w.to(dtype), made_y, bias.to(dtype));
      CHECK(distance(made_y, y_of(p, x, w) + beside(bias)) == 0);
      direct::run_single_voxel(problem, ops::ConvPass::x, made_x, w.to(dtype), given_y, none);
      CHECK(distance(made_x, x_of(p, y, w)) == 0);
      direct::run_single_voxel(problem, ops::ConvPass::x, made_x, w.to(dtype), given_y, x_bias.to(dtype));
      CHECK(distance(made_x, x_of(p, y, w) + beside(x_bias)) == 0);
      direct::run_single_voxel(problem, ops::ConvPass::w, given_x, made_w, given_y, none);
      CHECK(distance(made_w, w_of(p, x, y)) == 0);
    }
  }
}

TEST_CASE("weight gradients by channels are exact on integers, from a slice of channels too") {
  Generator generator(13);
  const auto integers = [&](const Shape& shape) { return randint(-3, 4, shape, f64, &generator); };
  const std::vector<Form> forms =
      forms_of({{2, 70, 150, 1, 2, 0, 1, {4, 6, 4}, 2, {2, 3, 2}},  // patches: one sum; strips and slabs
                {1, 33, 40, 1, 1, 2, 1, {3, 4, 5}, 5, {3, 4, 5}},   // taps that few voxels meet
                {3, 64, 16, 1, 1, 0, 1, {5, 4, 3}, 1, {5, 4, 3}},   // a product
                {1, 8, 9, 1, 1, {3, 0, 5}, {3, 1, 5}, {1, 4, 2}, 3, {1, 2, 2}},  // taps that meet nothing
                {2, 12, 300, 1, {1, 1, 4}, {1, 0, 2}, {1, 2, 1}, {3, 5, 9}, {3, 2, 3}, {3, 3, 3}},
                {2, 3 * 50, 3 * 140, 3, 2, 0, 1, {4, 6, 4}, 2, {2, 3, 2}},  // strips and slabs of groups
                {1, 2 * 17, 2 * 24, 2, 1, 1, 1, 3, 3, 3}},
               60, generator, true);
  for (const Form& p : forms) {
    INFO(text(p, false));
    ops::ConvProblem problem{geometry_of(p, false), p.batch, p.x_channels / p.groups,
                             p.y_channels / p.groups};
    const Tensor x = integers(p.x_shape()), y = integers(p.y_shape()), expected = w_of(p, x, y);
    Shape wide = p.x_shape();
    wide[1] += 5;
    for (const DType dtype : {f64, f32}) {
      const Tensor given_x = x.to(dtype).channels_last(), given_y = y.to(dtype).channels_last(),
                   made = full(p.weight_shape(), 7, dtype),
                   slice = full(wide, 1e6, dtype).channels_last().narrow(1, 3, p.x_channels);
      problem.x_gap = 0;
      direct::weight_grad_by_channels(problem, given_x, given_y, made);
      CHECK(distance(made, expected) == 0);
      slice.copy_(x);
      problem.x_gap = 5;
      direct::weight_grad_by_channels(problem, slice, given_y, made);
      CHECK(distance(made, expected) == 0);
    }
  }
}

TEST_CASE("few voxels' weight gradients are summed by channels, into a weight of any layout") {
  Generator generator(14);
  const Form p{1, 24, 40, 1, 1, 1, 1, 6, 3, 6};
  const ops::ConvProblem problem{geometry_of(p, false), p.batch, p.x_channels, p.y_channels};
  CHECK(direct::has_weight_by_channels(problem));
  const Tensor x = randint(-3, 4, p.x_shape(), f32, &generator).channels_last(),
               y = randint(-3, 4, p.y_shape(), f32, &generator).channels_last(),
               rows = full(p.weight_shape(), 7, f32),
               columns = full(p.weight_shape(), 7, f32).channels_last();
  direct::conv_weight_grad(problem, x, y, rows);
  direct::conv_weight_grad(problem, x, y, columns);
  CHECK(distance(rows, w_of(p, x, y)) == 0);
  CHECK(distance(columns, rows) == 0);
}

TEST_CASE("a weight beyond the caches for few voxels is read as it lies") {
  Generator generator(9);
  const Tensor x = randn({1, 128, 4, 4, 4}, f32, &generator).channels_last(),
               w = randn({256, 128, 3, 3, 3}, f32, &generator);
  const Tensor y = conv3d(x, w, {}, {.stride = 2, .padding = 1});
  CHECK(plan_stats().last_implementation == "lucid:unfolded");
  CHECK(distance(y, conv3d(x.to(f64), w.to(f64), {}, {.stride = 2, .padding = 1})) < 4e-6);
}

TEST_CASE("products of each tap are exact on integers both ways, from a slice of channels too") {
  Generator generator(12);
  const auto integers = [&](const Shape& shape) { return randint(-3, 4, shape, f32, &generator); };
  const std::vector<Form> forms =
      forms_of({{16, 20, 33, 1, 2, 1, 1, 4, 4, 2},  // rows of samples, columns of two panels and one
                {1, 9, 100, 1, 1, 1, 1, {3, 4, 5}, 3, {3, 4, 5}},
                {2, 17, 65, 1, 1, 0, 1, {1, 7, 6}, 1, {1, 7, 6}},  // whole samples follow each other
                {1, 140, 200, 1, 1, {0, 0, 1}, 1, {1, 1, 3}, {1, 1, 3}, {1, 1, 3}},  // two or three rows
                {2, 5, 7, 1, 2, 0, 1, {7, 4, 9}, 2, {3, 2, 4}},  // voxels of x that no tap meets
                {1, 3, 4, 1, 1, {3, 0, 5}, {3, 1, 5}, {1, 4, 2}, 3, {1, 2, 2}}},  // taps that meet nothing
               60, generator);
  for (const Form& p : forms) {
    INFO(text(p, false));
    const ops::ConvProblem problem{geometry_of(p, false), p.batch, p.x_channels, p.y_channels};
    const Tensor x = integers(p.x_shape()).channels_last(), w = integers(p.weight_shape()),
                 y = integers(p.y_shape()).channels_last(), x_bias = integers({p.x_channels}),
                 y_bias = integers({p.y_channels});
    const auto check = [&](bool transposed, const ops::ConvProblem& read, const Tensor& from,
                           const Tensor& bias) {
      const Tensor made = full((transposed ? x : y).shape(), 7, f32).channels_last();
      direct::run_tap_products(read, transposed, from, w, bias, made, ops::PackedWeights());
      const Tensor expected = transposed ? x_of(p, y.to(f64), w.to(f64)) : y_of(p, x.to(f64), w.to(f64));
      CHECK(distance(made, bias.defined() ? expected + beside(bias.to(f64)) : expected) == 0);
    };
    check(false, problem, x, {});
    check(false, problem, x, y_bias);
    check(true, problem, y, {});
    check(true, problem, y, x_bias);
    Shape wide = p.x_shape();
    wide[1] += 5;
    const Tensor slice = full(wide, 9, f32).channels_last().narrow(1, 3, p.x_channels);
    slice.copy_(x);
    ops::ConvProblem gapped = problem;
    gapped.x_gap = 5;
    check(false, gapped, slice, y_bias);
  }
}

TEST_CASE("short lines and a large weight go by the products of each tap") {
  Generator generator(13);
  const Tensor x = randn({2, 64, 5, 3, 5}, f32, &generator).channels_last(),
               w = randn({96, 64, 3, 3, 3}, f32, &generator);
  x.requires_grad_();
  const Conv3dOptions options{.padding = 1};
  const Tensor y = conv3d(x, w, {}, options);
  CHECK(plan_stats().last_implementation == "lucid:direct");
  const Tensor cotangent = randn(y.shape(), f32, &generator), precise = x.detach().to(f64);
  y.backward(cotangent);
  precise.requires_grad_();
  const Tensor expected = conv3d(precise, w.to(f64), {}, options);
  expected.backward(cotangent.to(f64));
  CHECK(distance(y, expected) < 4e-6);
  CHECK(distance(x.grad(), precise.grad()) < 4e-6);
}
