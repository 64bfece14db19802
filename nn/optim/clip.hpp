#pragma once
// Gradients kept within bounds, between backward() and the optimiser's step.

#include <vector>

#include "lucid/tensor.hpp"

namespace lucid::optim {

struct ClipGradNormOptions {
  double norm_type = 2;             ///< p of the p-norm; infinity for the largest absolute value
  bool error_if_nonfinite = false;  ///< throw Error, changing nothing, when the norm is infinite or NaN
};

/// Scales all gradients by max_norm / (norm + 1e-6) when that is below 1. Returns the norm before, over all
/// gradients as one vector; parameters without gradient are passed over. Throws Error unless max_norm >= 0
/// and norm_type > 0.
double clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm,
                       ClipGradNormOptions options = {});

/// Limits each element of each gradient to [-clip_value, clip_value]. NaN stays. Throws Error unless
/// clip_value >= 0.
void clip_grad_value_(const std::vector<Tensor>& parameters, double clip_value);

}  // namespace lucid::optim
