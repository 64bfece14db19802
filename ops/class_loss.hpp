#pragma once
// What the losses over classes share: their arguments checked, and the differentiable form of the gradients
// of cross_entropy and nll_loss.

#include "ops/kernels/binary.hpp"
#include "ops/kernels/cross_entropy.hpp"
#include "ops/loss.hpp"

namespace lucid::ops {

/// Checks input, target and class weights against each other. The class axis is 1, or 0 for rank 1.
kernels::ClassTargets class_targets(std::string_view op, const Tensor& input, const Tensor& target,
                                    const Tensor& weight, std::int64_t ignore_index, double smoothing);

/// The C class weights, 1 where `weight` is undefined. Throws Error unless it is floating, of shape (C).
std::vector<double> class_weights(std::string_view op, const Tensor& input, const Tensor& weight,
                                  std::size_t axis);

/// (C) brought to the class axis of a tensor of that rank; the sum over all axes but that. Recorded.
Tensor along_classes(const Tensor& values, std::size_t axis, std::size_t rank);
Tensor over_classes(const Tensor& values, std::size_t axis);

/// Checks the arguments of a loss of regions: input floating, (N, C, ...), with a class left; one activation
/// at most; a one-hot target of integers holds 0 and 1 alone.
void check_regions(std::string_view op, const Tensor& input, const Tensor& target, bool include_background,
                   bool sigmoid, bool softmax);

/// Targets of a loss of regions: indices (N, ...) or (N, 1, ...), or one-hot or probabilities in input's
/// shape.
kernels::ClassTargets region_targets(std::string_view op, const Tensor& input, const Tensor& target,
                                     std::int64_t ignore_index);

/// The loss as reduced: of `losses` (none), sums.loss / weight (0 when the weight is), or sums.loss.
Tensor reduced_class_loss(const Tensor& losses, const kernels::LossSums& sums, const Tensor& input,
                          Reduction reduction);

/// Losses for Reduction::none: uninitialised, of the input's shape without the class axis.
Tensor empty_losses(const kernels::ClassTargets& targets, const Tensor& input);

struct ClassGradients {
  Tensor input, target, weight;  // undefined where not wanted
};

/// Recorded gradients of sum_c weight_c u_c * (-v_c), reduced; v are the log-probabilities (log_softmax of
/// `input` when `softmax`, else `input` itself), u_c = (1 - smoothing) t_c + smoothing / C, 0 where ignored.
ClassGradients class_gradients(const kernels::ClassTargets& targets, const Tensor& grad, const Tensor& input,
                               const Tensor& weight, Reduction reduction, bool softmax,
                               const std::vector<bool>& wants);

}  // namespace lucid::ops
