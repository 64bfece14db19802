#include "nn/init.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>

using namespace lucid;
namespace init = lucid::nn::init;

namespace {

struct Summary {
  double mean, std, least, most;
};

Summary summary(const Tensor& tensor) {
  const auto values = tensor.to_vector<double>();
  const double n = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (double value : values) sum += value, squares += value * value;
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return {sum / n, std::sqrt(squares / n - sum / n * sum / n), *least, *most};
}

// About 70,000 elements: a mean or spread is off by less than 2 % of the spread, but for odds of 1 to 10^6.
Tensor weight() { return empty({64, 40, 3, 3, 3}); }

void check_uniform(const Tensor& tensor, double bound) {
  const Summary s = summary(tensor);
  CHECK(std::abs(s.mean) < 0.02 * bound);
  CHECK(s.std == doctest::Approx(bound / std::sqrt(3.0)).epsilon(0.02));
  CHECK(s.most <= bound);
  CHECK(s.least >= -bound);
  CHECK(s.most > 0.999 * bound);
}

void check_normal(const Tensor& tensor, double std) {
  const Summary s = summary(tensor);
  CHECK(std::abs(s.mean) < 0.02 * std);
  CHECK(s.std == doctest::Approx(std).epsilon(0.02));
  CHECK(s.most > 3.5 * std);
}

}  // namespace

TEST_CASE("fans follow the stored order of the weight") {
  const init::Fans fans = init::calculate_fan_in_and_fan_out(empty({16, 8, 3, 3, 3}));
  CHECK(fans.fan_in == 8 * 27);
  CHECK(fans.fan_out == 16 * 27);
  CHECK_THROWS_WITH_AS(init::calculate_fan_in_and_fan_out(empty({3})), doctest::Contains("rank 1"), Error);
}

TEST_CASE("each initialiser draws from its distribution") {
  manual_seed(7);
  const double fan_in = 40 * 27, fan_out = 64 * 27;
  check_uniform(init::kaiming_uniform_(weight(), {.a = std::sqrt(5.0)}), 1 / std::sqrt(fan_in));
  check_uniform(init::kaiming_uniform_(weight(), {.mode = init::FanMode::fan_out, .nonlinearity = "relu"}),
                std::sqrt(6 / fan_out));
  check_normal(init::kaiming_normal_(weight(), {.nonlinearity = "relu"}), std::sqrt(2 / fan_in));
  check_uniform(init::xavier_uniform_(weight(), 2), 2 * std::sqrt(6 / (fan_in + fan_out)));
  check_normal(init::xavier_normal_(weight()), std::sqrt(2 / (fan_in + fan_out)));
  check_normal(init::normal_(empty({70000}, f64), 0, 3), 3);
  const Summary s = summary(init::uniform_(empty({70000}), 2, 4));
  CHECK(s.mean == doctest::Approx(3).epsilon(0.01));
  CHECK(s.least >= 2);
  CHECK(s.most <= 4);
}

TEST_CASE("trunc_normal_ stays inside and has the spread of the truncated distribution") {
  manual_seed(7);
  const Summary s = summary(init::trunc_normal_(empty({70000}, f64), 1, 2, -1, 3));
  CHECK(s.mean == doctest::Approx(1).epsilon(0.02));
  CHECK(s.std == doctest::Approx(2 * 0.53956).epsilon(0.02));  // of N(0, 1) on [-1, 1]
  CHECK(s.least >= -1);
  CHECK(s.most <= 3);
  CHECK(summary(init::trunc_normal_(empty({100}), 0, 1, 50, 51)).least >= 50);
}

TEST_CASE("orthogonal_ makes orthonormal rows or columns") {
  for (const Shape& shape : {Shape{4, 3, 2}, Shape{9, 2, 2}}) {
    const Tensor w = init::orthogonal_(empty(shape, f64), 3);
    const auto v = w.to_vector<double>();
    const std::int64_t rows = shape[0], columns = w.numel() / rows;
    const bool wide = rows <= columns;
    const std::int64_t count = std::min(rows, columns), length = std::max(rows, columns);
    const auto at = [&](std::int64_t i, std::int64_t k) {
      return wide ? v[i * columns + k] : v[k * columns + i];
    };
    for (std::int64_t i = 0; i < count; ++i)
      for (std::int64_t j = 0; j <= i; ++j) {
        double dot = 0;
        for (std::int64_t k = 0; k < length; ++k) dot += at(i, k) * at(j, k);
        CHECK(dot == doctest::Approx(i == j ? 9 : 0).epsilon(1e-12));
      }
  }
}

TEST_CASE("gains are PyTorch's") {
  CHECK(init::calculate_gain("linear") == 1);
  CHECK(init::calculate_gain("conv_transpose3d") == 1);
  CHECK(init::calculate_gain("tanh") == doctest::Approx(5.0 / 3));
  CHECK(init::calculate_gain("leaky_relu", 0.2) == doctest::Approx(1.3867504905630728));
  CHECK_THROWS_WITH_AS(init::calculate_gain("swish"), doctest::Contains("\"swish\""), Error);
}

TEST_CASE("values are reproduced by the seed, written in place and not recorded") {
  Generator one(3), two(3);
  const Tensor w = weight().requires_grad_();
  const Tensor same = init::normal_(w, 0, 1, &one);
  CHECK(same.is_same(w));
  CHECK(w.is_leaf());
  CHECK(init::normal_(weight(), 0, 1, &two).to_vector<float>() == w.to_vector<float>());
  CHECK(init::constant_(empty({2}), 4).to_vector<float>() == std::vector<float>{4, 4});
  CHECK_THROWS_WITH_AS(init::uniform_(empty({2}, i64)), doctest::Contains("int64"), Error);
  CHECK_THROWS_WITH_AS(init::normal_(empty({2}), 0, -1), doctest::Contains("std is -1"), Error);
}
