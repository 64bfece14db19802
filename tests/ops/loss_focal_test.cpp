// Focal loss: values by hand, cross-entropy as its special case, a plain second implementation, the fused
// gradient against the composed one.
#include <doctest/doctest.h>

#include <cmath>

#include "autograd/backward.hpp"
#include "lucid/parallel.hpp"
#include "lucid/random.hpp"
#include "ops/loss.hpp"
#include "ops/reduce.hpp"

using namespace lucid;

namespace {

using Values = std::vector<double>;

Values losses_of(const Tensor& x, const Tensor& target, FocalLossOptions options) {
  options.reduction = Reduction::none;
  return focal_loss(x, target, options).to_vector<double>();
}

double power_loss(double p, double gamma) { return -std::pow(1 - p, gamma) * std::log(p); }

}  // namespace

TEST_CASE("focal_loss with sigmoid, by hand") {
  // log(3) has the probability 3/4, 0 has 1/2.
  const Tensor x = Tensor::from({std::log(3.0), 0, 0, std::log(3.0)}, {1, 2, 2}, f64);
  const Tensor labels = Tensor::from({0, 0}, {1, 2}, i64);
  const Values plain = losses_of(x, labels, {});
  CHECK(plain[0] == doctest::Approx(-std::log(0.75) / 16));
  CHECK(plain[1] == doctest::Approx(std::log(2.0) / 4));
  CHECK(plain[2] == doctest::Approx(std::log(2.0) / 4));         // class 1 is not there: of 1/2
  CHECK(plain[3] == doctest::Approx(-std::log(0.25) * 9 / 16));  // and of 1/4
  CHECK(focal_loss(x, labels).item<double>() ==
        doctest::Approx((plain[0] + plain[1] + plain[2] + plain[3]) / 4));

  const Tensor weight = Tensor::from({2, 8}, {2}, f64);
  const Values balanced = losses_of(x, labels, {.weight = weight, .alpha = 0.25});
  CHECK(balanced[0] == doctest::Approx(2 * 0.25 * plain[0]));
  CHECK(balanced[3] == doctest::Approx(8 * 0.75 * plain[3]));
  const Values foreground = losses_of(x, labels, {.weight = weight, .include_background = false});
  CHECK(foreground == Values{8 * plain[2], 8 * plain[3]});
  CHECK(focal_loss(x, labels, {.include_background = false}).item<double>() ==
        doctest::Approx((plain[2] + plain[3]) / 2));
}

TEST_CASE("focal_loss with softmax, by hand") {
  const Tensor x = Tensor::from({std::log(3.0), 0, 0, std::log(3.0)}, {1, 2, 2}, f64);
  const Tensor labels = Tensor::from({0, 1}, {1, 2}, i64);  // each has the probability 3/4
  const double loss = power_loss(0.75, 2);
  const Values plain = losses_of(x, labels, {.use_softmax = true});
  const Values expected{loss, 0, 0, loss};
  for (std::size_t i = 0; i < 4; ++i) CHECK(plain[i] == doctest::Approx(expected[i]));
  CHECK(focal_loss(x, labels, {.use_softmax = true}).item<double>() == doctest::Approx(loss / 2));
  CHECK(focal_loss(x, labels, {.use_softmax = true, .reduction = Reduction::sum}).item<double>() ==
        doctest::Approx(2 * loss));
  const Values balanced = losses_of(x, labels, {.use_softmax = true, .alpha = 0.9});
  CHECK(balanced[0] == doctest::Approx(0.1 * loss));
  CHECK(balanced[3] == doctest::Approx(0.9 * loss));
}

TEST_CASE("focal_loss without focus is cross-entropy") {
  const Tensor x = randn({2, 3, 4, 5}, f64), labels = randint(0, 3, {2, 4, 5}), t = rand({2, 3, 4, 5}, f64);
  CHECK(focal_loss(x, labels, {.use_softmax = true, .gamma = 0}).item<double>() ==
        doctest::Approx(cross_entropy(x, labels).item<double>() / 3).epsilon(1e-13));
  CHECK(focal_loss(x, t, {.gamma = 0}).item<double>() ==
        doctest::Approx(binary_cross_entropy_with_logits(x, t).item<double>()).epsilon(1e-13));
  const Tensor weight = Tensor::from({1, 3, 0.5}, {3}, f64);
  CHECK(
      focal_loss(x, labels, {.weight = weight, .use_softmax = true, .gamma = 0, .reduction = Reduction::sum})
          .item<double>() ==
      doctest::Approx(
          cross_entropy(x, labels, {.weight = weight, .reduction = Reduction::sum}).item<double>())
          .epsilon(1e-13));
}

TEST_CASE("focal_loss agrees with plain loops for every exponent") {
  const Tensor x = randn({1, 3, 70}, f64) * 3.0, t = rand({1, 3, 70}, f64);
  const Values logits = x.to_vector<double>(), truth = t.to_vector<double>();
  for (const double gamma : {0.0, 0.5, 1.0, 2.0, 3.5}) {
    const Values found = losses_of(x, t, {.gamma = gamma, .alpha = 0.3});
    const Values soft = losses_of(x, t, {.use_softmax = true, .gamma = gamma});
    for (std::size_t i = 0; i < 70; ++i) {
      double total = 0;
      for (std::size_t c = 0; c < 3; ++c) total += std::exp(logits[c * 70 + i]);
      for (std::size_t c = 0; c < 3; ++c) {
        const std::size_t at = c * 70 + i;
        const double p = 1 / (1 + std::exp(-logits[at])), q = std::exp(logits[at]) / total;
        CHECK(found[at] == doctest::Approx(0.3 * truth[at] * power_loss(p, gamma) +
                                           0.7 * (1 - truth[at]) * power_loss(1 - p, gamma)));
        CHECK(soft[at] == doctest::Approx(truth[at] * power_loss(q, gamma)));
      }
    }
  }
}

TEST_CASE("ignored positions count for nothing in focal_loss") {
  const Tensor few = randn({1, 3, 10}, f64), more = randn({1, 3, 30}, f64);
  for (std::int64_t c = 0; c < 3; ++c) more.narrow(1, c, 1).narrow(2, 0, 10).copy_(few.narrow(1, c, 1));
  const Tensor labels = randint(0, 3, {1, 10}), padded = full({1, 30}, 255, i64);
  padded.narrow(1, 0, 10).copy_(labels);
  for (const bool softmax : {false, true})
    CHECK(focal_loss(more, padded, {.use_softmax = softmax, .ignore_index = 255}).item<double>() ==
          doctest::Approx(focal_loss(few, labels, {.use_softmax = softmax}).item<double>()).epsilon(1e-14));
  CHECK(focal_loss(more, full({1, 30}, 255, i64), {.ignore_index = 255}).item<double>() == 0);
}

TEST_CASE("a certain and right prediction has no loss and no gradient, whatever the exponent") {
  for (const double gamma : {0.0, 0.5, 1.0, 2.0, 3.5})
    for (const bool softmax : {false, true}) {
      const Tensor x = Tensor::from({1e4, -1e4}, {1, 2}, f64).requires_grad_();
      const Tensor loss =
          focal_loss(x, Tensor::from({0}, {1}, i64), {.use_softmax = softmax, .gamma = gamma});
      CHECK(loss.item<double>() == 0);
      loss.backward();
      CHECK(x.grad().to_vector<double>() == Values{0, 0});
      const Tensor wrong =
          focal_loss(x, Tensor::from({1}, {1}, i64), {.use_softmax = softmax, .gamma = gamma});
      CHECK(wrong.item<double>() == doctest::Approx(1e4));
    }
}

TEST_CASE("the fused gradient of focal_loss is the composed one for all options and layouts") {
  const Tensor logits = randn({2, 4, 9, 10, 30}, f64), labels = randint(0, 4, {2, 9, 10, 30});
  const Tensor weight = rand({4}, f64) + 0.5, soft = rand({2, 4, 9, 10, 30}, f64);
  for (const bool last : {false, true})
    for (int bits = 0; bits < 64; ++bits) {
      const auto bit = [&](int i) { return (bits >> i & 1) != 0; };
      FocalLossOptions options{.include_background = bit(0),
                               .use_softmax = bit(1),
                               .gamma = bit(2) ? 2 : 0.7,
                               .reduction = bit(3) ? Reduction::none : Reduction::mean,
                               .ignore_index = 2};
      if (bit(4)) options.alpha = 0.3, options.weight = weight;
      const Tensor& target = bit(5) ? soft : labels;
      const Tensor x = (last ? logits.channels_last() : logits).detach();
      x.requires_grad_();
      const auto gradient = [&](bool create_graph) {
        const Tensor loss = focal_loss(x, target, options);
        const Tensor seed = arange(1, 1.0 + static_cast<double>(loss.numel()), 1, f64).reshape(loss.shape());
        return autograd::grad({loss}, {x}, {seed}, {.create_graph = create_graph})[0];
      };
      const Tensor fused = gradient(false), composed = gradient(true);
      CAPTURE(bits);
      CHECK(amax((fused - composed).abs()).item<double>() < 1e-12 * amax(composed.abs()).item<double>());
    }
}

TEST_CASE("float32 focal_loss of a volume is close to float64 and does not depend on the number of threads") {
  const Tensor x = randn({1, 4, 48, 48, 48}, f64) * 4.0, labels = randint(0, 4, {1, 48, 48, 48});
  const Tensor narrow = x.to(f32).channels_last();
  const int before = num_threads();
  for (const bool softmax : {false, true}) {
    const FocalLossOptions options{.use_softmax = softmax, .gamma = 1.5};
    set_num_threads(1);
    const float one = focal_loss(narrow, labels, options).item<float>();
    set_num_threads(3);
    CHECK(focal_loss(narrow, labels, options).item<float>() == one);
    set_num_threads(before);
    CHECK(one == doctest::Approx(focal_loss(narrow.to(f64), labels, options).item<double>()).epsilon(1e-6));
  }
}
