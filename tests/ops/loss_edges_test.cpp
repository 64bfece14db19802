// The older losses with all their arguments together, held to the numbers of PyTorch 1.13.1 (float64), and
// what they give where PyTorch gives NaN: 0, for a mean over nothing.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "lucid/random.hpp"
#include "ops/loss.hpp"
#include "ops/softmax.hpp"

using namespace lucid;

namespace {

using Values = std::vector<double>;

void check_near(const Tensor& found, const Values& expected) {
  const Values values = found.to_vector<double>();
  REQUIRE(values.size() == expected.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    CHECK(values[i] == doctest::Approx(expected[i]).epsilon(1e-10));
}

Values divided(Values values, double by) {
  for (double& value : values) value /= by;
  return values;
}

// The loss by each reduction, and the gradient of its sum with respect to `x`: that of the mean is the same
// divided by `count`.
void check_reductions(const Tensor& x, double count, const Values& losses, const Values& gradient,
                      const std::function<Tensor(Reduction)>& loss) {
  double sum = 0;
  for (const double value : losses) sum += value;
  for (const Reduction reduction : {Reduction::none, Reduction::sum, Reduction::mean}) {
    const double by = reduction == Reduction::mean ? count : 1;
    const Tensor y = loss(reduction);
    check_near(y, reduction == Reduction::none ? losses : Values{sum / by});
    x.set_grad({});
    y.sum().backward();
    check_near(x.grad(), divided(gradient, by));
  }
}

Tensor logits() {  // (2, 3, 4)
  return Tensor::from({-1,  .75,  -.25, 1.5, .5,  -.5,  1.25, .25,  -.75, 1, 0,  -1,
                       .75, -.25, 1.5,  .5,  -.5, 1.25, .25,  -.75, 1,    0, -1, .75},
                      {2, 3, 4}, f64)
      .requires_grad_();
}
const Tensor kWeight = Tensor::from({.5, 2, 1.25}, {3}, f64);

}  // namespace

TEST_CASE("cross_entropy of indices with weights, ignored positions and smoothing at once") {
  const Tensor x = logits(), t = Tensor::from({0, 2, 1, -1, 2, 2, -1, 0}, {2, 4}, i64);
  // The mean divides by the weights of the targets that count: 3 * 1.25 + 2 + 2 * 0.5.
  check_reductions(
      x, 6.75,
      {1.021880782995, 1.075973566336, 0.916122228526, 0, 1.075973566336, 1.919001505761, 0, 0.759506254495},
      {-0.337260701057,
       0.452947665587,
       0.240104158531,
       0,
       0.297234332699,
       0.005988505479,
       -0.507871514626,
       0,
       0.040026368358,
       -0.458936171067,
       0.267767356095,
       0,
       0.452947665587,
       0.151421728737,
       0,
       -0.180467213895,
       0.005988505479,
       0.694681409037,
       0,
       -0.060885977151,
       -0.458936171067,
       -0.846103137773,
       0,
       0.241353191045},
      [&](Reduction reduction) {
        return cross_entropy(
            x, t, {.weight = kWeight, .ignore_index = -1, .reduction = reduction, .label_smoothing = 0.2});
      });
}

TEST_CASE("cross_entropy of probabilities that need not sum to 1, with weights and smoothing") {
  const Tensor x = logits();
  const Tensor p = Tensor::from({0,  .625, .375, .125, .75,  .5,   .25, 0,  .625, .375, .125, .75,
                                 .5, .25,  0,    .625, .375, .125, .75, .5, .25,  0,    .625, .375},
                                {2, 3, 4}, f64);
  check_reductions(  // the mean is over positions, whatever the weights
      x, 8,
      {1.790042499562, 2.633471245557, 0.916394447596, 2.579469906504, 2.060679175656, 0.530693995868,
       4.088595291425, 2.633471245557},
      {0.273360069703,  0.36828320522,   -0.046614587401, 0.683879752329, 0.041171139001,  -0.746642069324,
       0.07939757602,   0.086476895923,  -0.314531208704, 0.378358864104, -0.032782988619, -0.770356648252,
       0.272398905544,  -0.052041106022, 1.482825859762,  0.36828320522,  -0.588438620968, 0.030993153309,
       -0.898946451708, -0.746642069324, 0.316039715424,  0.021047952713, -0.583879408054, 0.378358864104},
      [&](Reduction reduction) {
        return cross_entropy(x, p, {.weight = kWeight, .reduction = reduction, .label_smoothing = 0.2});
      });
}

TEST_CASE("binary cross-entropies with weight (2, 1) and pos_weight (3) broadcast") {
  const Tensor z = Tensor::from({-2, .5, 3, 1, -.25, 0}, {2, 3}, f64).requires_grad_();
  const Tensor q = Tensor::from({1, 0, .5, .25, 1, 0}, {2, 3}, f64);
  const Tensor weight = Tensor::from({.5, 2}, {2, 1}, f64), pos_weight = Tensor::from({2, .5, 3}, {3}, f64);
  check_reductions(
      z, 6, {2.126928011043, 0.48703849209, 0.798587351574, 2.283154218796, 0.825939419879, 1.38629436112},
      {-0.880797077978, 0.311229665601, 0.202574126822, 0.827646446575, -0.562176500886, 1},
      [&](Reduction reduction) {
        return binary_cross_entropy_with_logits(
            z, q, {.weight = weight, .pos_weight = pos_weight, .reduction = reduction});
      });
  const Tensor p = z.detach().sigmoid();
  check_near(binary_cross_entropy(p, q, {.weight = weight, .reduction = Reduction::none}),
             {1.063464005521, 0.48703849209, 0.774293675787, 2.126523375036, 1.651878839758, 1.38629436112});
  check_near(binary_cross_entropy(p, q, {.weight = weight}), {1.248248791552});
}

TEST_CASE("kl_div of logarithms, of targets with zeros, and by every reduction") {
  const Tensor z = Tensor::from({-2, .5, 3, 1, -.25, 0}, {2, 3}, f64);
  const Tensor x = log_softmax(z, 1).detach().requires_grad_();
  const Tensor log_target = Tensor::from({1, -1.5, -1, -5, 0, 5}, {2, 3}, f64);
  const Tensor target = Tensor::from({1, 0, .5, .25, 1, 0}, {2, 3}, f64);
  struct Case {
    KlReduction reduction;
    bool log_target;
    Values loss;
  };
  for (const Case& c :
       {Case{KlReduction::none,
             true,
             {16.541009269198, 0.242117922358, -0.336573913734, -0.030297657898, 1.753428877985,
              965.194424780623}},
        Case{KlReduction::none,
             false,
             {5.085097246364, 0, -0.304024967098, -0.220716370784, 1.753428877985, 0}},
        Case{KlReduction::mean, true, {163.894018213089}}, Case{KlReduction::mean, false, {1.052297464411}},
        Case{KlReduction::sum, true, {983.364109278533}}, Case{KlReduction::sum, false, {6.313784786467}},
        Case{KlReduction::batchmean, true, {491.682054639266}},
        Case{KlReduction::batchmean, false, {3.156892393234}}}) {
    const Tensor y =
        kl_div(x, c.log_target ? log_target : target, {.reduction = c.reduction, .log_target = c.log_target});
    check_near(y, c.loss);
    x.set_grad({});
    y.sum().backward();
    const double by = c.reduction == KlReduction::mean ? 6 : c.reduction == KlReduction::batchmean ? 2 : 1;
    const Values gradient =
        c.log_target ? Values{-2.718281828459,  -0.223130160148, -0.367879441171, -0.006737946999, -1,
                              -148.413159102577}
                     : Values{-1, 0, -.5, -.25, -1, 0};
    check_near(x.grad(), divided(gradient, by));
  }
}

TEST_CASE("smooth_l1_loss without a quadratic part is l1_loss, at 0 too") {
  const Tensor x = Tensor::from({0, .5, -2, 1e4}, {4}, f64).requires_grad_();
  const Tensor loss = smooth_l1_loss(x, zeros({4}, f64), {.reduction = Reduction::none, .beta = 0});
  CHECK(loss.to_vector<double>() == Values{0, .5, 2, 1e4});
  loss.sum().backward();
  CHECK(x.grad().to_vector<double>() == Values{0, 1, -1, 1});  // PyTorch's is -1 at 0
}

TEST_CASE("huber_loss is quadratic up to delta and has the slope delta beyond") {
  const Tensor x = Tensor::from({0, 2, -2, 3, -1e4}, {5}, f64).requires_grad_();
  const Tensor loss = huber_loss(x, zeros({5}, f64), {.reduction = Reduction::none, .delta = 2});
  CHECK(loss.to_vector<double>() == Values{0, 2, 2, 4, 2 * (1e4 - 1)});
  loss.sum().backward();
  CHECK(x.grad().to_vector<double>() == Values{0, 2, -2, 2, -2});
}

TEST_CASE("the mean over nothing is 0 in every loss") {
  const Tensor none = empty({0, 3}), indices = empty({0}, i64);
  for (const Tensor& loss :
       {mse_loss(none, none), l1_loss(none, none), smooth_l1_loss(none, none), huber_loss(none, none),
        kl_div(none, none), kl_div(none, none, {.reduction = KlReduction::batchmean}),
        binary_cross_entropy(none, none), binary_cross_entropy_with_logits(none, none),
        cross_entropy(none, indices), cross_entropy(none, none), nll_loss(none, indices),
        cross_entropy(empty({2, 3, 0}), empty({2, 0}, i64))})
    CHECK(loss.item<float>() == 0);
}

TEST_CASE("a mean over targets whose weights add up to 0 is 0, and so is its gradient") {
  const Tensor weight = Tensor::from({0, 1, 1}, {3}, f64), t = zeros({2}, i64);
  for (const double smoothing : {0.0, 0.5}) {
    const Tensor x = randn({2, 3}, f64).requires_grad_();
    const Tensor loss = cross_entropy(x, t, {.weight = weight, .label_smoothing = smoothing});
    CHECK(loss.item<double>() == 0);
    loss.backward();
    CHECK(x.grad().to_vector<double>() == Values(6, 0));
  }
}

TEST_CASE("float32 losses stay finite at extreme finite values") {
  const Tensor x = Tensor::from({1e4, -1e4, 1e30, -1e30}, {1, 4}).requires_grad_();
  const Tensor t = Tensor::from({0, 1, 0.5, 0.5}, {1, 4}), k = Tensor::from({1}, {1}, i64);
  for (const Tensor& loss :
       {binary_cross_entropy_with_logits(x, t), cross_entropy(x, k), cross_entropy(x, t),
        cross_entropy(x, k, {.label_smoothing = 0.1}), huber_loss(x, t), smooth_l1_loss(x, t),
        binary_cross_entropy_with_logits(x, t, {.pos_weight = full({4}, 2.0)})}) {
    CHECK(std::isfinite(loss.item<float>()));
    x.set_grad({});
    loss.backward();
    for (const float g : x.grad().to_vector<float>()) CHECK(std::isfinite(g));
  }
}

TEST_CASE("kl_div and nll_loss never multiply 0 by infinity") {
  const double never = -std::numeric_limits<double>::infinity();
  const Tensor x = Tensor::from({never, 0}, {1, 2}, f64);
  CHECK(kl_div(x, Tensor::from({0, 1}, {1, 2}, f64), {.reduction = KlReduction::sum}).item<double>() == 0);
  CHECK(nll_loss(x, ones({1}, i64)).item<double>() == 0);
}

TEST_CASE("an infinite gradient of nll_loss reaches the target's class alone") {
  const double infinity = std::numeric_limits<double>::infinity();
  const Tensor x = zeros({2, 3}, f64).requires_grad_();
  nll_loss(x, Tensor::from({1, -100}, {2}, i64), {.reduction = Reduction::none})
      .backward(full({2}, infinity, f64));
  CHECK(x.grad().to_vector<double>() == std::vector<double>{0, -infinity, 0, 0, 0, 0});
}
