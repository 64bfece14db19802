// What maxima, variances, truth values and running sums give in the cases that a formula leaves open.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "lucid/parallel.hpp"
#include "lucid/random.hpp"
#include "ops/reduce.hpp"

using namespace lucid;

namespace {
using Values = std::vector<double>;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
}  // namespace

TEST_CASE("amax and amin share the gradient among ties, max gives it to the first") {
  const Tensor x = Tensor::from({1, 3, 3, 0, 3, 2}, {6}, f64);
  x.requires_grad_();
  amax(x).backward();
  CHECK(x.grad().to_vector<double>() == Values{0, 1.0 / 3, 1.0 / 3, 0, 1.0 / 3, 0});
  x.set_grad({});
  const auto [value, index] = max(x, 0);
  CHECK(value.item<double>() == 3);
  CHECK(index.item<std::int64_t>() == 1);
  CHECK(index.dtype() == i64);
  value.backward();
  CHECK(x.grad().to_vector<double>() == Values{0, 1, 0, 0, 0, 0});
}

TEST_CASE("a NaN is found by every extremum") {
  const Tensor x = Tensor::from({1, kNan, 3, kNan}, {4}, f64);
  CHECK(std::isnan(amax(x).item<double>()));
  CHECK(std::isnan(amin(x).item<double>()));
  CHECK(argmax(x).item<std::int64_t>() == 1);
  CHECK(argmin(x).item<std::int64_t>() == 1);
}

TEST_CASE("argmax of large inputs finds the first largest element whatever the layout and thread count") {
  const int before = num_threads();
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    const Tensor x = randint(0, 50, {2, 4, 20, 30, 40}).to(f32).channels_last();
    const Values values = x.to_vector<double>();
    std::int64_t first = 0;
    for (std::int64_t i = 0; i < x.numel(); ++i)
      if (values[i] > values[first]) first = i;
    CHECK(argmax(x).item<std::int64_t>() == first);

    const Values classes = argmax(x, 1).to_vector<double>();
    const auto [best, where] = max(x, 1);
    CHECK(where.to_vector<double>() == classes);
    CHECK(best.to_vector<double>() == amax(x, {1}).to_vector<double>());
    const std::int64_t voxels = 20 * 30 * 40;
    bool first_of_largest = true;
    for (std::int64_t n = 0; n < 2; ++n)
      for (std::int64_t v = 0; v < voxels; ++v) {
        std::int64_t at = 0;
        for (std::int64_t c = 1; c < 4; ++c)
          if (values[(n * 4 + c) * voxels + v] > values[(n * 4 + at) * voxels + v]) at = c;
        first_of_largest = first_of_largest && classes[n * voxels + v] == static_cast<double>(at);
      }
    CHECK(first_of_largest);
  }
  set_num_threads(before);
}

TEST_CASE("argmax along a long axis keeps positions when threads share it") {
  const Tensor x = zeros({200000});
  x.mutable_data<float>()[150000] = 1;
  x.mutable_data<float>()[150001] = 1;
  CHECK(argmax(x, 0).item<std::int64_t>() == 150000);
  CHECK(argmin(x, 0).item<std::int64_t>() == 0);
}

TEST_CASE("extrema of integers and bool") {
  const Tensor x = Tensor::from({-5, 7, 2}, {3}, i32);
  CHECK(amax(x).item<std::int64_t>() == 7);
  CHECK(amin(x).dtype() == i32);
  CHECK(amax(Tensor::from({0, 1}, {2}, boolean)).item<bool>());
  CHECK_FALSE(amin(Tensor::from({0, 1}, {2}, boolean)).item<bool>());
}

TEST_CASE("var keeps its digits far from zero, is NaN of one element and infinite of too few") {
  std::vector<double> values;
  for (int i = 0; i < 1000; ++i) values.push_back(1e8 + i % 2);
  CHECK(var(Tensor::from(values, {1000}), {}, 0).item<double>() == doctest::Approx(0.25).epsilon(1e-12));
  CHECK(lucid::std(Tensor::from(values, {1000}), {}, 0).item<double>() ==
        doctest::Approx(0.5).epsilon(1e-12));
  CHECK(std::isnan(var(ones({1})).item<double>()));
  CHECK(var(ones({1}), {}, 0).item<double>() == 0);
  CHECK(var(Tensor::from({1, 2}, {2}, f64), {}, 2).item<double>() == INFINITY);
  CHECK(lucid::std(Tensor::from({1, 2}, {2}, f64), {}, 3).item<double>() == INFINITY);
}

TEST_CASE("std of equal elements has the gradient 0") {
  const Tensor x = full({4}, 2.0, f64);
  x.requires_grad_();
  lucid::std(x).backward();
  CHECK(x.grad().to_vector<double>() == Values{0, 0, 0, 0});
}

TEST_CASE("any and all, of something and of nothing") {
  const Tensor x = Tensor::from({0, 0, 0, 2}, {2, 2}, f32);
  CHECK(any(x, {1}).to_vector<double>() == Values{0, 1});
  CHECK(all(x, {1}).to_vector<double>() == Values{0, 0});
  CHECK(any(x).dtype() == boolean);
  CHECK_FALSE(any(empty({0})).item<bool>());
  CHECK(all(empty({0})).item<bool>());
}

TEST_CASE("cumsum runs forwards and backwards, integers in int64") {
  const Tensor x = Tensor::from({1, 2, 3, 4, 5, 6}, {2, 3}, u8);
  CHECK(cumsum(x, 1).to_vector<double>() == Values{1, 3, 6, 4, 9, 15});
  CHECK(cumsum(x, 0).to_vector<double>() == Values{1, 2, 3, 5, 7, 9});
  CHECK(cumsum(x, 1, {}, true).to_vector<double>() == Values{6, 5, 3, 15, 11, 6});
  CHECK(cumsum(x, 1).dtype() == i64);
  const Tensor volume = randint(0, 9, {2, 3, 5, 40, 70}).to(f32);
  CHECK(cumsum(volume.channels_last(), 2).to_vector<double>() == cumsum(volume, 2).to_vector<double>());
  CHECK(cumsum(volume, 3).narrow(3, 39, 1).to_vector<double>() == sum(volume, {3}).to_vector<double>());
}
