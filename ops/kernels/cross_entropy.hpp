#pragma once
// Softmax and cross-entropy in one pass over the classes of each position, forward and backward. Nothing is
// recorded; arguments are checked by the caller, class indices here.

#include "ops/kernels/class_sums.hpp"

namespace lucid::kernels {

/// sum_c q_c (log sum_k e^{x_k} - x_c) at each position. `losses` (shape without the axis, input's type) may
/// be undefined. Throws Error on a class index out of range.
LossSums cross_entropy(const ClassTargets& targets, const Tensor& input, const Tensor& losses);

/// scale * (sum(q) softmax(x) - q); `scale` has the input's type and broadcasts to the positions.
void cross_entropy_backward(const ClassTargets& targets, const Tensor& grad_input, const Tensor& input,
                            const Tensor& scale);

/// sum_c q_c (-x_c), for class indices, without smoothing.
LossSums nll(const ClassTargets& targets, const Tensor& input, const Tensor& losses);
/// -scale * q, of grad_input's shape and type, which are the input's.
void nll_backward(const ClassTargets& targets, const Tensor& grad_input, const Tensor& scale);

/// weight-free indicators for class indices: h_c = 1 at the target's class, 0 elsewhere and at ignored
/// positions; of `like`'s shape and type.
Tensor class_indicators(const ClassTargets& targets, const Tensor& like);

}  // namespace lucid::kernels
