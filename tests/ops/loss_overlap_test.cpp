// Tversky, focal Tversky and generalised Dice: values by hand, what they are generalisations of, absent
// classes.
#include <doctest/doctest.h>

#include <cmath>

#include "lucid/random.hpp"
#include "ops/loss.hpp"
#include "ops/reduce.hpp"

using namespace lucid;

namespace {

using Values = std::vector<double>;

// (1, 2, 4): two classes at four positions. Class 0: TP 2.1, FP 0.3, FN 0.9; class 1: TP 0.7, FP 0.9, FN 0.3.
const Tensor kProbabilities = Tensor::from({0.9, 0.8, 0.3, 0.4, 0.1, 0.2, 0.7, 0.6}, {1, 2, 4}, f64);
const Tensor kLabels = Tensor::from({0, 0, 1, 0}, {1, 4}, i64);

}  // namespace

TEST_CASE("overlap_sums by hand") {
  const Tensor sums = overlap_sums(kProbabilities, kLabels);
  CHECK(sums.shape() == Shape{3, 1, 2});
  CHECK(sums.dtype() == f64);
  const Values expected{2.1, 0.7, 2.4, 1.6, 3, 1}, found = sums.to_vector<double>();
  for (std::size_t i = 0; i < 6; ++i) CHECK(found[i] == doctest::Approx(expected[i]));
  CHECK(overlap_sums(kProbabilities.to(f32), kLabels).dtype() == f64);
  const Values squared = overlap_sums(kProbabilities, kLabels, {.squared = true}).to_vector<double>();
  CHECK(squared[2] == doctest::Approx(0.81 + 0.64 + 0.09 + 0.16));
}

TEST_CASE("tversky_loss by hand: alpha weighs false positives, beta false negatives") {
  const TverskyLossOptions options{
      .alpha = 0.3, .beta = 0.7, .reduction = Reduction::none, .smooth_nr = 0, .smooth_dr = 0};
  const Values losses = tversky_loss(kProbabilities, kLabels, options).to_vector<double>();
  CHECK(losses[0] == doctest::Approx(1 - 2.1 / (2.1 + 0.3 * 0.3 + 0.7 * 0.9)));
  CHECK(losses[1] == doctest::Approx(1 - 0.7 / (0.7 + 0.3 * 0.9 + 0.7 * 0.3)));
  CHECK(tversky_loss(kProbabilities, kLabels,
                     {.include_background = false, .alpha = 1, .beta = 0, .smooth_nr = 1, .smooth_dr = 2})
            .item<double>() == doctest::Approx(1 - 1.7 / (0.7 + 0.9 + 2)));
}

TEST_CASE("tversky_loss is Dice at alpha = beta = 1/2 and Jaccard at 1") {
  const Tensor x = randn({2, 4, 3, 5, 6}, f64), labels = randint(0, 4, {2, 3, 5, 6});
  for (const bool batch : {false, true}) {
    const TverskyLossOptions half{.softmax = true, .batch = batch, .smooth_nr = 0.5, .smooth_dr = 1};
    const DiceLossOptions dice{.softmax = true, .batch = batch, .smooth_nr = 1, .smooth_dr = 2};
    CHECK(tversky_loss(x, labels, half).item<double>() ==
          doctest::Approx(dice_loss(x, labels, dice).item<double>()).epsilon(1e-14));
    TverskyLossOptions one = half;
    one.alpha = one.beta = 1;
    DiceLossOptions jaccard = dice;
    jaccard.jaccard = true;
    CHECK(tversky_loss(x, labels, one).item<double>() ==
          doctest::Approx(dice_loss(x, labels, jaccard).item<double>()).epsilon(1e-14));
  }
}

TEST_CASE("focal_tversky_loss raises 1 - index to 1 / gamma") {
  const FocalTverskyLossOptions options{.gamma = 4.0 / 3, .reduction = Reduction::none};
  const Values index =
      tversky_loss(kProbabilities, kLabels, {.alpha = 0.3, .beta = 0.7, .reduction = Reduction::none})
          .to_vector<double>();
  const Values losses = focal_tversky_loss(kProbabilities, kLabels, options).to_vector<double>();
  for (std::size_t c = 0; c < 2; ++c) CHECK(losses[c] == doctest::Approx(std::pow(index[c], 0.75)));
  // A perfect prediction: the slope of x^(3/4) at 0 is infinite, the gradient is taken as 0.
  const Tensor sure = Tensor::from({1, 1, 0, 1, 0, 0, 1, 0}, {1, 2, 4}, f64).requires_grad_();
  const Tensor loss = focal_tversky_loss(sure, kLabels);
  CHECK(loss.item<double>() == 0);
  loss.backward();
  CHECK_FALSE(any(sure.grad() != 0.0).item<bool>());
}

TEST_CASE("generalized_dice_loss by hand") {
  const auto loss = [](DiceWeight type, bool background = true) {
    return generalized_dice_loss(
               kProbabilities, kLabels,
               {.include_background = background, .w_type = type, .smooth_nr = 0, .smooth_dr = 0})
        .item<double>();
  };
  CHECK(loss(DiceWeight::square) == doctest::Approx(1 - 2 * (2.1 / 9 + 0.7) / (5.4 / 9 + 2.6)));
  CHECK(loss(DiceWeight::simple) == doctest::Approx(1 - 2 * (2.1 / 3 + 0.7) / (5.4 / 3 + 2.6)));
  CHECK(loss(DiceWeight::uniform) == doctest::Approx(1 - 2 * 2.8 / 8));
  CHECK(loss(DiceWeight::square, false) == doctest::Approx(1 - 1.4 / 2.6));
  CHECK(generalized_dice_loss(kProbabilities, kLabels,
                              {.w_type = DiceWeight::simple, .smooth_nr = 1, .smooth_dr = 2})
            .item<double>() == doctest::Approx(1 - (2 * 1.4 + 1) / (4.4 + 2)));
}

TEST_CASE("generalized_dice_loss takes one ratio for each sample, or one for the batch") {
  const Tensor two = Tensor::from({0.5, 1, 0.5, 0, 0.25, 0.25, 0.75, 0.75}, {2, 2, 2}, f64);
  const Tensor labels = Tensor::from({0, 0, 1, 1}, {2, 2}, i64);
  GeneralizedDiceLossOptions options{
      .w_type = DiceWeight::simple, .reduction = Reduction::none, .smooth_nr = 0, .smooth_dr = 0};
  // Sample 0 has class 0 only, so class 1 weighs 1/2 too: 2 * 0.75 / (0.75 + 1 + 0.25)
  const Values each = generalized_dice_loss(two, labels, options).to_vector<double>();
  CHECK(each.size() == 2);
  CHECK(each[0] == doctest::Approx(1 - 2 * 0.75 / 2));
  CHECK(each[1] == doctest::Approx(1 - 2 * 0.75 / 2));
  options.batch = true;  // both classes have 2 positions: overlaps 1.5 and 1.5, areas 2 + 2 each
  const Tensor all = generalized_dice_loss(two, labels, options);
  CHECK(all.shape() == Shape{});
  CHECK(all.item<double>() == doctest::Approx(1 - 3.0 / 8 * 2));
}

TEST_CASE("predicting a class that is absent costs, and leaving it out does not") {
  const Tensor labels = zeros({1, 4}, i64);
  const Tensor sure = Tensor::from({1, 1, 1, 1, 0, 0, 0, 0}, {1, 2, 4}, f64);
  CHECK(tversky_loss(sure, labels).item<double>() == doctest::Approx(0));
  CHECK(generalized_dice_loss(sure, labels).item<double>() == doctest::Approx(0));
  const Values both =
      tversky_loss(kProbabilities, labels, {.reduction = Reduction::none}).to_vector<double>();
  CHECK(both[1] == doctest::Approx(1).epsilon(1e-4));
  CHECK(tversky_loss(kProbabilities, labels, {.present_only = true}).item<double>() ==
        doctest::Approx(both[0]));
  // weights 1/16 for both: 2 * 2.4 / (2.4 + 4 + 1.6)
  CHECK(generalized_dice_loss(kProbabilities, labels, {.smooth_nr = 0, .smooth_dr = 0}).item<double>() ==
        doctest::Approx(1 - 4.8 / 8));
  // Nothing is present at all: what is predicted is all wrong.
  CHECK(generalized_dice_loss(kProbabilities, labels, {.include_background = false}).item<double>() ==
        doctest::Approx(1).epsilon(1e-4));
}

TEST_CASE("ignored positions count for nothing in the losses of overlap") {
  const Tensor few = randn({1, 3, 10}, f64), more = randn({1, 3, 30}, f64);
  for (std::int64_t c = 0; c < 3; ++c) more.narrow(1, c, 1).narrow(2, 0, 10).copy_(few.narrow(1, c, 1));
  const Tensor labels = randint(0, 3, {1, 10}), padded = full({1, 30}, 255, i64);
  padded.narrow(1, 0, 10).copy_(labels);
  for (const bool sigmoid : {false, true}) {
    CHECK(
        tversky_loss(more, padded, {.sigmoid = sigmoid, .softmax = !sigmoid, .ignore_index = 255})
            .item<double>() ==
        doctest::Approx(tversky_loss(few, labels, {.sigmoid = sigmoid, .softmax = !sigmoid}).item<double>()));
    CHECK(generalized_dice_loss(more, padded, {.sigmoid = sigmoid, .softmax = !sigmoid, .ignore_index = 255})
              .item<double>() ==
          doctest::Approx(
              generalized_dice_loss(few, labels, {.sigmoid = sigmoid, .softmax = !sigmoid}).item<double>()));
  }
}
