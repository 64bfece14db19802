#pragma once
// Sums of squared deviations.

#include "ops/kernels/reduce.hpp"

namespace lucid::kernels {

/// Writes sum((x - mean)^2) / divisor over `axes` into `result` (keepdim shape, `input`'s floating type): the
/// mean first, then the deviations from it, in double.
void squared_deviations(const Tensor& result, const Tensor& input, const Axes& axes, double divisor);

}  // namespace lucid::kernels
