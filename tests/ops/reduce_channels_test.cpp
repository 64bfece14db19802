// Reductions over the channels of many voxels, whose runs are short and side by side: every kind against a
// loop over the values, in both layouts and in sizes around those of the tiles.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "lucid/random.hpp"
#include "ops/arithmetic.hpp"
#include "ops/cast.hpp"
#include "ops/compare.hpp"
#include "ops/reduce.hpp"
#include "ops/select.hpp"

using namespace lucid;

namespace {

using Values = std::vector<double>;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kVoxels = 3 * 23 * 19;  // of each of two samples

// Whole numbers, many of them equal, so that sums are exact and ties are there.
Tensor volume(std::int64_t channels, DType dtype, bool channels_last, Generator& generator) {
  const Tensor x = randint(-4, 5, {2, channels, 3, 23, 19}, f64, &generator).to(dtype);
  return channels_last ? x.channels_last() : x.contiguous();
}

// f(values of one voxel) for each voxel.
template <class F>
Values by_voxel(const Tensor& x, F f) {
  const Values all = x.to_vector<double>();
  const std::int64_t channels = x.size(1);
  Values results, values(static_cast<std::size_t>(channels));
  for (std::int64_t n = 0; n < 2; ++n)
    for (std::int64_t v = 0; v < kVoxels; ++v) {
      for (std::int64_t c = 0; c < channels; ++c)
        values[static_cast<std::size_t>(c)] = all[static_cast<std::size_t>((n * channels + c) * kVoxels + v)];
      results.push_back(f(values));
    }
  return results;
}

// The first largest, or the first NaN.
double position_of_largest(const Values& values) {
  for (std::size_t i = 0; i < values.size(); ++i)
    if (std::isnan(values[i])) return static_cast<double>(i);
  return static_cast<double>(std::ranges::max_element(values) - values.begin());
}

bool are_same(const Values& a, const Values& b) {
  return std::ranges::equal(a, b,
                            [](double x, double y) { return x == y || (std::isnan(x) && std::isnan(y)); });
}

}  // namespace

TEST_CASE("reductions over channels are what a loop over the values gives") {
  Generator generator(5);
  for (const DType dtype : {f32, f64, bf16})
    for (const bool channels_last : {true, false})
      for (const std::int64_t channels : {1, 2, 3, 5, 8, 33, 64, 65, 130, 257}) {
        CAPTURE(dtype);
        CAPTURE(channels_last);
        CAPTURE(channels);
        const Tensor x = volume(channels, dtype, channels_last, generator);
        const auto sum_of = [](const Values& v) { return std::accumulate(v.begin(), v.end(), 0.0); };
        if (dtype != bf16) CHECK(sum(x, {1}).to_vector<double>() == by_voxel(x, sum_of));
        CHECK(amax(x, {1}).to_vector<double>() ==
              by_voxel(x, [](const Values& v) { return *std::ranges::max_element(v); }));
        CHECK(amin(x, {1}).to_vector<double>() ==
              by_voxel(x, [](const Values& v) { return *std::ranges::min_element(v); }));
        CHECK(argmax(x, 1).to_vector<double>() == by_voxel(x, position_of_largest));
        const Values smallest = by_voxel(x, [](Values v) {
          for (double& value : v) value = -value;
          return position_of_largest(v);
        });
        CHECK(argmin(x, 1, true).to_vector<double>() == smallest);
        const auto [values, indices] = min(x, 1);
        CHECK(indices.to_vector<double>() == smallest);
        CHECK(values.to_vector<double>() == amin(x, {1}).to_vector<double>());
      }
}

TEST_CASE("infinities and NaN among channels are found, the first of them") {
  Generator generator(6);
  for (const bool channels_last : {true, false}) {
    Tensor x = volume(70, f32, channels_last, generator);
    const auto some = [&] { return randint(0, 40, x.shape(), f64, &generator).to(f32) == 0.0; };
    x = masked_fill(x, some(), kInfinity);
    x = masked_fill(x, some(), -kInfinity);
    const Tensor without = argmax(x, 1);
    CHECK(without.to_vector<double>() == by_voxel(x, position_of_largest));
    x = masked_fill(x, some(), kNan);
    const auto [values, indices] = max(x, 1);
    CHECK(indices.to_vector<double>() == by_voxel(x, position_of_largest));
    CHECK(are_same(values.to_vector<double>(), amax(x, {1}).to_vector<double>()));
    CHECK(are_same(values.to_vector<double>(), by_voxel(x, [](const Values& v) {
                     return v[static_cast<std::size_t>(position_of_largest(v))];
                   })));
    const Tensor lowest = masked_fill(x, x == x, -kInfinity);
    CHECK(argmax(masked_fill(lowest, lowest != lowest, -kInfinity), 1).to_vector<double>() ==
          Values(2 * kVoxels, 0.0));
  }
}

TEST_CASE("the gradient of max over channels goes to the first largest, whether it is recorded or not") {
  Generator generator(7);
  for (const bool channels_last : {true, false}) {
    const Tensor x = volume(9, f32, channels_last, generator);
    x.requires_grad_();
    const Tensor grad = randn({2, 3, 23, 19}, f32, &generator);
    max(x, 1).first.backward(grad);
    const Values plain = x.grad().to_vector<double>();
    CHECK(by_voxel(x.grad(), [](const Values& v) { return std::accumulate(v.begin(), v.end(), 0.0); }) ==
          grad.to_vector<double>());
    const Values chosen = by_voxel(x.grad(), [](Values v) {
      for (double& value : v) value = std::fabs(value);
      return position_of_largest(v);
    });
    CHECK(chosen == argmax(x, 1).to_vector<double>());
    x.set_grad({});
    max(x, 1).first.backward(grad, {.create_graph = true});
    CHECK(x.grad().to_vector<double>() == plain);
    x.set_grad({});
  }
}

TEST_CASE("an infinite gradient of max reaches the largest element alone") {
  for (const bool create_graph : {false, true}) {
    const Tensor x = Tensor::from({1, 3, 2}, {1, 3}, f64).requires_grad_();
    max(x, 1).first.backward(full({1}, kInfinity, f64), {.create_graph = create_graph});
    CHECK(x.grad().to_vector<double>() == Values{0, kInfinity, 0});
  }
}

TEST_CASE("logsumexp over channels and over voxels is that of a loop") {
  Generator generator(8);
  for (const DType dtype : {f32, bf16})
    for (const bool channels_last : {true, false}) {
      Tensor x = (randn({2, 33, 3, 23, 19}, f32, &generator) * 20.0).to(dtype);
      x = channels_last ? x.channels_last() : x.contiguous();
      const double tolerance = dtype == bf16 ? 0.5 : 2e-5;  // of values up to 100
      const Values expected = by_voxel(x, [](const Values& v) {
        const double largest = *std::ranges::max_element(v);
        double total = 0;
        for (const double value : v) total += std::exp(value - largest);
        return largest + std::log(total);
      });
      const Values found = logsumexp(x, {1}).to_vector<double>();
      for (std::size_t i = 0; i < expected.size(); ++i)
        REQUIRE(std::fabs(found[i] - expected[i]) < tolerance);
      const Tensor planes = logsumexp(x, {1, 4}), exact = logsumexp(x.to(f64), {1, 4});
      CHECK(amax((planes.to(f64) - exact).abs()).item<double>() < tolerance);
      const Values whole = logsumexp(x).to_vector<double>();
      CHECK(std::fabs(whole[0] - logsumexp(x.to(f64)).item<double>()) < tolerance);
    }
}

TEST_CASE(
    "the gradient of logsumexp over channels, and over other axes too, is that of float64 and of a recorded "
    "pass") {
  Generator generator(13);
  for (const bool channels_last : {true, false})
    for (const std::vector<std::int64_t>& dims : {std::vector<std::int64_t>{1}, {1, 4}}) {
      const Tensor values = randn({2, 9, 3, 23, 19}, f32, &generator);
      const Tensor x = (channels_last ? values.channels_last() : values.contiguous()).requires_grad_();
      const Tensor y = x.detach().to(f64).requires_grad_();
      const Tensor grad = randn(logsumexp(y, dims).shape(), f64, &generator);
      logsumexp(x, dims).backward(grad.to(f32));
      logsumexp(y, dims).backward(grad, {.create_graph = true});
      CHECK(x.grad().is_channels_last() == channels_last);
      CHECK(amax((x.grad().to(f64) - y.grad().detach()).abs()).item<double>() < 1e-6);
    }
}
