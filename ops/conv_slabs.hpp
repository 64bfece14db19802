#pragma once
// Convolutions of volumes that are too large for one call of a kernel.

#include <limits>

#include "ops/conv_problem.hpp"

namespace lucid::ops {

/// oneDNN counts elements in 32 bits.
inline constexpr std::int64_t kSlabElements = std::numeric_limits<std::int32_t>::max();

/// run_conv() (ops/conv_plan.hpp) in pieces whose x and y hold at most `most` elements each: samples of the
/// batch first, then slabs of depth, which are views since both lie channels-last. A slab of a produced x or
/// y reads what its kernels reach; a produced weight is summed over the slabs. Where no split helps (a single
/// position along depth) the piece runs whole.
void run_conv_in_slabs(const ConvProblem& problem, ConvPass pass, const Tensor& x, const Tensor& weight,
                       const Tensor& y, const Tensor& bias = {}, std::int64_t most = kSlabElements);

}  // namespace lucid::ops
