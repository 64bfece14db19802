// Cross-entropy and its kin where the generic proof does not look: published values, ignored targets, the
// fused gradient against the composed one.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "autograd/backward.hpp"
#include "lucid/parallel.hpp"
#include "lucid/random.hpp"
#include "ops/loss.hpp"
#include "ops/reduce.hpp"
#include "ops/softmax.hpp"

using namespace lucid;

namespace {

double largest_difference(const Tensor& a, const Tensor& b) {
  return amax((a - b).abs()).item<double>() / std::max(1e-300, amax(b.abs()).item<double>());
}

Tensor gradient(const Tensor& loss, const Tensor& x, bool create_graph) {
  return autograd::grad({loss}, {x}, {}, {.create_graph = create_graph})[0];
}

}  // namespace

TEST_CASE("cross_entropy of two logits") {
  // log(1 + e^-1) and log(1 + e^1), by hand
  const Tensor x = Tensor::from({1, 0, 1, 0}, {2, 2}, f64);
  const auto losses =
      cross_entropy(x, Tensor::from({0, 1}, {2}, i64), {.reduction = Reduction::none}).to_vector<double>();
  CHECK(losses[0] == doctest::Approx(std::log1p(std::exp(-1.0))));
  CHECK(losses[1] == doctest::Approx(std::log1p(std::exp(1.0))));
}

TEST_CASE("cross_entropy weighs its mean by the targets' class weights") {
  const Tensor x = zeros({3, 2}, f64);
  x.mutable_data<double>()[0] = std::log(3.0);  // probabilities 3/4 and 1/4 in the first row
  const Tensor weight = Tensor::from({1, 4}, {2}, f64);
  const double loss = cross_entropy(x, Tensor::from({1, 0, 1}, {3}, i64), {.weight = weight}).item<double>();
  CHECK(loss == doctest::Approx((4 * std::log(4.0) + std::log(2.0) + 4 * std::log(2.0)) / 9));
}

TEST_CASE("a mean over ignored targets only is 0, and so is its gradient") {
  const Tensor x = randn({2, 3, 2, 2, 2}, f64);
  x.requires_grad_();
  const Tensor target = full({2, 2, 2, 2}, 255, u8);
  const Tensor loss = cross_entropy(x, target, {.ignore_index = 255});
  CHECK(loss.item<double>() == 0);
  loss.backward();
  CHECK(any(x.grad() != 0.0).item<bool>() == false);
  CHECK(nll_loss(x, target, {.ignore_index = 255}).item<double>() == 0);
  CHECK(cross_entropy(x, target.to(i64), {.ignore_index = 255, .label_smoothing = 0.1}).item<double>() == 0);
  CHECK(cross_entropy(empty({0, 3}), empty({0}, i64)).item<double>() == 0);
}

TEST_CASE("cross_entropy stays finite on extreme logits") {
  const Tensor x = Tensor::from({1000, -1000, 0, -1e30, 1e30, 3}, {2, 3}, f32);
  x.requires_grad_();
  const Tensor loss = cross_entropy(x, Tensor::from({1, 1}, {2}, i64), {.reduction = Reduction::none});
  CHECK(loss.to_vector<double>() == std::vector<double>{2000, 0});
  loss.sum().backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>{1, -1, 0, 0, 0, 0});
}

TEST_CASE("the fused gradient of cross_entropy is the composed one, in every layout and reduction") {
  const Shape shape{2, 5, 6, 7, 30};
  const Tensor logits = randn(shape, f64), weight = rand({5}, f64) + 0.5;
  const Tensor labels = randint(0, 5, {2, 6, 7, 30});
  for (const bool last : {false, true})
    for (const bool soft : {false, true})
      for (const Reduction reduction : {Reduction::none, Reduction::mean, Reduction::sum})
        for (const double smoothing : {0.0, 0.2}) {
          const Tensor x = (last ? logits.channels_last() : logits).detach();
          x.requires_grad_();
          CrossEntropyOptions options{.weight = weight, .reduction = reduction, .label_smoothing = smoothing};
          if (!soft) options.ignore_index = 2;
          const Tensor target = soft ? softmax(logits * 2.0, 1) : labels;
          const auto loss = [&] {
            return (cross_entropy(x, target, options) * (reduction == Reduction::none ? labels : ones({})))
                .sum();
          };
          CHECK(largest_difference(gradient(loss(), x, false), gradient(loss(), x, true)) < 1e-13);
          // By the definition, from log_softmax.
          const Tensor u = soft ? target : Tensor();
          if (soft && reduction == Reduction::sum) {
            const Tensor q = (u * (1 - smoothing) + smoothing / 5) * weight.reshape({1, 5, 1, 1, 1});
            const Tensor expected = -(q * log_softmax(logits, 1)).sum();
            CHECK(cross_entropy(x, target, options).item<double>() ==
                  doctest::Approx(expected.item<double>()).epsilon(1e-12));
          }
        }
}

TEST_CASE("a loss does not depend on the number of threads") {
  const Tensor x = randn({1, 4, 30, 30, 30}).channels_last(), target = randint(0, 4, {1, 30, 30, 30});
  const int before = num_threads();
  set_num_threads(1);
  const float one = cross_entropy(x, target).item<float>();
  set_num_threads(3);
  CHECK(cross_entropy(x, target).item<float>() == one);
  set_num_threads(before);
}

TEST_CASE("nll_loss never looks at what it does not choose") {
  const double never = -std::numeric_limits<double>::infinity();
  const Tensor x = Tensor::from({-0.5, never, never, -0.25}, {2, 2}, f64);
  CHECK(nll_loss(x, Tensor::from({0, 1}, {2}, i64)).item<double>() == 0.375);
}

TEST_CASE("a class index out of range is named") {
  const Tensor x = zeros({1, 4, 2, 2, 2});
  const Tensor target = zeros({1, 2, 2, 2}, i64);
  target.mutable_data<std::int64_t>()[5] = 4;
  CHECK_THROWS_WITH(cross_entropy(x, target), doctest::Contains("class index 4"));
  CHECK_THROWS_WITH(cross_entropy(x, target, {.ignore_index = 3}),
                    doctest::Contains("ignore_index, which is 3"));
  CHECK_NOTHROW(cross_entropy(x, target, {.ignore_index = 4}));
}
