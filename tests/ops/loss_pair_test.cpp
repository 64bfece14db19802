// Losses of pairs of elements: values by hand, edges, and the fused gradients against the composed ones.
#include <doctest/doctest.h>

#include <cmath>

#include "autograd/backward.hpp"
#include "lucid/random.hpp"
#include "ops/loss.hpp"
#include "ops/reduce.hpp"
#include "tests/threads.hpp"

using namespace lucid;

namespace {

using Values = std::vector<double>;
constexpr LossOptions kNone{.reduction = Reduction::none};

const Tensor& leaf(const Tensor& x) { return x.requires_grad_(); }

// Gradients of input and target with and without recording the backward pass.
template <class Loss>
void check_fused(const Tensor& x, const Tensor& t, Loss loss) {
  leaf(x), leaf(t);
  for (const Tensor& wanted : {x, t}) {
    const Tensor fused = autograd::grad({loss().sum()}, {wanted})[0];
    const Tensor composed = autograd::grad({loss().sum()}, {wanted}, {}, {.create_graph = true})[0];
    CHECK(amax((fused - composed).abs()).template item<double>() <
          1e-13 * (1 + amax(composed.abs()).template item<double>()));
  }
}

}  // namespace

TEST_CASE("losses of differences, by hand") {
  const Tensor x = Tensor::from({0, 1, -3}, {3}, f64), t = Tensor::from({0.5, 1, 1}, {3}, f64);
  CHECK(mse_loss(x, t, kNone).to_vector<double>() == Values{0.25, 0, 16});
  CHECK(l1_loss(x, t, kNone).to_vector<double>() == Values{0.5, 0, 4});
  CHECK(mse_loss(x, t).item<double>() == 16.25 / 3);
  CHECK(l1_loss(x, t, {.reduction = Reduction::sum}).item<double>() == 4.5);
  CHECK(smooth_l1_loss(x, t, {.reduction = Reduction::none, .beta = 2}).to_vector<double>() ==
        Values{0.0625, 0, 3});
  CHECK(smooth_l1_loss(x, t, {.reduction = Reduction::none, .beta = 0}).to_vector<double>() ==
        Values{0.5, 0, 4});
  CHECK(huber_loss(x, t, {.reduction = Reduction::none, .delta = 2}).to_vector<double>() ==
        Values{0.125, 0, 6});
}

TEST_CASE("where input equals target every gradient is 0") {
  const Tensor x = leaf(ones({3}, f64));
  for (const Tensor& loss : {mse_loss(x, ones({3}, f64)), l1_loss(x, ones({3}, f64)),
                             smooth_l1_loss(x, ones({3}, f64), {.beta = 0}), huber_loss(x, ones({3}, f64))}) {
    x.set_grad({});
    loss.backward();
    CHECK(x.grad().to_vector<double>() == Values{0, 0, 0});
  }
}

TEST_CASE("a target that would broadcast is refused") {
  CHECK_THROWS_WITH(mse_loss(ones({2, 3}), ones({2, 1})),
                    doctest::Contains("mse_loss: target has shape (2, 1)"));
  CHECK_THROWS_WITH(binary_cross_entropy_with_logits(ones({2, 3}), ones({3})), doctest::Contains("(3)"));
}

TEST_CASE("the mean loss of nothing is 0") {
  CHECK(mse_loss(empty({0, 3}), empty({0, 3})).item<double>() == 0);
  CHECK(binary_cross_entropy(empty({0}), empty({0})).item<double>() == 0);
}

TEST_CASE("kl_div, by hand, and at a target of 0") {
  const Tensor x = Tensor::from({std::log(0.5), std::log(0.25)}, {1, 2}, f64);
  const Tensor t = Tensor::from({1, 0}, {1, 2}, f64);
  leaf(x), leaf(t);
  const Tensor loss = kl_div(x, t, {.reduction = KlReduction::batchmean});
  CHECK(loss.item<double>() == doctest::Approx(std::log(2.0)));
  loss.backward();
  CHECK(x.grad().to_vector<double>() == Values{-1, 0});
  CHECK(t.grad().to_vector<double>()[1] == 0);
}

TEST_CASE("binary cross-entropy at its edges") {
  const Tensor x = leaf(Tensor::from({0, 1, 0.5}, {3}, f64)), t = Tensor::from({1, 1, 0.5}, {3}, f64);
  const Values losses = binary_cross_entropy(x, t, {.reduction = Reduction::none}).to_vector<double>();
  CHECK(losses[0] == 100);
  CHECK(losses[1] == 0);
  CHECK(losses[2] == doctest::Approx(std::log(2.0)));
  CHECK_THROWS_WITH(binary_cross_entropy(Tensor::from({1.25}, {1}, f64), ones({1}, f64)),
                    doctest::Contains("1.25"));

  const Tensor logits = leaf(Tensor::from({-1000, 1000, 0}, {3}, f32));
  const Tensor loss = binary_cross_entropy_with_logits(logits, Tensor::from({1, 1, 1}, {3}, f32),
                                                       {.reduction = Reduction::none});
  CHECK(loss.to_vector<double>()[0] == 1000);
  CHECK(loss.to_vector<double>()[1] == 0);
  loss.sum().backward();
  CHECK(logits.grad().to_vector<double>() == Values{-1, 0, -0.5});
}

TEST_CASE("pos_weight and weight scale what they should") {
  const Tensor x = Tensor::from({0, 0, 0}, {3}, f64), t = Tensor::from({0, 1, 0.5}, {3}, f64);
  const double ln2 = std::log(2.0);
  const auto losses = binary_cross_entropy_with_logits(x, t,
                                                       {.weight = Tensor::from({2, 1, 1}, {3}, f64),
                                                        .pos_weight = full({}, 3.0, f64),
                                                        .reduction = Reduction::none})
                          .to_vector<double>();
  CHECK(losses[0] == doctest::Approx(2 * ln2));
  CHECK(losses[1] == doctest::Approx(3 * ln2));
  CHECK(losses[2] == doctest::Approx(2 * ln2));
}

TEST_CASE("fused gradients are the composed ones in every layout") {
  const Tensor a = randn({2, 3, 4, 5, 40}, f64), b = randn({2, 3, 4, 5, 40}, f64);
  const Tensor p = rand({2, 3, 4, 5, 40}, f64) * 0.8 + 0.1, q = rand({2, 3, 4, 5, 40}, f64) * 0.8 + 0.1;
  for (const bool last : {false, true})
    for (const Reduction reduction : {Reduction::none, Reduction::mean, Reduction::sum}) {
      const auto pick = [&](const Tensor& x) { return (last ? x.channels_last() : x).detach(); };
      const Tensor x = pick(a), t = b.detach(), x01 = pick(p), t01 = q.detach();
      check_fused(x, t, [&] { return mse_loss(x, t, {.reduction = reduction}); });
      check_fused(x, t, [&] { return l1_loss(x, t, {.reduction = reduction}); });
      check_fused(x, t, [&] { return smooth_l1_loss(x, t, {.reduction = reduction, .beta = 0.4}); });
      check_fused(x, t, [&] { return huber_loss(x, t, {.reduction = reduction, .delta = 0.6}); });
      check_fused(x01, t01, [&] { return binary_cross_entropy(x01, t01, {.reduction = reduction}); });
      check_fused(x, t01, [&] { return binary_cross_entropy_with_logits(x, t01, {.reduction = reduction}); });
      check_fused(x, t01, [&] { return kl_div(x, t01, {.reduction = KlReduction::batchmean}); });
      check_fused(x, t, [&] { return kl_div(x, t, {.reduction = KlReduction::sum, .log_target = true}); });
    }
}

TEST_CASE("a loss of pairs does not depend on the number of threads") {
  const Tensor x = randn({100003}), t = randn({100003});
  const auto with = [&](int count) {
    const Threads threads(count);
    return mse_loss(x, t).item<float>();
  };
  CHECK(with(3) == with(1));
}
