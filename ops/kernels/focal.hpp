#pragma once
// The focal loss and its gradient in one pass over the classes of each position, from the logits. Nothing is
// recorded; arguments are checked by the caller, class indices here.

#include "ops/kernels/class_sums.hpp"

namespace lucid::kernels {

/// With f(l) = -(1 - e^l)^gamma l a position's and class's loss is positive_c t f(log p), plus, with sigmoid,
/// negative_c (1 - t) f(log(1 - p)). The targets' own weights are 1 and their smoothing is 0.
struct FocalTerms {
  bool softmax = false;
  double gamma = 2;
  std::vector<double> positive, negative;  // C of each; 0 for classes that don't count
  std::int64_t first = 0;                  // losses of classes before it are not stored
};

/// The sum of the losses, and as its weight the number of positions that count. `losses`, (N, C - first, ...)
/// of input's type, may be undefined. Throws Error on a class index out of range.
LossSums focal(const ClassTargets& targets, const FocalTerms& terms, const Tensor& input,
               const Tensor& losses);

/// The gradient of the logits; `scale`, of input's type, has one element or the shape of the losses.
void focal_backward(const ClassTargets& targets, const FocalTerms& terms, const Tensor& grad_input,
                    const Tensor& input, const Tensor& scale);

}  // namespace lucid::kernels
