#pragma once
// The weight of a Winograd convolution (ops/direct/winograd.hpp), transformed and in the order that its
// products read.

#include "lucid/tensor.hpp"
#include "ops/direct/winograd_tiles.hpp"

namespace lucid::direct {

inline constexpr std::int64_t kMostChannels = 2 * kTileChannels;
/// Outputs that are computed together from `output` on: 32 while there are as many, then 16 and 8.
inline std::int64_t block_at(std::int64_t output, std::int64_t outputs) {
  std::int64_t block = kMostChannels;
  while (block > outputs - output) block /= 2;
  return block;
}

/// The transformed weight of a problem: [group][phase][point][block of outputs][depth tap][input][output].
struct WeightShape {
  std::int64_t groups, phases, points, outputs, depth, inputs;
  WeightShape(const TileProblem& p, TileSize size)
      : groups(p.groups),
        phases(p.phases()),
        points(size.points()),
        outputs(p.outputs),
        depth(p.taps(0)),
        inputs(p.inputs) {}
  std::int64_t point_step() const { return outputs * depth * inputs; }
  std::int64_t phase_step() const { return points * point_step(); }
  std::int64_t group_step() const { return phases * phase_step(); }
  std::int64_t numel() const { return groups * group_step(); }
};

/// Of the problems one after the other. weight: as conv_winograd() takes it.
Tensor transformed_weight(const ops::ConvProblem& p, ops::ConvPass pass, const TileProblems& problems,
                          TileSize size, const Tensor& weight);

}  // namespace lucid::direct
