// Weight gradients by dot products along lines of voxels, against their definition.

#include <doctest/doctest.h>

#include <vector>

#include "conv_naive.hpp"
#include "ops/direct/conv.hpp"
#include "ops/direct/weight_dots.hpp"
#include "tests/threads.hpp"

using namespace lucid;
using namespace naive;

namespace {

// On integers, whose sums are exact; from a slice of channels too.
void check_exact(const Form& p, bool transposed, Generator& generator) {
  INFO(text(p, transposed));
  const Tensor x = randint(-3, 4, p.x_shape(), f32, &generator),
               y = randint(-3, 4, p.y_shape(), f32, &generator).channels_last(), expected = w_of(p, x, y),
               made = full(p.weight_shape(), 7, f32);
  ops::ConvProblem problem{geometry_of(p, transposed), p.batch, p.x_channels / p.groups,
                           p.y_channels / p.groups};
  direct::weight_dots(problem, x.channels_last(), y, made);
  CHECK(distance(made, expected) == 0);

  const Shape& s = x.shape();
  const Tensor wide = full({s[0], s[1] + 5, s[2], s[3], s[4]}, 1e6, f32).channels_last(),
               slice = wide.narrow(1, 2, s[1]);
  slice.copy_(x);
  problem.x_gap = 5;
  made.fill_(7);
  direct::weight_dots(problem, slice, y, made);
  CHECK(distance(made, expected) == 0);
}

constexpr std::int64_t kHuge = std::int64_t{1} << 62;
// {batch, x channels, y channels, groups, stride, padding, dilation, x, kernel, y}
const std::vector<Form> kForms{
    {1, 2, 3, 1, 1, 1, 1, {1, 2, 1100}, {1, 2, 3}, {3, 3, 1100}},                  // lines in several blocks
    {1, 2, 1, 1, {1, 1, 2}, {0, 0, 1}, 1, {1, 1, 2300}, {1, 1, 4}, {1, 1, 1150}},  // of all phases
    {2, 13, 26, 13, 1, 1, 1, {5, 6, 9}, 3, {5, 6, 9}},                             // groups in several blocks
    {1, 21, 21, 7, 2, 1, 1, {9, 8, 11}, 3, {5, 4, 6}},
    {1, 3, 2, 1, 1, 40, 40, {5, 4, 9}, 3, {5, 4, 9}},  // taps far apart
    {1, 2, 2, 1, 1, {0, 0, 20}, {1, 1, 20}, {4, 4, 24}, 3, {2, 2, 24}},
    {1, 4, 4, 1, 5, 0, 1, {16, 11, 17}, 2, {3, 2, 4}},  // voxels that no tap meets
    {1, 1, 2, 1, {3, 2, 5}, 0, 1, {7, 7, 16}, 1, {3, 4, 4}},
    {1, 5, 7, 1, 1, 2, 1, {23, 21, 19}, {3, 3, 5}, {25, 23, 19}},  // blocks that the planes do not fill
    {3, 16, 16, 1, 1, 1, 1, {6, 7, 8}, 3, {6, 7, 8}},
    {2, 12, 1, 1, {1, 1, kHuge}, 0, 1, {2, 3, 8}, {1, 1, 3}, {2, 3, 1}},
    {2, 32, 24, 8, {1, kHuge, 1}, 0, 1, {2, 3, 8}, {1, 3, 1}, {2, 1, 8}},
    {2, 4, 1, 1, {kHuge, 1, kHuge}, 0, 1, {2, 3, 8}, 1, {1, 3, 1}},
    {1, 6, 2, 1, {1, 1, 2}, 0, {1, 1, 2}, {1, 1, 9}, {1, 1, 2}, {1, 1, 4}},  // taps of one phase
};

}  // namespace

TEST_CASE("weight gradients by dot products are exact on integers, of random and of odd forms") {
  Generator generator(35);
  constexpr int kDraws = 250;
  for (int i = 0; i < kDraws; ++i) {
    Dims3 output_padding = 0;
    const bool transposed = i % 2 == 1;
    check_exact(draw(generator, transposed, &output_padding), transposed, generator);
  }
  for (const Form& p : kForms) check_exact(p, false, generator);
}

TEST_CASE("weight gradients by dot products are exact on one thread and on more than there are blocks") {
  Generator generator(36);
  for (const int count : {1, 3, 16}) {
    const Threads threads(count);
    for (const Form& p : kForms) check_exact(p, false, generator);
  }
}

TEST_CASE("weight gradients by dot products are as accurate as sums in double of short ones") {
  constexpr double kTolerance = 2e-6;
  const Form p{1, 2, 3, 1, 1, 1, 1, {40, 40, 40}, {1, 3, 3}, {42, 40, 40}};
  Generator generator(37);
  const Tensor x = rand(p.x_shape(), f32, &generator), y = rand(p.y_shape(), f32, &generator).channels_last(),
               made = full(p.weight_shape(), 7, f32);
  const ops::ConvProblem problem{geometry_of(p, false), p.batch, p.x_channels, p.y_channels};
  direct::weight_dots(problem, x.channels_last(), y, made);
  CHECK(distance(made, w_of(p, x, y)) < kTolerance);
}

TEST_CASE(
    "dot products serve weight gradients of few channels, where vectors along channels are mostly empty") {
  const auto problem = [](std::int64_t x, std::int64_t y, std::int64_t groups, Dims3 kernel,
                          Dims3 stride = 1) {
    const Dims3 size{16 / stride[0], 16 / stride[1], 16 / stride[2]};
    return ops::ConvProblem{{3, false, groups, stride, 0, 1, 20, kernel, size}, 1, x, y};
  };
  CHECK(direct::has_weight_dots(problem(1, 1, 1, 3)));
  CHECK(direct::has_weight_dots(problem(4, 4, 16, 3)));
  CHECK(direct::has_weight_dots(problem(11, 1, 1, 3)));
  CHECK(direct::has_weight_dots(problem(3, 2, 1, 1)));
  CHECK_FALSE(direct::has_weight_dots(problem(1, 16, 1, 3)));  // whole vectors
  CHECK_FALSE(direct::has_weight_dots(problem(16, 1, 1, 3)));
  CHECK_FALSE(direct::has_weight_dots(problem(64, 64, 1, 3)));
  CHECK_FALSE(direct::has_weight_dots(problem(1, 1, 1, 9)));  // the copies would take too much memory

  ops::ConvProblem dilated = problem(3, 2, 1, 3);
  dilated.geometry.x = 40;
  dilated.geometry.dilation = 8;
  CHECK(direct::has_weight_dots(dilated));
  dilated.geometry.dilation = 9;
  CHECK_FALSE(direct::has_weight_dots(dilated));  // so would those of taps so far apart

  ops::ConvProblem mostly_padding = problem(3, 2, 1, {5, 1, 1});
  CHECK(direct::has_weight_dots(mostly_padding));
  mostly_padding.geometry.x[0] = 4;
  mostly_padding.geometry.padding[0] = 8;
  CHECK_FALSE(direct::has_weight_dots(mostly_padding));
  mostly_padding.geometry.dilation = std::int64_t{1} << 60;
  CHECK_FALSE(direct::has_weight_dots(mostly_padding));
}
