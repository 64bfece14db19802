// Convolutions on few and on many threads: what they give must not depend on which of them computes what.

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "conv_naive.hpp"
#include "ops/conv_form.hpp"
#include "ops/direct/conv.hpp"
#include "ops/plan_stats.hpp"
#include "tests/threads.hpp"

using namespace lucid;
using namespace naive;

namespace {

ops::ConvProblem problem_of(const Form& p) {
  return {geometry_of(p, false), p.batch, p.x_channels / p.groups, p.y_channels / p.groups};
}

// Both, in voxel order.
struct Results {
  Tensor x, y;
};
Results by_choice(const Form& p, const Tensor& x, const Tensor& w, const Tensor& y,
                  std::set<std::string>& seen) {
  const ops::ConvGeometry g = geometry_of(p, false);
  Results out{ops::conv_form_x(g, y, w), {}};
  seen.insert(plan_stats().last_implementation);
  out.y = ops::conv_form_y(g, x, w);
  seen.insert(plan_stats().last_implementation);
  return out;
}
Results directly(const Form& p, const Tensor& x, const Tensor& w, const Tensor& y) {
  Results out{full(p.x_shape(), 7, f32).channels_last(), full(p.y_shape(), 7, f32).channels_last()};
  direct::conv_transpose(problem_of(p), y, w, {}, out.x, {});
  direct::conv_forward(problem_of(p), x, w, {}, out.y, {});
  return out;
}

}  // namespace

TEST_CASE("a convolution gives the same bits whichever of many threads computes what") {
  // {batch, x channels, y channels, groups, stride, padding, dilation, x, kernel, y}
  const std::vector<Form> forms{{1, 40, 24, 1, 1, 0, 1, {9, 10, 11}, 1, {9, 10, 11}},
                                {1, 128, 96, 1, 1, 0, 1, {3, 4, 5}, 1, {3, 4, 5}},
                                {2, 16, 3, 1, 1, 0, 1, {9, 10, 11}, 1, {9, 10, 11}},
                                {2, 24, 40, 1, 2, 0, 1, {8, 20, 12}, 2, {4, 10, 6}},
                                {1, 3, 24, 1, 1, 1, 1, {13, 19, 20}, 3, {13, 19, 20}},
                                {1, 20, 4, 2, 2, 1, 1, {11, 22, 24}, {3, 4, 5}, {6, 11, 11}},
                                {2, 2, 16, 1, 2, 1, 1, {10, 22, 32}, 4, {5, 11, 16}},
                                {2, 48, 48, 48, 1, 1, 1, {9, 16, 17}, 3, {9, 16, 17}},
                                {1, 40, 40, 40, 2, 1, 1, {12, 15, 18}, 4, {6, 7, 9}},
                                {2, 16, 32, 1, 1, 1, 1, {17, 19, 22}, 3, {17, 19, 22}},
                                {1, 32, 32, 2, 2, 1, 1, {18, 20, 24}, 4, {9, 10, 12}},
                                {1, 160, 160, 1, 1, 1, 1, 4, 3, 4}};
  Generator generator(17);
  std::set<std::string> seen;
  for (const Form& p : forms) {
    INFO(text(p, false));
    const Tensor x = randn(p.x_shape(), f32, &generator).channels_last(),
                 y = randn(p.y_shape(), f32, &generator).channels_last(),
                 w = randn(p.weight_shape(), f32, &generator);
    Results chosen, direct;
    for (const int threads : {1, 3, 16}) {
      CAPTURE(threads);
      const Threads scope(threads);
      const Results now = by_choice(p, x, w, y, seen), now_directly = directly(p, x, w, y);
      if (threads == 1) {
        chosen = now, direct = now_directly;
        continue;
      }
      CHECK(distance(now.x, chosen.x) == 0);
      CHECK(distance(now.y, chosen.y) == 0);
      CHECK(distance(now_directly.x, direct.x) == 0);
      CHECK(distance(now_directly.y, direct.y) == 0);
    }
  }
  for (const char* name : {"lucid:direct", "lucid:depthwise", "lucid:winograd"}) CHECK(seen.contains(name));
}

TEST_CASE("weight gradients of many voxels are as accurate on many threads as on one") {
  Generator generator(18);
  for (const std::int64_t kernel : {1, 3}) {
    CAPTURE(kernel);
    const Form p{1, 3, 9, 1, 1, kernel / 2, 1, 40, kernel, 40};
    const auto near_one = [&](const Shape& shape) {
      return (randn(shape, f64, &generator) * 0.1 + 1.0).to(f32).channels_last();
    };
    const Tensor x = near_one(p.x_shape()), y = near_one(p.y_shape());
    const Tensor exact = full(p.weight_shape(), 7, f64), made = full(p.weight_shape(), 7, f32);
    direct::conv_weight_grad(problem_of(p), x.to(f64), y.to(f64), exact);
    for (const int threads : {1, 16, 64}) {
      CAPTURE(threads);
      const Threads scope(threads);
      direct::conv_weight_grad(problem_of(p), x, y, made);
      CHECK(distance(made.to(f64) / exact, ones(p.weight_shape(), f64)) <= 2e-7);
    }
  }
}

TEST_CASE("the weight gradient of no samples is zero") {
  Form p{0, 16, 16, 1, 1, 0, 1, {2, 3, 4}, 1, {2, 3, 4}};
  for (const std::int64_t kernel : {1, 3}) {
    p.kernel = kernel, p.padding = kernel / 2;
    const Tensor made = full(p.weight_shape(), 7, f32);
    direct::conv_weight_grad(problem_of(p), zeros(p.x_shape()), zeros(p.y_shape()), made);
    CHECK(distance(made, zeros(p.weight_shape())) == 0);
  }
}
