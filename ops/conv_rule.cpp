#include "ops/conv_rule.hpp"

#include <algorithm>

#include "lucid/cpu.hpp"
#include "ops/direct/winograd.hpp"

namespace lucid::ops {

bool winograd_fits(const ConvProblem& p, ConvPass pass) {
  constexpr std::int64_t kMostOfLine = 1024, kMostDepth = 7, kMostSummed = 1 << 13, kMostChannels = 1 << 11;
  constexpr std::int64_t kLongKernel = 4, kMostOfLongKernel = 512;  // it has twice the points
  const ConvGeometry& g = p.geometry;
  const Dims3& size = pass == ConvPass::x ? g.x : g.y;
  if (!direct::has_winograd(p, pass) || g.kernel[0] > kMostDepth) return false;
  // The phases of x are held, and summed, at once; to x each is a problem of its own.
  const std::int64_t phases = pass == ConvPass::x ? 1 : g.stride[1] * g.stride[2];
  const bool is_long = direct::ceil_div(g.kernel[2], g.stride[2]) >= kLongKernel;
  return size[2] * phases <= (is_long ? kMostOfLongKernel : kMostOfLine) &&
         (phases == 1 || g.stride[0] * phases * p.x_channels <= kMostChannels) &&
         (pass != ConvPass::w || g.kernel[0] * phases * p.y_channels <= kMostSummed);
}

namespace {

std::int64_t voxels_of(const ConvProblem& p, const Dims3& size) {
  return p.batch * size[0] * size[1] * size[2];
}

// With a stride, phases of equal taps only: else a quarter of the products or more is of zeros. Its weights
// and their sums take longer to transform.
bool strided_winograd_is_faster(const ConvProblem& p, ConvPass pass) {
  constexpr std::int64_t kLeastVoxelsOfX = 1024, kLeastVoxels = 4096, kLeastInputs = 16, kSumsOfVoxel = 8;
  for (std::size_t i = 1; i < 3; ++i)
    if (p.geometry.kernel[i] % p.geometry.stride[i] != 0) return false;
  const std::int64_t voxels = voxels_of(p, p.geometry.y);
  switch (pass) {
    case ConvPass::x: return voxels >= kLeastVoxelsOfX && p.y_channels >= kLeastInputs;
    case ConvPass::y: return voxels >= kLeastVoxels;
    default: return voxels >= kLeastVoxels && voxels * kSumsOfVoxel >= p.taps() * p.x_channels * p.y_channels;
  }
}

}  // namespace

bool winograd_is_faster(const ConvProblem& p, ConvPass pass) {
  constexpr std::int64_t kLeastVoxels = 128, kLeastOfLine = 4, kLeastChannels = 16,
                         kLeastSummedOfPlanes = 2048, kLargeWeight = 1 << 19, kLeastSummedVoxels = 400,
                         kLeastOfTwoTaps = 4096;
  constexpr double kMostProducts = 0.62;
  if (!winograd_fits(p, pass)) return false;
  const Dims3& size = pass == ConvPass::x ? p.geometry.x : p.geometry.y;
  const std::int64_t voxels = voxels_of(p, size);
  if (voxels < kLeastVoxels || direct::winograd_products(p, pass) > kMostProducts) return false;
  for (std::size_t i = 1; i < 3; ++i)  // of short lines and residues the padding takes more than is saved
    if (size[i] / kLeastOfLine < p.geometry.dilation[i]) return false;
  if (!has_wide_registers() && narrow::others_beat_winograd(p, pass)) return false;
  // The transform of a large weight's gradient is too much for few voxels.
  if (pass == ConvPass::w && p.taps() * p.x_channels * p.y_channels > kLargeWeight &&
      voxels < kLeastSummedVoxels)
    return false;
  if (p.geometry.stride[2] > 1) return strided_winograd_is_faster(p, pass);
  if (p.geometry.kernel[1] == 2)
    return p.geometry.kernel[0] > 1 && voxels >= kLeastOfTwoTaps &&
           std::min(p.x_channels, p.y_channels) >= kLeastChannels;
  if (p.geometry.kernel[0] > 1) return true;
  // One tap along depth (2D too) shares no transforms.
  return pass == ConvPass::w ? voxels >= kLeastSummedOfPlanes
                             : std::min(p.x_channels, p.y_channels) >= kLeastChannels;
}

bool few_channels_are_faster(const ConvProblem& p, ConvPass pass) {
  return has_wide_registers() ? wide::few_channels_are_faster(p, pass)
                              : narrow::few_channels_are_faster(p, pass);
}

bool unfolded_is_faster(const ConvProblem& p, ConvPass pass) {
  return has_wide_registers() ? wide::unfolded_is_faster(p, pass) : narrow::unfolded_is_faster(p, pass);
}

bool direct_is_faster(const ConvProblem& p, ConvPass pass) {
  return has_wide_registers() ? wide::direct_is_faster(p, pass) : narrow::direct_is_faster(p, pass);
}

}  // namespace lucid::ops
