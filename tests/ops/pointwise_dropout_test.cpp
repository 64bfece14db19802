// Dropout: what is dropped, how often, and that nothing but the generator decides.

#include <doctest/doctest.h>

#include "lucid/parallel.hpp"
#include "lucid/random.hpp"
#include "ops/dropout.hpp"

using namespace lucid;

namespace {
using Values = std::vector<double>;

Values dropped(const Tensor& x, double p) {
  Generator generator(7);
  return dropout(x, p, true, &generator).to_vector<double>();
}
}  // namespace

TEST_CASE("dropout scales what it keeps and drops the share p") {
  const Values y = dropped(ones({1 << 18}), 0.25);
  std::int64_t zeros = 0;
  for (const double value : y) {
    zeros += value == 0;
    CHECK_MESSAGE((value == 0 || value == doctest::Approx(4.0 / 3)), value);
  }
  // the share's standard deviation is sqrt(p (1 - p) / n) = 0.00085
  CHECK(static_cast<double>(zeros) / (1 << 18) == doctest::Approx(0.25).epsilon(0.015));
}

TEST_CASE("dropout depends neither on threads nor on layout nor on type") {
  Generator generator(1);
  const Tensor x = randn({2, 8, 16, 16, 16}, f32, &generator);
  const Values expected = dropped(x, 0.5);
  CHECK(dropped(x.channels_last(), 0.5) == expected);
  const int threads = num_threads();
  set_num_threads(threads == 1 ? 3 : 1);
  CHECK(dropped(x, 0.5) == expected);
  set_num_threads(threads);
  CHECK(dropped(x.to(f64), 0.5) == expected);
}

TEST_CASE("dropout: the gradient has the mask of the forward pass, and calls differ") {
  manual_seed(11);
  const Tensor x = ones({4, 3, 2, 2, 2}).requires_grad_();
  const Tensor y = dropout(x, 0.5);
  y.backward(ones(x.shape()));
  CHECK(x.grad().to_vector<double>() == y.to_vector<double>());
  CHECK(dropout(x, 0.5).to_vector<double>() != y.to_vector<double>());
  manual_seed(11);
  CHECK(dropout(x, 0.5).to_vector<double>() == y.to_vector<double>());
}

TEST_CASE("dropout3d drops whole channels") {
  const Tensor x = ones({8, 16, 2, 3, 2}).channels_last();
  Generator generator(2);
  const Values y = dropout3d(x, 0.5, true, &generator).to_vector<double>();
  std::int64_t kept = 0;
  for (std::size_t channel = 0; channel < 8 * 16; ++channel) {
    const double first = y[channel * 12];
    CHECK((first == 0 || first == 2));
    kept += first == 2;
    for (std::size_t i = 1; i < 12; ++i) CHECK(y[channel * 12 + i] == first);
  }
  CHECK(kept > 40);
  CHECK(kept < 88);
  CHECK_THROWS_WITH_AS(dropout3d(ones({2, 3}), 0.5), doctest::Contains("(2, 3)"), Error);
}

TEST_CASE("dropout at the ends: p = 0 and evaluation return the input, p = 1 drops all") {
  const Tensor x = ones({5});
  CHECK(dropout(x, 0.0).is_same(x));
  CHECK(dropout(x, 0.5, false).is_same(x));
  CHECK(dropout(x, 1.0).to_vector<double>() == Values(5, 0.0));
  CHECK_THROWS_WITH_AS(dropout(x, 1.5), doctest::Contains("dropout: p is 1.5"), Error);
}
