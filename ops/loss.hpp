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

}  // namespace lucid
