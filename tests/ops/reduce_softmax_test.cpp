#include <doctest/doctest.h>

#include <cmath>

#include "autograd/backward.hpp"
#include "lucid/random.hpp"
#include "ops/reduce.hpp"
#include "ops/softmax.hpp"

using namespace lucid;

TEST_CASE("softmax sums to 1 and is finite on extreme values") {
  const Tensor x = Tensor::from({1e30, -1e30, 0, 88, 89, 90}, {2, 3}, f32);
  const auto y = softmax(x, 1).to_vector<double>();
  CHECK(y[0] == 1);
  CHECK(y[1] == 0);
  CHECK(y[3] + y[4] + y[5] == doctest::Approx(1).epsilon(1e-6));
  const auto log_y = log_softmax(x, 1).to_vector<double>();
  CHECK(log_y[0] == 0);
  CHECK(log_y[1] == doctest::Approx(-2e30));
}

TEST_CASE("long rows and blocks of positions agree, forward and backward") {
  const Tensor plain = randn({3, 200, 70}, f64), cotangent = randn({3, 200, 70}, f64);
  for (const bool logarithm : {false, true}) {
    Tensors results, gradients;
    for (const bool last : {false, true}) {  // channels-last rows of 200 are walked along the classes
      const Tensor x = (last ? plain.channels_last() : plain.clone()).requires_grad_();
      results.push_back(logarithm ? log_softmax(x, 1) : softmax(x, 1));
      gradients.push_back(autograd::grad({results.back()}, {x}, {cotangent})[0]);
      CHECK(results.back().is_channels_last() == last);
    }
    CHECK(amax((results[0] - results[1]).abs()).item<double>() < 1e-13);
    CHECK(amax((gradients[0] - gradients[1]).abs()).item<double>() < 1e-13);
  }
}

TEST_CASE("logsumexp of infinite and of no elements") {
  const double inf = INFINITY;
  CHECK(logsumexp(Tensor::from({-inf, -inf}, {2}, f64)).item<double>() == -inf);
  CHECK(logsumexp(Tensor::from({inf, 0, inf}, {3}, f64)).item<double>() == inf);
  CHECK(logsumexp(Tensor::from({1000, 1000}, {2}, f64)).item<double>() ==
        doctest::Approx(1000 + std::log(2.0)));
  CHECK(logsumexp(empty({0}, f64)).item<double>() == -inf);
}

TEST_CASE("norms of every order") {
  const Tensor x = Tensor::from({3, -4, 0}, {3}, f64);
  CHECK(norm(x).item<double>() == 5);
  CHECK(norm(x, 1).item<double>() == 7);
  CHECK(norm(x, 0).item<double>() == 2);
  CHECK(norm(x, INFINITY).item<double>() == 4);
  CHECK(norm(x, -INFINITY).item<double>() == 0);
  CHECK(norm(x, 3).item<double>() == doctest::Approx(std::cbrt(27.0 + 64.0)));
  const Tensor zero = zeros({3}, f64).requires_grad_();
  for (const double p : {0.5, 1.0, 1.5, 2.0, 3.0}) {
    zero.set_grad({});
    norm(zero, p).backward();
    CHECK(zero.grad().to_vector<double>() == std::vector<double>{0, 0, 0});
  }
}
