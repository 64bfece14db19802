// Winograd's filtering of whatever it serves, called by itself: strides, short lines, odd padding.

#include "ops/direct/winograd.hpp"

#include <doctest/doctest.h>

#include <array>

#include "conv_naive.hpp"
#include "lucid/parallel.hpp"
#include "ops/conv_form.hpp"
#include "ops/conv_rule.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/plan_stats.hpp"
#include "ops/samples.hpp"

using namespace lucid;
using namespace naive;
using ops::ConvPass;

namespace {

Tensor channels_last(const Tensor& tensor) {
  const Tensor out = empty_strided(tensor.shape(), channels_last_strides(tensor.shape()), f32);
  kernels::copy(out, tensor);
  return out;
}

ops::ConvProblem problem_of(const Form& p) {
  return {.geometry = geometry_of(p, false),
          .batch = p.batch,
          .x_channels = p.x_channels / p.groups,
          .y_channels = p.y_channels / p.groups};
}

// One of those that are served, and what a pass gives beyond the end of the convolution's reach.
Form draw_form(Generator& generator) {
  const auto draw = [&](std::int64_t low, std::int64_t high) {
    return randint(low, high + 1, {1}, i64, &generator).item<std::int64_t>();
  };
  Form p{draw(1, 2), 0, 0, draw(0, 3) == 0 ? 2 : 1, 1, 0, 1, 1, 1, 1};
  p.x_channels = 8 * draw(1, 3) * p.groups;
  p.y_channels = 8 * draw(1, 9) * p.groups;
  const std::int64_t taps = draw(2, 5);
  for (std::size_t i = 0; i < 3; ++i) {
    p.stride[i] = std::min<std::int64_t>(draw(1, 4), 3);
    p.kernel[i] = i == 0 ? draw(p.stride[i], 2 * p.stride[i] + 1)
                         : draw((taps - 1) * p.stride[i] + 1, taps * p.stride[i]);
    if (p.stride[i] == 1 && draw(0, 2) == 0) p.dilation[i] = draw(1, 3);
    p.y[i] = draw(p.dilation[i], i == 0 ? 5 : draw(0, 2) == 0 ? 40 : 11);
    // Some positions may meet nothing but padding, not all.
    p.padding[i] = draw(0, p.dilation[i] * (p.y[i] <= p.dilation[i] ? p.kernel[i] - 1 : p.kernel[i]));
    const std::int64_t reach =
        (p.y[i] - 1) * p.stride[i] + p.dilation[i] * (p.kernel[i] - 1) + 1 - 2 * p.padding[i];
    p.x[i] = std::max<std::int64_t>(p.stride[i] * p.dilation[i], reach + draw(-1, 2));
  }
  return p;
}

}  // namespace

TEST_CASE("Winograd's passes match the definition over random parameters, for any number of threads") {
  constexpr double kSmallTiles = 5e-6, kLargeTiles = 5e-5;
  Generator generator(31);
  const int threads_before = num_threads();
  int served = 0, strided = 0, long_kernels = 0, large_tiles[3] = {}, small_tiles[3] = {};
  for (int i = 0; i < 80; ++i) {
    const Form p = draw_form(generator);
    INFO(text(p, false));
    const ops::ConvProblem problem = problem_of(p);
    const Tensor x = channels_last(ops::normal(p.x_shape(), generator).to(f32)),
                 y = channels_last(ops::normal(p.y_shape(), generator).to(f32)),
                 w = ops::normal(p.weight_shape(), generator).to(f32);
    const auto run = [&](ConvPass pass) {
      const Tensor out = pass == ConvPass::w ? empty_like(w) : empty_like(pass == ConvPass::x ? x : y);
      const ops::PackedWeights kept;
      if (pass == ConvPass::w)
        direct::conv_winograd_weight_grad(problem, x, y, out);
      else
        direct::conv_winograd(problem, pass, std::array{pass == ConvPass::x ? y : x}, w, {}, out, kept);
      return out;
    };
    const auto defined = [&](ConvPass pass) {
      const Tensor wide_x = x.to(f64), wide_y = y.to(f64), wide_w = w.to(f64);
      return pass == ConvPass::x   ? ops::conv_form_x(problem.geometry, wide_y, wide_w)
             : pass == ConvPass::y ? ops::conv_form_y(problem.geometry, wide_x, wide_w)
                                   : ops::conv_form_w(problem.geometry, wide_x, wide_y);
    };
    for (const ConvPass pass : {ConvPass::x, ConvPass::w, ConvPass::y}) {
      CAPTURE(static_cast<int>(pass));
      REQUIRE(direct::has_winograd(problem, pass));
      const bool is_large = direct::winograd_side(problem, pass) > 4;
      ++(is_large ? large_tiles : small_tiles)[static_cast<int>(pass)];
      const Tensor out = run(pass);
      CHECK(distance(out, defined(pass)) <= (is_large ? kLargeTiles : kSmallTiles));
      if (pass == ConvPass::w) continue;
      for (const int threads : {1, 3}) {
        set_num_threads(threads);
        CHECK(distance(run(pass), out) == 0);
      }
      set_num_threads(threads_before);
    }
    ++served;
    strided += p.stride[2] > 1;
    long_kernels += p.kernel[2] > 3 * p.stride[2];
  }
  CHECK(served == 80);
  CHECK(strided >= 25);
  CHECK(long_kernels >= 25);
  for (int pass = 0; pass < 3; ++pass) {
    CHECK(large_tiles[pass] >= 4);
    CHECK(small_tiles[pass] >= 5);
  }
}

TEST_CASE("Winograd serves kernels of 5 and strided convolutions whose phases have equal taps") {
  Generator generator(8);
  for (const Form& p : {Form{1, 16, 16, 1, 1, 2, 1, 24, 5, 24}, Form{1, 16, 16, 1, 2, 1, 1, 32, 4, 16},
                        Form{1, 32, 32, 2, {1, 2, 2}, 1, 1, {16, 32, 32}, {3, 4, 4}, 16}}) {
    INFO(text(p, false));
    const ops::ConvGeometry g = geometry_of(p, false);
    const Tensor x = ops::normal(p.x_shape(), generator).to(f32),
                 y = ops::normal(p.y_shape(), generator).to(f32),
                 w = ops::normal(p.weight_shape(), generator).to(f32);
    const auto check_pass = [](const Tensor& got, const auto& expected) {
      CHECK(plan_stats().last_implementation == "lucid:winograd");
      CHECK(distance(got, expected()) <= 1e-5);
    };
    check_pass(ops::conv_form_y(g, x, w), [&] { return ops::conv_form_y(g, x.to(f64), w.to(f64)); });
    check_pass(ops::conv_form_x(g, y, w), [&] { return ops::conv_form_x(g, y.to(f64), w.to(f64)); });
    check_pass(ops::conv_form_w(g, x, y), [&] { return ops::conv_form_w(g, x.to(f64), y.to(f64)); });
  }
}

TEST_CASE("what Winograd holds for the phases of a stride is bounded") {
  const Form fits{1, 256, 512, 1, 2, 1, 1, 32, 4, 16};
  const auto fits_in = [](const Form& p, ConvPass pass) { return ops::winograd_fits(problem_of(p), pass); };
  for (const ConvPass pass : {ConvPass::x, ConvPass::w, ConvPass::y}) CHECK(fits_in(fits, pass));
  Form p = fits;
  p.x_channels = 264;  // of all phases at once
  CHECK(!fits_in(p, ConvPass::y));
  CHECK(!fits_in(p, ConvPass::w));
  CHECK(fits_in(p, ConvPass::x));
  p = fits, p.y_channels = 520;  // sums
  CHECK(!fits_in(p, ConvPass::w));
  CHECK(fits_in(p, ConvPass::y));
  p = {1, 16, 16, 1, 1, 2, 1, {9, 9, 512}, 5, {9, 9, 512}};  // lines of long kernels
  CHECK(fits_in(p, ConvPass::y));
  p.x[2] = p.y[2] = 513;
  CHECK(!fits_in(p, ConvPass::y));
  p = fits, p.y[2] = 257, p.x[2] = 514;  // lines
  CHECK(!fits_in(p, ConvPass::y));
  CHECK(fits_in(p, ConvPass::x));
}

TEST_CASE("Winograd refuses what it can't serve") {
  const auto serves = [](const Form& p) {
    for (const ConvPass pass : {ConvPass::x, ConvPass::w, ConvPass::y})
      if (direct::has_winograd(problem_of(p), pass)) return true;
    return false;
  };
  const Form served{1, 16, 16, 1, 2, 1, 1, 12, 4, 6};
  CHECK(serves(served));
  Form p = served;
  p.dilation = 2;  // beside a stride
  CHECK(!serves(p));
  p = served, p.stride[0] = 5;  // more than the kernel
  CHECK(!serves(p));
  p = served, p.kernel = {4, 4, 6};  // taps of phases differ along height and width
  CHECK(!serves(p));
  p = served, p.kernel = 11;
  CHECK(!serves(p));
  p = served, p.stride = 1000, p.kernel = 2000, p.x = 4000;  // phases without number
  CHECK(!serves(p));
  p = served, p.stride = 1, p.dilation = {1, 1000, 1}, p.x = {8, 3000, 8}, p.y = {6, 1000, 6};  // residues
  CHECK(!serves(p));
  p = served, p.x_channels = 12;
  CHECK(!serves(p));
  p = served, p.y = {6, 0, 6};
  CHECK(!direct::has_winograd(problem_of(p), ConvPass::y));
}
