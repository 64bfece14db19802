#include <doctest/doctest.h>

#include "ops/reduce.hpp"

using namespace lucid;

TEST_CASE("prod and its gradient with zeros among the factors") {
  const auto gradient = [](std::initializer_list<double> values) {
    const Tensor x = Tensor::from(values, {static_cast<std::int64_t>(values.size())}, f64).requires_grad_();
    prod(x).backward();
    return x.grad().to_vector<double>();
  };
  CHECK(gradient({2, 3, 4}) == std::vector<double>{12, 8, 6});
  CHECK(gradient({2, 0, 4}) == std::vector<double>{0, 8, 0});
  CHECK(gradient({0, 0, 4}) == std::vector<double>{0, 0, 0});
}

TEST_CASE("prod of integers, along an axis, of nothing") {
  const Tensor x = Tensor::from({1, 2, 3, 4, 5, 6}, {2, 3}, u8);
  CHECK(prod(x).item<std::int64_t>() == 720);
  CHECK(prod(x).dtype() == i64);
  CHECK(prod(x, 0).to_vector<double>() == std::vector<double>{4, 10, 18});
  CHECK(prod(x, 1, true).shape() == Shape{2, 1});
  CHECK(prod(empty({0})).item<double>() == 1);
}
