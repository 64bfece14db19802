#include "ops/interpolate.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "autograd/backward.hpp"
#include "lucid/random.hpp"

using namespace lucid;

namespace {

using Mode = InterpolateMode;
using Values = std::vector<double>;
Values values(const Tensor& tensor) { return tensor.to_vector<double>(); }

Tensor line(std::initializer_list<double> given) {
  return Tensor::from(given, {1, 1, static_cast<std::int64_t>(given.size())}, f64);
}

void check_close(const Tensor& tensor, const Values& expected) {
  const Values found = values(tensor);
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-12));
}

std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

// Expected values: PyTorch 1.13.1.
TEST_CASE("linear positions with and without aligned corners") {
  const Tensor x = line({0, 1, 2, 3});
  check_close(interpolate(x, {.size = {9}, .mode = Mode::linear, .align_corners = true}),
              {0, 0.375, 0.75, 1.125, 1.5, 1.875, 2.25, 2.625, 3});
  check_close(interpolate(x, {.size = {1}, .mode = Mode::linear}), {1.5});
  check_close(interpolate(x, {.size = {1}, .mode = Mode::linear, .align_corners = true}), {0});
  check_close(interpolate(x, {.scale_factor = {2}, .mode = Mode::linear}),
              {0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3});
}

TEST_CASE("a given factor is used for positions unless it is to be recomputed") {
  const Tensor x = line({0, 1, 2, 3});
  check_close(interpolate(x, {.scale_factor = {0.3}, .mode = Mode::linear}), {1.1666666666666667});
  check_close(interpolate(x, {.scale_factor = {2.3}, .mode = Mode::linear, .recompute_scale_factor = true}),
              {0, 0.16666666666666663, 0.611111111111111, 1.0555555555555554, 1.5, 1.9444444444444442,
               2.388888888888889, 2.833333333333333, 3});
  check_close(interpolate(line({0, 1, 2}), {.scale_factor = {2.3}, .mode = Mode::linear}),
              {0, 0.15217391304347833, 0.5869565217391306, 1.0217391304347827, 1.456521739130435,
               1.8913043478260871});
}

TEST_CASE("a factor that leaves the size alone leaves linear values alone") {
  check_close(interpolate(line({3, 1, 2, 5}), {.scale_factor = {1.1}, .mode = Mode::linear}), {3, 1, 2, 5});
}

TEST_CASE("nearest rounds down, nearest-exact takes the middle") {
  const Tensor x = line({0, 1, 2, 3, 4, 5, 6});
  check_close(interpolate(x, {.scale_factor = {1.4}}), {0, 0, 1, 2, 2, 3, 4, 5, 5});
  check_close(interpolate(x, {.scale_factor = {1.4}, .mode = Mode::nearest_exact}),
              {0, 1, 1, 2, 3, 3, 4, 5, 6});
}

TEST_CASE("the gradient of nearest belongs to its forward where the output is twice the input") {
  // 1/2.3 apart, six outputs read 0 0 0 1 1 2
  const Tensor x = line({10, 20, 30}).requires_grad_();
  const Tensor y = interpolate(x, {.scale_factor = {2.3}});
  CHECK(values(y) == Values{10, 10, 10, 20, 20, 30});
  CHECK(values(autograd::grad({y}, {x}, {line({1, 2, 4, 8, 16, 32})})[0]) == Values{7, 24, 32});
}

TEST_CASE("results do not depend on the layout, and keep it") {
  Generator generator(1);
  for (const std::int64_t channels : {1, 3, 17}) {
    const Tensor x = randn({2, channels, 3, 4, 5}, f64, &generator).requires_grad_();
    const Tensor last = x.detach().channels_last().requires_grad_();
    const InterpolateOptions options{.scale_factor = {2, 1.5, 0.5}, .mode = Mode::trilinear};
    const Tensor a = interpolate(x, options), b = interpolate(last, options);
    CHECK(a.shape() == Shape{2, channels, 6, 6, 2});
    CHECK(b.is_channels_last());
    CHECK(values(a) == values(b));
    const Tensor g = randn(a.shape(), f64, &generator);
    const Tensor ga = autograd::grad({a}, {x}, {g})[0],
                 gb = autograd::grad({b}, {last}, {g.channels_last()})[0];
    CHECK(gb.is_channels_last());
    CHECK(values(ga) == values(gb));
  }
}

TEST_CASE("a constant volume stays constant under every mode") {
  const Tensor x = full({1, 2, 3, 5, 4}, 7.0);
  for (const Mode mode : {Mode::nearest, Mode::nearest_exact, Mode::trilinear, Mode::area})
    for (const double value : values(interpolate(x, {.size = {7, 2, 9}, .mode = mode})))
      CHECK(value == doctest::Approx(7).epsilon(1e-6));
}

TEST_CASE("pixel_shuffle3d moves channels into space, pixel_unshuffle3d back") {
  const Tensor x = arange(0, 16, 1, f64).reshape({1, 16, 1, 1, 1});
  const Tensor y = pixel_shuffle3d(x, 2);
  CHECK(y.shape() == Shape{1, 2, 2, 2, 2});
  CHECK(values(y) == values(x));
  CHECK(values(pixel_unshuffle3d(y, 2)) == values(x));
  // channel 5 = (1, 0, 1) of the 2 x 2 x 2 block
  CHECK(y.select(1, 0).select(1, 1).select(1, 0).select(1, 1).item<double>() == 5);
}

TEST_CASE("interpolate refuses what it cannot do, with the value in the message") {
  const Tensor x = ones({1, 2, 4, 4, 4});
  const auto names = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  CHECK(names(refusal([&] { interpolate(x, {.scale_factor = {0.1}}); }), "(1, 2, 0, 0, 0)"));
  CHECK(names(refusal([&] { interpolate(x, {.scale_factor = {std::nan("")}}); }), "nan"));
  CHECK(names(refusal([&] { interpolate(x, {.scale_factor = {1e300}}); }), "1e+300"));
  CHECK(names(refusal([&] { interpolate(x, {.size = {std::int64_t{1} << 40}}); }), "1099511627776"));
  CHECK(names(refusal([&] { interpolate(x, {.size = {2}, .recompute_scale_factor = true}); }), "recompute"));
  CHECK(names(refusal([&] { interpolate(ones({4, 4}), {.size = {2}}); }), "(4, 4)"));
  CHECK(names(refusal([&] { interpolate(x.to(i64), {.size = {2}}); }), "int64"));
}
