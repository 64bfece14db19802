#include "ops/reduce.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "lucid/random.hpp"
#include "ops/registry.hpp"
#include "tests/threads.hpp"

using namespace lucid;

namespace {

// The sum over `dims` by plain counting over logical coordinates.
std::vector<double> counted_sum(const Tensor& x, const DimList& dims) {
  Shape kept = x.shape();
  for (const auto axis : normalize_axes("test", dims, x.shape().size())) kept[axis] = 1;
  std::vector<double> out(static_cast<std::size_t>(checked_numel("test", kept)), 0.0);
  const std::vector<double> values = x.to_vector<double>();
  const Strides strides = contiguous_strides(kept);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    std::int64_t rest = i, at = 0;
    for (std::size_t axis = kept.size(); axis-- > 0;) {
      at += rest % x.shape()[axis] % kept[axis] * strides[axis];
      rest /= x.shape()[axis];
    }
    out[at] += values[i];
  }
  return out;
}

Tensor integers(const Shape& shape, DType dtype) { return randint(0, 17, shape, i64).to(dtype); }

const std::vector<DimList> kDimLists = {{},           {0},      {1},       {4},    {2, 3, 4},
                                        {0, 2, 3, 4}, {0, 1},   {1, 3, 4}, {0, 3}, {0, 1, 2, 3},
                                        {1, 2},       {-1, -4}, {3},       {2, 4}, {1, 2, 3, 4}};

}  // namespace

TEST_CASE("sum agrees with counting for every set of axes, layout and type") {
  for (const Shape& shape : {Shape{2, 3, 4, 5, 6}, Shape{1, 4, 3, 70, 9}, Shape{2, 40, 2, 2, 33}}) {
    const Tensor plain = integers(shape, f32);
    const Tensor last = plain.channels_last();
    const Tensor wide = integers({shape[0], shape[1], shape[2], shape[3], 2 * shape[4]}, f32);
    Strides strides = wide.strides();
    strides[4] = 2;
    const Tensor sliced = alias(wide, shape, strides, 1);
    Strides none = plain.strides();
    none[1] = none[3] = 0;
    const Tensor expanded = alias(plain, shape, none, 0);
    for (const DimList& dims : kDimLists) {
      for (const Tensor& x : {plain, last, sliced, expanded, last.to(f64), last.to(i32), plain.to(u8)}) {
        CAPTURE(x.shape().str());
        CAPTURE(x.strides().str());
        const Tensor kept = sum(x, dims, true), dropped = sum(x, dims);
        CHECK(kept.to_vector<double>() == counted_sum(x, dims));
        CHECK(dropped.to_vector<double>() == counted_sum(x, dims));
        CHECK(kept.dim() == 5);
        CHECK(dropped.dim() == (dims.empty() ? 0 : 5 - static_cast<std::int64_t>(dims.size())));
        CHECK(kept.dtype() == (is_floating(x.dtype()) ? x.dtype() : i64));
      }
    }
  }
}

TEST_CASE("sum splits few long results among threads and repeats bit by bit") {
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    const Tensor x = integers({1, 5, 40, 40, 40}, f32).channels_last();
    CHECK(sum(x, {0, 2, 3, 4}).to_vector<double>() == counted_sum(x, {0, 2, 3, 4}));
    const Tensor y = integers({5, 70000}, f32);
    CHECK(sum(y, {1}).to_vector<double>() == counted_sum(y, {1}));
    CHECK(sum(y, {0}).to_vector<double>() == counted_sum(y, {0}));
    const Tensor noise = randn({300000});
    const double first = sum(noise).item<double>();
    for (int i = 0; i < 5; ++i) CHECK(sum(noise).item<double>() == first);
  }
}

TEST_CASE("sum keeps double precision in float32 and the memory order of its input") {
  const Tensor x = full({1 << 24}, 0.1f);
  CHECK(sum(x).item<double>() == doctest::Approx(0.1 * (1 << 24)).epsilon(1e-7));
  const Tensor volume = randn({2, 3, 4, 5, 6}).channels_last();
  CHECK(sum(volume, {2}, true).is_channels_last());
}

TEST_CASE("equal elements have themselves as their mean, no variance, and no gradient of std") {
  for (const DType dtype : {f32, f64, bf16})
    for (std::int64_t n = 1; n < 300; ++n) {
      CAPTURE(n);
      const Tensor x = full({n}, 3.0, dtype).requires_grad_();
      CHECK(mean(x).item<double>() == 3.0);
      if (n == 1) continue;
      CHECK(var(x).item<double>() == 0.0);
      lucid::std(x).backward();
      CHECK(x.grad().to_vector<double>() == std::vector<double>(static_cast<std::size_t>(n), 0.0));
    }
}

TEST_CASE("equal elements whose mean is rounded have no variance and no gradient of std either") {
  for (const DType dtype : {f32, f64, bf16})
    for (const double value : {0.1, 1.0 / 3, -7e5 / 3, 1e-30})
      for (const std::int64_t n : {2, 3, 6, 10, 49, 1000, 70'001}) {
        CAPTURE(value);
        CAPTURE(n);
        const Tensor x = full({n}, value, dtype).requires_grad_();
        CHECK(var(x).item<double>() == 0.0);
        lucid::std(x).backward();
        CHECK(x.grad().to_vector<double>() == std::vector<double>(static_cast<std::size_t>(n), 0.0));
      }
}

TEST_CASE("reductions of nothing") {
  CHECK(sum(empty({0, 3})).item<double>() == 0);
  CHECK(sum(empty({0, 3}), {0}).to_vector<double>() == std::vector<double>{0, 0, 0});
  CHECK(sum(empty({0, 3}), {1}).shape() == Shape{0});
  CHECK(std::isnan(mean(empty({0})).item<double>()));
  CHECK(mean(full({}, 3.0), {0}).item<double>() == 3);
}

TEST_CASE("sum_to sums what expand repeats") {
  const Tensor x = Tensor::from({1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(x.sum_to({3}).to_vector<double>() == std::vector<double>{5, 7, 9});
  CHECK(x.sum_to({2, 1}).to_vector<double>() == std::vector<double>{6, 15});
  CHECK(x.sum_to({1}).to_vector<double>() == std::vector<double>{21});
  CHECK(x.sum_to({}).item<double>() == 21);
  CHECK(x.sum_to({1, 3}).shape() == Shape{1, 3});
  CHECK_THROWS_WITH(x.sum_to({2}), doctest::Contains("sum_to: "));
  CHECK_THROWS_WITH(x.sum_to({1, 2, 3}), doctest::Contains("(1, 2, 3)"));
}
