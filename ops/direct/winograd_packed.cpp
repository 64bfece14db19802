#include "ops/direct/winograd_packed.hpp"

#include <utility>
#include <vector>

#include "lucid/parallel.hpp"

namespace lucid::direct {
namespace {

// strides: of the taps (output, input, and the kernel's axes); groups are group_step apart.
void transform_weight(const TileProblem& p, TileSize size, const float* weight, const Strides& strides,
                      std::int64_t group_step, float* to) {
  const WeightShape shape(p, size);
  std::vector<std::int64_t> firsts;
  for (std::int64_t f = 0; f < p.outputs; f += block_at(f, p.outputs)) firsts.push_back(f);
  const std::int64_t blocks = std::ssize(firsts), rows = shape.depth * shape.inputs;
  parallel_blocks(p.groups * shape.phases * blocks * rows, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t row = task % rows, f = firsts[static_cast<std::size_t>(task / rows % blocks)],
                         phase = task / rows / blocks % shape.phases,
                         group = task / rows / blocks / shape.phases;
      const auto [depth, height, width] = p.phases_of(phase);
      const std::int64_t c = row % shape.inputs, kd = row / shape.inputs, block = block_at(f, p.outputs);
      if (kd >= depth->taps) continue;
      const float* const at = weight + group * group_step + f * strides[0] + c * strides[1] +
                              (depth->first_tap + kd * depth->tap_step) * strides[2] +
                              height->first_tap * strides[3] + width->first_tap * strides[4];
      transform_taps(size,
                     {at, strides[0], height->tap_step * strides[3], width->tap_step * strides[4],
                      height->taps, width->taps},
                     block,
                     to + group * shape.group_step() + phase * shape.phase_step() + f * rows + row * block,
                     shape.point_step());
    }
  });
}

}  // namespace

Tensor transformed_weight(const ops::ConvProblem& p, ops::ConvPass pass, const TileProblems& problems,
                          TileSize size, const Tensor& weight) {
  Strides strides = weight.strides();
  const std::int64_t group_step = p.y_channels * strides[0];
  if (pass == ops::ConvPass::x) std::swap(strides[0], strides[1]);
  std::int64_t numel = 0;
  for (const TileProblem& problem : problems) numel += WeightShape(problem, size).numel();
  const Tensor out = empty({numel});
  float* to = out.data_to_write<float>();
  for (const TileProblem& problem : problems) {
    transform_weight(problem, size, weight.data<float>(), strides, group_step, to);
    to += WeightShape(problem, size).numel();
  }
  return out;
}

}  // namespace lucid::direct
