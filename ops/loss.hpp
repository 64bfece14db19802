#pragma once
// Losses: PyTorch's names and arguments. Each is refused when the shapes differ: nothing broadcasts silently.
// With Reduction::mean a loss of no elements is 0.

#include "lucid/tensor.hpp"

namespace lucid {

enum class Reduction : std::uint8_t { none, mean, sum };

struct CrossEntropyOptions {
  Tensor weight = {};                ///< (C): of each class; undefined means 1
  std::int64_t ignore_index = -100;  ///< class indices equal to it count for nothing
  Reduction reduction = Reduction::mean;
  double label_smoothing = 0;  ///< in [0, 1]: this share of a target is spread evenly over the classes
};

/// -log softmax(input)[target] for logits `input` (N, C, spatial...) or (C). `target` holds class indices
/// (int64, int32 or uint8) of shape (N, spatial...) or (), or, when floating, probabilities of input's shape.
/// The mean is weighted by the targets' class weights (over probabilities: plain); with nothing but ignored
/// targets it is 0, not NaN. Throws Error on an index outside [0, C) that is not ignore_index.
Tensor cross_entropy(const Tensor& input, const Tensor& target, const CrossEntropyOptions& options = {});

struct NllLossOptions {
  Tensor weight = {};                ///< (C): of each class; undefined means 1
  std::int64_t ignore_index = -100;  ///< class indices equal to it count for nothing
  Reduction reduction = Reduction::mean;
};

/// -input[target] for log-probabilities `input` (N, C, spatial...) or (C); the rest is as for cross_entropy.
Tensor nll_loss(const Tensor& input, const Tensor& target, const NllLossOptions& options = {});

// Below, input and target have one shape and a floating type each, and both get gradients.

struct LossOptions {
  Reduction reduction = Reduction::mean;
};

/// (input - target)^2.
Tensor mse_loss(const Tensor& input, const Tensor& target, const LossOptions& options = {});
/// |input - target|; the derivative at 0 is 0.
Tensor l1_loss(const Tensor& input, const Tensor& target, const LossOptions& options = {});

struct SmoothL1LossOptions {
  Reduction reduction = Reduction::mean;
  double beta = 1.0;  ///< at least 0; 0 gives l1_loss
};
/// d^2 / (2 beta) where |d| < beta, |d| - beta / 2 elsewhere; d = input - target.
Tensor smooth_l1_loss(const Tensor& input, const Tensor& target, const SmoothL1LossOptions& options = {});

struct HuberLossOptions {
  Reduction reduction = Reduction::mean;
  double delta = 1.0;  ///< above 0
};
/// d^2 / 2 where |d| <= delta, delta (|d| - delta / 2) elsewhere; d = input - target.
Tensor huber_loss(const Tensor& input, const Tensor& target, const HuberLossOptions& options = {});

enum class KlReduction : std::uint8_t { none, batchmean, mean, sum };

struct KlDivOptions {
  KlReduction reduction = KlReduction::mean;  ///< batchmean: the sum over the size of axis 0
  bool log_target = false;                    ///< target holds log-probabilities
};
/// target (log target - input) for log-probabilities `input`; 0 where target is 0.
Tensor kl_div(const Tensor& input, const Tensor& target, const KlDivOptions& options = {});

struct BinaryCrossEntropyOptions {
  Tensor weight = {};  ///< of each element; broadcasts to input
  Reduction reduction = Reduction::mean;
};
/// -(target log input + (1 - target) log(1 - input)) for probabilities `input`; each logarithm is at least
/// -100. Throws Error on an input outside [0, 1].
Tensor binary_cross_entropy(const Tensor& input, const Tensor& target,
                            const BinaryCrossEntropyOptions& options = {});

struct BinaryCrossEntropyWithLogitsOptions {
  Tensor weight = {};      ///< of each element; broadcasts to input
  Tensor pos_weight = {};  ///< of the positive part; broadcasts to input
  Reduction reduction = Reduction::mean;
};
/// (1 - t) x + (1 + (pos_weight - 1) t) log(1 + e^-x) for logits x = `input`, t = `target`, without overflow.
Tensor binary_cross_entropy_with_logits(const Tensor& input, const Tensor& target,
                                        const BinaryCrossEntropyWithLogitsOptions& options = {});

}  // namespace lucid
