// Soft Dice: values by hand, absent classes, ignored positions, the fused gradient against the composed one.
#include <doctest/doctest.h>

#include "autograd/backward.hpp"
#include "lucid/random.hpp"
#include "ops/loss.hpp"
#include "ops/reduce.hpp"
#include "tests/threads.hpp"

using namespace lucid;

namespace {

using Values = std::vector<double>;

// (1, 2, 4): two classes at four positions
const Tensor kProbabilities = Tensor::from({0.9, 0.8, 0.3, 0.4, 0.1, 0.2, 0.7, 0.6}, {1, 2, 4}, f64);
const Tensor kLabels = Tensor::from({0, 0, 1, 0}, {1, 4}, i64);

Tensor one_hot(const Tensor& labels, std::int64_t classes) {
  Tensor out = zeros({labels.size(0), classes, labels.numel() / labels.size(0)}, f64);
  const Values values = labels.to_vector<double>();
  const std::int64_t positions = out.size(2);
  for (std::int64_t i = 0; i < labels.numel(); ++i)
    out.mutable_data<double>()[(i / positions * classes + static_cast<std::int64_t>(values[i])) * positions +
                               i % positions] = 1;
  return out;
}

}  // namespace

TEST_CASE("dice_loss by hand") {
  // class 0: overlap 2.1, sums 2.4 and 3; class 1: overlap 0.7, sums 1.6 and 1
  const DiceLossOptions plain{.reduction = Reduction::none, .smooth_nr = 0, .smooth_dr = 0};
  const Values ratios = dice_loss(kProbabilities, kLabels, plain).to_vector<double>();
  CHECK(ratios[0] == doctest::Approx(1 - 4.2 / 5.4));
  CHECK(ratios[1] == doctest::Approx(1 - 1.4 / 2.6));
  DiceLossOptions options{.smooth_nr = 1, .smooth_dr = 1};
  CHECK(dice_loss(kProbabilities, kLabels, options).item<double>() ==
        doctest::Approx((1 - 5.2 / 6.4 + 1 - 2.4 / 3.6) / 2));
  options.include_background = false;
  CHECK(dice_loss(kProbabilities, kLabels, options).item<double>() == doctest::Approx(1 - 2.4 / 3.6));
  options.jaccard = true;  // 2 (1.6 + 1 - 0.7) = 3.8
  CHECK(dice_loss(kProbabilities, kLabels, options).item<double>() == doctest::Approx(1 - 2.4 / 4.8));
  options.jaccard = false;
  options.squared_pred = true;  // 0.01 + 0.04 + 0.49 + 0.36 = 0.9
  CHECK(dice_loss(kProbabilities, kLabels, options).item<double>() == doctest::Approx(1 - 2.4 / 2.9));
}

TEST_CASE("class indices in every shape and type, and one-hot targets, mean the same") {
  const Tensor x = randn({2, 3, 2, 3, 4}, f64), labels = randint(0, 3, {2, 2, 3, 4});
  const Tensor hot = one_hot(labels, 3).reshape(x.shape());
  for (const bool batch : {false, true}) {
    const DiceLossOptions options{.softmax = true, .batch = batch, .reduction = Reduction::none};
    const Values expected = dice_loss(x, labels, options).to_vector<double>();
    CHECK(expected.size() == (batch ? 3 : 6));
    CHECK(dice_loss(x, labels.to(u8), options).to_vector<double>() == expected);
    CHECK(dice_loss(x, labels.to(i32).reshape({2, 1, 2, 3, 4}), options).to_vector<double>() == expected);
    CHECK(dice_loss(x, hot, options).to_vector<double>() == expected);
    CHECK(dice_loss(x, hot.to(boolean), options).to_vector<double>() == expected);
  }
}

TEST_CASE("batch takes one ratio over all samples") {
  const Tensor p = Tensor::from({1, 0.5, 0, 0.25}, {2, 1, 2}, f64),
               t = Tensor::from({1, 1, 0, 0}, {2, 1, 2}, f64);
  const DiceLossOptions options{.batch = true, .smooth_nr = 0, .smooth_dr = 0};
  CHECK(dice_loss(p, t, options).item<double>() == doctest::Approx(1 - 2 * 1.5 / (1.75 + 2)));
}

TEST_CASE("a class that is absent from the target") {
  const Tensor labels = zeros({1, 4}, i64);
  const DiceLossOptions options{.reduction = Reduction::none};
  // Predicted where it is not: all of it counts against the prediction. Not predicted: no loss.
  CHECK(dice_loss(kProbabilities, labels, options).to_vector<double>()[1] ==
        doctest::Approx(1).epsilon(1e-4));
  const Tensor sure = Tensor::from({1, 1, 1, 1, 0, 0, 0, 0}, {1, 2, 4}, f64);
  CHECK(dice_loss(sure, labels, options).to_vector<double>()[1] == 0);
  CHECK(dice_loss(sure, labels, {.smooth_nr = 0, .smooth_dr = 0}).item<double>() == 0);

  // Left out: the mean is that of the class that is there.
  CHECK(dice_loss(kProbabilities, labels, {.present_only = true}).item<double>() ==
        doctest::Approx(dice_loss(kProbabilities, labels, options).to_vector<double>()[0]));
  const Tensor x = kProbabilities.clone().requires_grad_();
  const Tensor loss = dice_loss(x, labels, {.include_background = false, .present_only = true});
  CHECK(loss.item<double>() == 0);
  loss.backward();
  CHECK_FALSE(any(x.grad() != 0.0).item<bool>());
}

TEST_CASE("present_only with several samples averages over the pairs that occur") {
  const Tensor x = randn({3, 4, 5, 5}, f64);
  Tensor labels = zeros({3, 5, 5}, i64);
  labels.mutable_data<std::int64_t>()[0] = 2;       // sample 0 has classes 0 and 2
  labels.mutable_data<std::int64_t>()[2 * 25] = 3;  // sample 2 has classes 0 and 3
  const Values all =
      dice_loss(x, labels, {.softmax = true, .reduction = Reduction::none}).to_vector<double>();
  CHECK(dice_loss(x, labels, {.softmax = true, .present_only = true}).item<double>() ==
        doctest::Approx((all[0] + all[2] + all[4] + all[8] + all[11]) / 5));
}

TEST_CASE("ignored positions count for nothing") {
  const Tensor few = randn({1, 3, 10}, f64), more = randn({1, 3, 30}, f64);
  for (std::int64_t c = 0; c < 3; ++c) more.narrow(1, c, 1).narrow(2, 0, 10).copy_(few.narrow(1, c, 1));
  const Tensor labels = randint(0, 3, {1, 10});
  const Tensor padded = full({1, 30}, 255, i64);
  padded.narrow(1, 0, 10).copy_(labels);
  const DiceLossOptions options{.softmax = true, .ignore_index = 255};
  CHECK(dice_loss(more, padded, options).item<double>() ==
        doctest::Approx(dice_loss(few, labels, options).item<double>()).epsilon(1e-14));
}

TEST_CASE("the fused gradient is the composed one for all options and layouts") {
  const Tensor logits = randn({2, 4, 9, 10, 30}, f64), labels = randint(0, 4, {2, 9, 10, 30});
  for (const bool last : {false, true})
    for (int bits = 0; bits < 128; ++bits) {
      const auto bit = [&](int i) { return (bits >> i & 1) != 0; };
      const DiceLossOptions options{.include_background = bit(0),
                                    .sigmoid = bit(1),
                                    .softmax = !bit(1),
                                    .squared_pred = bit(2),
                                    .jaccard = bit(3),
                                    .batch = bit(4),
                                    .present_only = bit(5),
                                    .reduction = bit(6) ? Reduction::none : Reduction::mean,
                                    .ignore_index = 2};
      const Tensor x = (last ? logits.channels_last() : logits).detach();
      x.requires_grad_();
      const auto gradient = [&](bool create_graph) {
        const Tensor loss = dice_loss(x, labels, options);
        return autograd::grad(
            {loss}, {x}, {arange(1, 1.0 + static_cast<double>(loss.numel()), 1, f64).reshape(loss.shape())},
            {.create_graph = create_graph})[0];
      };
      const Tensor fused = gradient(false), composed = gradient(true);
      CAPTURE(bits);
      CHECK(amax((fused - composed).abs()).item<double>() < 1e-12 * amax(composed.abs()).item<double>());
    }
}

TEST_CASE("float32 Dice of a volume is close to float64 and does not depend on the number of threads") {
  const Tensor x = randn({1, 4, 48, 48, 48}, f64), labels = randint(0, 4, {1, 48, 48, 48});
  const Tensor narrow = x.to(f32).channels_last();
  const auto with = [&](int count) {
    const Threads threads(count);
    return dice_loss(narrow, labels, {.softmax = true}).item<float>();
  };
  const float one = with(1);
  CHECK(with(3) == one);
  CHECK(one ==
        doctest::Approx(dice_loss(narrow.to(f64), labels, {.softmax = true}).item<double>()).epsilon(1e-6));
}

TEST_CASE("dice_ce_loss is the sum of its parts") {
  const Tensor x = randn({2, 3, 4, 4, 4}, f64), labels = randint(0, 2, {2, 4, 4, 4});
  const double dice = dice_loss(x, labels, {.softmax = true, .present_only = true}).item<double>();
  const double ce = cross_entropy(x, labels).item<double>();
  CHECK(dice_ce_loss(x, labels, {.lambda_dice = 2, .lambda_ce = 3, .present_only = true}).item<double>() ==
        doctest::Approx(2 * dice + 3 * ce));
  CHECK(dice_ce_loss(x, labels.unsqueeze(1), {.lambda_dice = 0}).item<double>() == doctest::Approx(ce));
}
