#include "ops/grid_sample.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "autograd/backward.hpp"
#include "autograd/grad_mode.hpp"
#include "autograd/gradcheck.hpp"
#include "lucid/random.hpp"
#include "ops/interpolate.hpp"
#include "ops/join.hpp"
#include "tests/threads.hpp"

using namespace lucid;

namespace {

using Mode = GridSampleMode;
using Padding = GridPaddingMode;
using Values = std::vector<double>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr Padding kPaddings[] = {Padding::zeros, Padding::border, Padding::reflection};

Values values(const Tensor& tensor) { return tensor.to_vector<double>(); }

void check_close(const Tensor& found, const Tensor& expected, double epsilon = 1e-12) {
  REQUIRE(found.shape() == expected.shape());
  const Values a = values(found), b = values(expected);
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(std::abs(a[i] - b[i]) <= epsilon * (1 + std::abs(b[i])));
}

// The places of the elements themselves, moved by `shift` elements along x.
Tensor own_places(const Tensor& input, bool align_corners, double shift = 0) {
  const std::int64_t axes = input.dim() - 2, n = input.size(0);
  std::vector<double> theta;
  const auto width = static_cast<double>(align_corners ? input.size(-1) - 1 : input.size(-1));
  for (std::int64_t i = 0; i < axes; ++i)
    for (std::int64_t j = 0; j <= axes; ++j)
      theta.push_back(i == j ? 1 : i == 0 && j == axes ? 2 * shift / width : 0);
  const Tensor one = Tensor::from(theta, {1, axes, axes + 1});
  return affine_grid(one.expand({n, axes, axes + 1}), input.shape(), align_corners);
}

// One row of three elements, 1, 2 and 3, at the place x.
double read_row(double x, GridSampleOptions options) {
  const Tensor row = Tensor::from({1, 2, 3}, {1, 1, 1, 3}, f64);
  return grid_sample(row, Tensor::from({x, 0}, {1, 1, 1, 2}, f64), options).item<double>();
}

struct Pair {
  Tensor input, grid;
};
Pair random_pair(const Shape& shape, Shape places, Generator& generator, DType dtype = f64) {
  const std::int64_t axes = static_cast<std::int64_t>(shape.size()) - 2;
  places.insert(0, shape[0]);
  places.push_back(axes);
  return {randn(shape, dtype, &generator), randn(places, dtype, &generator)};
}

}  // namespace

TEST_CASE("the places of the elements themselves give the input back") {
  Generator generator(1);
  for (const Shape& shape : {Shape{2, 3, 4, 5}, Shape{2, 3, 3, 4, 5}, Shape{1, 17, 2, 3, 2}})
    for (const bool align : {false, true})
      for (const Padding padding : kPaddings)
        for (const Mode mode : {Mode::bilinear, Mode::nearest, Mode::bicubic}) {
          if (mode == Mode::bicubic && shape.size() == 5) continue;
          const Tensor x = randn(shape, f64, &generator);
          check_close(grid_sample(x, own_places(x, align), {mode, padding, align}), x);
        }
}

TEST_CASE("places moved by whole elements read the neighbour, and what lies outside") {
  const Tensor x = arange(1, 5, 1, f64).reshape({1, 1, 1, 4}).expand({1, 1, 2, 4});
  const auto moved = [&](double shift, Mode mode, Padding padding, bool align) {
    const Tensor y = grid_sample(x, own_places(x, align, shift), {mode, padding, align});
    Values row = values(y.select(2, 1));
    for (double& value : row) value = std::round(value * 1e9) / 1e9;
    return row;
  };
  for (const Mode mode : {Mode::bilinear, Mode::nearest, Mode::bicubic})
    for (const bool align : {false, true}) {
      CHECK(moved(1, mode, Padding::zeros, align) == Values{2, 3, 4, 0});
      CHECK(moved(-2, mode, Padding::zeros, align) == Values{0, 0, 1, 2});
      CHECK(moved(2, mode, Padding::border, align) == Values{3, 4, 4, 4});
      CHECK(moved(-5, mode, Padding::border, align) == Values{1, 1, 1, 1});
      // mirrored at the centres of the corner elements, or at their outer edges
      CHECK(moved(2, mode, Padding::reflection, align) == (align ? Values{3, 4, 3, 2} : Values{3, 4, 4, 3}));
      CHECK(moved(-7, mode, Padding::reflection, align) == (align ? Values{2, 1, 2, 3} : Values{2, 3, 4, 4}));
    }
}

TEST_CASE("nearest rounds halves to even in images, as PyTorch does") {
  // positions -0.5, 0.5, 1.5, 2.5
  CHECK(read_row(-1.5, {Mode::nearest, Padding::zeros, true}) == 1);
  CHECK(read_row(-0.5, {Mode::nearest, Padding::zeros, true}) == 1);
  CHECK(read_row(0.5, {Mode::nearest, Padding::zeros, true}) == 3);
  CHECK(read_row(1.5, {Mode::nearest, Padding::zeros, true}) == 3);
}

TEST_CASE("nearest rounds halves away from 0 in volumes, as PyTorch does") {
  const Values places{-0.75, -0.5, -0.25, 0.5, 1.5, 2.5, 3.5, 4.25, 4.5};  // in elements of a row of five
  const auto count = static_cast<std::int64_t>(places.size());
  const auto read = [&](std::int64_t axis, Padding padding) {
    Shape shape{1, 1, 1, 1, 1};
    shape[static_cast<std::size_t>(4 - axis)] = 5;
    const Tensor grid = zeros({1, 1, 1, count, 3}, f64);
    grid.select(4, axis).copy_(Tensor::from(places, {1, 1, 1, count}) / 2 - 1);
    return values(grid_sample(arange(1, 6, 1, f64).reshape(shape), grid, {Mode::nearest, padding, true}));
  };
  // PyTorch 1.13.1's numbers
  for (const std::int64_t axis : {0, 1, 2}) {
    CHECK(read(axis, Padding::zeros) == Values{0, 0, 1, 2, 3, 4, 5, 5, 0});
    CHECK(read(axis, Padding::border) == Values{1, 1, 1, 2, 3, 4, 5, 5, 5});
    CHECK(read(axis, Padding::reflection) == Values{2, 2, 1, 2, 3, 4, 5, 5, 5});
  }
}

TEST_CASE("the gradient of a grid under nearest is 0, also recorded") {
  Generator generator(11);
  for (const Shape& shape : {Shape{2, 3, 4, 5}, Shape{2, 3, 2, 4, 5}})
    for (const bool create_graph : {false, true}) {
      Pair pair = random_pair(shape, Shape(std::span(shape).subspan(2)), generator);
      pair.grid.requires_grad_();
      const Tensor y = grid_sample(pair.input, pair.grid, {.mode = Mode::nearest});
      const Tensors grads = autograd::grad({y.sum()}, {pair.grid}, {}, {.create_graph = create_graph});
      REQUIRE(grads[0].defined());
      CHECK(grads[0].shape() == pair.grid.shape());
      CHECK(values(grads[0]) == Values(static_cast<std::size_t>(pair.grid.numel()), 0.0));
    }
}

TEST_CASE("a grid of a volume's corners resizes as interpolate does") {
  Generator generator(2);
  const Tensor x = randn({2, 5, 3, 4, 5}, f64, &generator).channels_last();
  for (const bool align : {false, true}) {
    const Tensor theta = Tensor::from({1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0}, {1, 3, 4}, f64).expand({2, 3, 4});
    const Tensor grid = affine_grid(theta, {2, 5, 6, 7, 3}, align);
    const Tensor y = grid_sample(x, grid, {.padding_mode = Padding::border, .align_corners = align});
    CHECK(y.is_channels_last());
    check_close(
        y, interpolate(x, {.size = {6, 7, 3}, .mode = InterpolateMode::trilinear, .align_corners = align}));
  }
}

TEST_CASE("bicubic reproduces what PyTorch computes between elements") {
  // a = -0.75, position 0.5: -0.09375 (f[-1] + f[2]) + 0.59375 (f[0] + f[1])
  const auto at = [](double p) { return p - 1; };  // the coordinate of a position, three elements, aligned
  CHECK(read_row(at(0.5), {Mode::bicubic, Padding::zeros, true}) == doctest::Approx(1.5));
  CHECK(read_row(at(0.5), {Mode::bicubic, Padding::border, true}) == doctest::Approx(1.40625));
  CHECK(read_row(at(0.5), {Mode::bicubic, Padding::reflection, true}) == doctest::Approx(1.3125));
}

TEST_CASE("no coordinate reads out of bounds") {
  for (const bool align : {false, true})
    for (const Mode mode : {Mode::bilinear, Mode::nearest, Mode::bicubic}) {
      CAPTURE(align);
      for (const double x : {kNan, kInfinity, -kInfinity, 1e300, -1e300, 1e30, -1e30, 4e9, -5.0})
        CHECK(read_row(x, {mode, Padding::zeros, align}) == 0);
      for (const double x : {kInfinity, 1e300, 1e30, 4e9, 7.0})
        CHECK(read_row(x, {mode, Padding::border, align}) == doctest::Approx(3));
      for (const double x : {kNan, -kInfinity, -1e300, -1e30, -4e9, -7.0})
        CHECK(read_row(x, {mode, Padding::border, align}) == doctest::Approx(1));
      for (const double x : {kNan, kInfinity, -kInfinity})
        CHECK(read_row(x, {mode, Padding::reflection, align}) == 1);
      for (const double x : {1e300, -1e300, 1e30, -4e9}) {
        const double y = read_row(x, {mode, Padding::reflection, align});
        CHECK(y > 0.5);
        CHECK(y < 3.5);
      }
    }
}

TEST_CASE("wild coordinates on every axis keep results and gradients of their neighbours finite") {
  Generator generator(3);
  for (const Shape& shape :
       {Shape{2, 3, 4, 5}, Shape{1, 4, 2, 3, 4}, Shape{1, 1, 1, 1, 1}, Shape{1, 2, 1, 1}})
    for (const Mode mode : {Mode::bilinear, Mode::nearest, Mode::bicubic})
      for (const Padding padding : kPaddings) {
        if (mode == Mode::bicubic && shape.size() == 5) continue;
        for (const bool align : {false, true})
          for (const DType dtype : {f32, f64, bf16}) {
            const Shape places = shape.size() == 4 ? Shape{6, 9} : Shape{2, 6, 9};
            auto [input, grid] = random_pair(shape, places, generator, f64);
            Values wild = values(grid);
            const double bad[] = {kNan, kInfinity, -kInfinity, 3e38, -3e38, 1e19, -1e10, 2.2e9};
            for (std::size_t i = 0; i < wild.size(); i += 2) wild[i] = bad[i / 2 % 8];
            const Tensor x = input.to(dtype).requires_grad_();
            const Tensor at = Tensor::from(wild, grid.shape()).to(dtype).requires_grad_();
            const Tensor y = grid_sample(x, at, {mode, padding, align});
            for (const Tensor& gradient :
                 autograd::grad({y}, {x, at}, {ones_like(y)}, {.allow_unused = true}))
              if (gradient.defined())
                for (const double value : values(gradient)) CHECK(std::isfinite(value));
            for (const double value : values(y)) CHECK(std::isfinite(value));
          }
      }
}

TEST_CASE("the slope vanishes where padding holds the place, and turns over where it mirrors") {
  const Tensor row = Tensor::from({1, 2, 4}, {1, 1, 1, 3}, f64);
  const auto slope = [&](double x, Padding padding) {
    const Tensor grid = Tensor::from({x, 0}, {1, 1, 1, 2}, f64).requires_grad_();
    const Tensor y = grid_sample(row, grid, {.padding_mode = padding, .align_corners = true});
    return values(autograd::grad({y}, {grid}, {ones_like(y)})[0])[0];
  };
  CHECK(slope(0.5, Padding::border) == 2);
  CHECK(slope(1.5, Padding::border) == 0);
  CHECK(slope(-1.5, Padding::border) == 0);
  CHECK(slope(1.5, Padding::reflection) == -2);
  CHECK(slope(-1.5, Padding::reflection) == -1);
  CHECK(slope(4.5, Padding::reflection) == 2);
  CHECK(slope(1.5, Padding::zeros) == -4);
  CHECK(slope(2.5, Padding::zeros) == 0);
}

TEST_CASE("results and gradients depend on neither layout nor threads") {
  Generator generator(4);
  for (const std::int64_t channels : {1, 3, 16, 23}) {
    const auto [input, grid] = random_pair({2, channels, 5, 6, 7}, {9, 8, 10}, generator, f32);
    const Tensor seed = randn({2, channels, 9, 8, 10}, f32, &generator);
    std::vector<Values> first;
    for (const bool last : {false, true})
      for (const int count : {1, 2, 5}) {
        const Threads threads(count);
        const Tensor x = (last ? input.channels_last() : input).detach().requires_grad_();
        const Tensor at = grid.detach().requires_grad_();
        const Tensor y = grid_sample(x, at, {.padding_mode = Padding::border});
        const Tensors gradients = autograd::grad({y}, {x, at}, {last ? seed.channels_last() : seed});
        if (last) CHECK(gradients[0].is_channels_last());
        const std::vector<Values> found{values(y), values(gradients[0]), values(gradients[1])};
        if (first.empty()) first = found;
        CHECK(found == first);
      }
  }
}

TEST_CASE("many places at one element add up without loss") {
  const Tensor x = zeros({1, 1, 1, 2, 2}).requires_grad_();
  const Tensor grid = full({1, 1, 1000, 1000, 3}, -1.0);
  const Tensor y = grid_sample(x, grid, {.mode = Mode::nearest, .padding_mode = Padding::border});
  const Tensor seed = full(y.shape(), 0.1f);
  CHECK(autograd::grad({y}, {x}, {seed})[0].to_vector<float>()[0] == doctest::Approx(1e5).epsilon(1e-7));
}

TEST_CASE("an empty batch, no channels and no places give empty results and zero gradients") {
  for (const auto& [input, places] :
       {std::pair(Shape{0, 2, 3, 4}, Shape{0, 5, 6, 2}), std::pair(Shape{2, 0, 3, 4}, Shape{2, 5, 6, 2}),
        std::pair(Shape{2, 2, 3, 4}, Shape{2, 0, 6, 2}),
        std::pair(Shape{0, 2, 2, 3, 4}, Shape{0, 1, 5, 6, 3}),
        std::pair(Shape{1, 2, 2, 3, 4}, Shape{1, 1, 5, 0, 3})}) {
    const Tensor x = ones(input).requires_grad_(), grid = zeros(places).requires_grad_();
    const Tensor y = grid_sample(x, grid);
    CHECK(y.numel() == 0);
    CHECK(y.shape()[1] == input[1]);
    const Tensors gradients = autograd::grad({y}, {x, grid}, {ones_like(y)});
    CHECK(values(gradients[0]) == values(zeros(input)));
    CHECK(values(gradients[1]) == values(zeros(places)));
  }
  CHECK(affine_grid(zeros({0, 3, 4}), {0, 1, 2, 3, 4}).shape() == Shape{0, 2, 3, 4, 3});
}

TEST_CASE("third derivatives of bicubic sampling agree with differences") {
  Generator generator(5);
  const Tensor x = randn({1, 2, 4, 4}, f64, &generator).requires_grad_();
  const Tensor grid = Tensor::from({0.13, -0.31, 0.71, 0.42}, {1, 1, 2, 2}, f64).requires_grad_();
  const auto gradients = [](const Tensors& in) -> Tensors {
    Tensors leaves;  // central differences are taken without recording
    for (const Tensor& tensor : in)
      leaves.push_back(tensor.requires_grad() ? tensor : tensor.detach().requires_grad_());
    const enable_grad guard;
    const Tensor y = grid_sample(leaves[0], leaves[1], {Mode::bicubic, Padding::reflection});
    return autograd::grad({y.square()}, leaves, {ones_like(y)}, {.create_graph = true});
  };
  CHECK(autograd::gradcheck(gradients, {x, grid}).message == "");
  CHECK(autograd::gradgradcheck(gradients, {x, grid}, {.atol = 1e-4}).message == "");
}

TEST_CASE("bfloat16 inputs take a float32 grid") {
  Generator generator(6);
  const auto [input, grid] = random_pair({1, 5, 4, 4, 4}, {3, 4, 5}, generator, f32);
  const Tensor x = input.to(bf16).requires_grad_(), at = grid.detach().requires_grad_();
  const Tensor y = grid_sample(x, at), wide = grid_sample(x.detach().to(f32), grid);
  CHECK(y.dtype() == bf16);
  check_close(y, wide, 0x1p-8);
  const Tensors gradients = autograd::grad({y}, {x, at}, {ones_like(y)});
  CHECK(gradients[0].dtype() == bf16);
  CHECK(gradients[1].dtype() == f32);
}

TEST_CASE("a network of places can be trained: translation is found by descent") {
  // f(x) = x^2 sampled at x + s against itself at x + 0.2
  const Tensor line = arange(0, 9, 1, f64);
  const Tensor image = (line * line).reshape({1, 1, 1, 9}).expand({1, 1, 2, 9}).contiguous();
  const Tensor base = Tensor::from({0.5, 0, 0, 0, 1, 0}, {1, 2, 3}, f64);
  const Tensor target = grid_sample(
      image, affine_grid(base + Tensor::from({0, 0, 0.2, 0, 0, 0}, {1, 2, 3}, f64), {1, 1, 2, 5}, true),
      {.align_corners = true});
  double shift = 0;
  for (int step = 0; step < 60; ++step) {
    const Tensor s = full({1}, shift, f64).requires_grad_();
    const Tensor theta = base + s * Tensor::from({0, 0, 1, 0, 0, 0}, {1, 2, 3}, f64);
    const Tensor y = grid_sample(image, affine_grid(theta, {1, 1, 2, 5}, true), {.align_corners = true});
    shift -= 2e-4 * values(autograd::grad({(y - target).square().mean()}, {s})[0])[0];
  }
  CHECK(shift == doctest::Approx(0.2).epsilon(1e-3));
}
