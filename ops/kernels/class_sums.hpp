#pragma once
// Sums over the positions of a tensor with a class axis, in parallel.

#include "ops/kernels/class_targets.hpp"

namespace lucid::kernels {

struct LossSums {
  double loss = 0;    // sum over positions
  double weight = 0;  // what the mean divides by: class weights of the targets, or counted positions
};

inline constexpr std::int64_t kLossShare = 4096;  // positions whose losses are added up before the shares are

/// Runs block(scratch, offsets, lanes) -> LossSums over all positions; the sums are added share by share, so
/// that they don't depend on the number of threads.
template <class C, std::size_t N, class Block>
LossSums add_up(const ClassTargets& targets, const ClassPlan<N>& plan, Block block) {
  const std::int64_t positions = plan.positions.numel, shares = (positions + kLossShare - 1) / kLossShare;
  std::vector<LossSums> sums(static_cast<std::size_t>(shares));
  parallel_for(shares, 1, [&](std::int64_t first, std::int64_t last) {
    ClassScratch<C> scratch(targets, plan.classes);
    for (std::int64_t share = first; share < last; ++share)
      for_class_blocks(plan, share * kLossShare, std::min(positions, (share + 1) * kLossShare),
                       [&](const auto& at, std::int64_t lanes) {
                         const LossSums part = block(scratch, at, lanes);
                         sums[share].loss += part.loss;
                         sums[share].weight += part.weight;
                       });
  });
  LossSums total;
  for (const LossSums& sum : sums) {
    total.loss += sum.loss;
    total.weight += sum.weight;
  }
  return total;
}

}  // namespace lucid::kernels
