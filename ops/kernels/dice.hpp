#pragma once
// The sums that soft Dice is made of, and its gradient, with the softmax or sigmoid of the logits taken on
// the way. Nothing is recorded.

#include "ops/kernels/class_targets.hpp"

namespace lucid::kernels {

enum class DiceActivation : std::uint8_t { none, sigmoid, softmax };

struct DiceTerms {
  DiceActivation activation = DiceActivation::none;
  bool squared = false;  // sums of squares in the denominator
};

/// For one sample and class, over the positions that count: sum(p t), sum(p) or sum(p^2), sum(t) or sum(t^2).
struct DiceSums {
  double overlap = 0, prediction = 0, truth = 0;
};

/// Of `input` (N, C, ...): N * C sums, sample by sample.
std::vector<DiceSums> dice_sums(const ClassTargets& targets, const Tensor& input, const DiceTerms& terms);

/// How the loss changes with a sample's and class's sums.
struct DiceSlopes {
  double overlap = 0, prediction = 0;
};

/// The gradient of `input` from the N * C slopes.
void dice_backward(const ClassTargets& targets, const Tensor& grad_input, const Tensor& input,
                   const DiceTerms& terms, const std::vector<DiceSlopes>& slopes);

}  // namespace lucid::kernels
