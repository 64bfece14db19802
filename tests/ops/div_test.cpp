#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "lucid/random.hpp"
#include "ops/arithmetic.hpp"
#include "ops/reduce.hpp"
#include "ops/registry.hpp"
#include "ops/select.hpp"

using namespace lucid;

namespace {
using Values = std::vector<double>;
Values values(const Tensor& tensor) { return tensor.to_vector<double>(); }
}  // namespace

TEST_CASE("rounded quotients are PyTorch's") {
  const double inf = std::numeric_limits<double>::infinity();
  const Tensor a = Tensor::from({7, -7, 7, -7, 0.3, -0.0, 1, -5.5}, {8});
  const Tensor b = Tensor::from({2, 2, -2, -2, 0.1, 3, 0, 0}, {8});
  for (const DType dtype : {f32, f64}) {
    CAPTURE(dtype);
    const Tensor x = a.to(dtype), y = b.to(dtype);  // float32's 0.3 and 0.1 in both types
    CHECK(values(div(x, y, "trunc")) == Values{3, -3, -3, 3, 3, 0, inf, -inf});
    CHECK(values(div(x, y, "floor")) == Values{3, -4, -4, 3, 3, 0, inf, -inf});
    CHECK(std::signbit(values(div(x, y, "floor"))[5]));
  }
  // The quotient of the doubles 1 and 0.1 rounds to 10, but 0.1 is more than a tenth.
  CHECK(values(div(Tensor::from({1.0}, {1}, f64), Tensor::from({0.1}, {1}, f64), "floor")) == Values{9});
  CHECK(std::isnan(div(zeros({1}), zeros({1}), "floor").item<float>()));
}

TEST_CASE("integers divide as integers") {
  const Tensor a = Tensor::from({7, -7, 7, -7, -8, 0}, {6}, i64);
  const Tensor b = Tensor::from({2, 2, -2, -2, 2, -3}, {6}, i64);
  CHECK(div(a, b, "trunc").dtype() == i64);
  CHECK(values(div(a, b, "trunc")) == Values{3, -3, -3, 3, -4, 0});
  CHECK(values(div(a, b, "floor")) == Values{3, -4, -4, 3, -4, 0});
  CHECK(values(div(full({1}, 200, u8), full({1}, 7, u8), "floor")) == Values{28});
  const std::int64_t least = std::numeric_limits<std::int64_t>::min();
  CHECK(div(full({1}, least, i64), full({1}, -1, i64), "floor").item<std::int64_t>() == least);
  CHECK(div(full({1}, least, i64), full({1}, -1, i64), "trunc").item<std::int64_t>() == least);
  CHECK_THROWS_WITH_AS(div(a, zeros({1}, i64), "floor"), doctest::Contains("div: other holds 0"), Error);
  CHECK(div(zeros({0}, i64), zeros({1}, i64), "floor").numel() == 0);
  CHECK_THROWS_WITH_AS(div(a, b, "ceil"), doctest::Contains("rounding_mode is \"ceil\""), Error);
}

TEST_CASE("a rounded quotient broadcasts, has gradient 0 and is reached by its options") {
  const Tensor a = randn({3, 4}), b = rand({4}) + 0.5;
  a.requires_grad_();
  b.requires_grad_();
  const Tensor q = div(a, b, "floor");
  CHECK(q.shape() == Shape{3, 4});
  CHECK(values(q) == values(ops::call("div", {a, b}, {{"rounding_mode", "floor"}})[0]));
  q.sum().backward();
  CHECK(values(a.grad()) == Values(12, 0.0));
  CHECK(values(b.grad()) == Values(4, 0.0));
}

TEST_CASE("pairs of reductions, and max and min of two tensors") {
  const Tensor x = randn({3, 4, 5}), y = randn({4, 5});
  const auto [v, m] = var_mean(x, {0, 2}, 2, true);
  CHECK(v.shape() == Shape{1, 4, 1});
  CHECK(values(v) == values(var(x, {0, 2}, 2, true)));
  CHECK(values(m) == values(mean(x, {0, 2}, true)));
  const auto [s, n] = std_mean(x, {1});
  CHECK(values(s) == values(lucid::std(x, {1})));
  CHECK(values(n) == values(mean(x, {1})));
  const auto [low, high] = aminmax(x, {2}, true);
  CHECK(values(low) == values(amin(x, {2}, true)));
  CHECK(values(high) == values(amax(x, {2}, true)));
  CHECK(values(max(x, y)) == values(maximum(x, y)));
  CHECK(values(min(x, y)) == values(minimum(x, y)));
}
