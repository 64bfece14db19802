#pragma once
// Convolutions of volumes that are too large for one call of a kernel.

#include <limits>

#include "ops/conv_problem.hpp"

namespace lucid::ops {

/// In elements of x and of y.
struct SlabLimits {
  std::int64_t whole = std::numeric_limits<std::int32_t>::max();  ///< oneDNN counts in 32 bits
  std::int64_t piece = 1 << 27;  ///< far less: what a kernel needs beside its operands grows with them
};

/// run_conv() (ops/conv_plan.hpp), in pieces when x or y holds more than limits.whole: samples of the batch
/// first, then slabs of depth, which are views since both lie channels-last. A slab of a produced x or y
/// reads what its kernels reach; a produced weight is summed over the slabs. Where no split helps (a single
/// position along depth) the piece runs whole.
void run_conv_in_slabs(const ConvProblem& problem, ConvPass pass, const Tensor& x, const Tensor& weight,
                       const Tensor& y, const Tensor& bias = {}, SlabLimits limits = {});

}  // namespace lucid::ops
