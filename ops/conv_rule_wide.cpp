#include "ops/conv_rule.hpp"
#include "ops/direct/conv.hpp"
#include "ops/direct/dots.hpp"
#include "ops/direct/few_channels.hpp"
#include "ops/direct/patches.hpp"
#include "ops/direct/tap_products.hpp"
#include "ops/direct/unfolded.hpp"

namespace lucid::ops::wide {

namespace {

constexpr std::int64_t kVector = 16;

// Whether the taps of a line fill a vector where the channels don't.
bool fills_vectors(const ConvProblem& p) {
  return direct::has_patches(p) && p.x_channels * p.geometry.kernel[2] >= kVector;
}

// Whole vectors of channels, to x: sums over more than one vector with a weight that isn't read from memory
// each time.
bool direct_beats_blocks(const ConvProblem& p) {
  constexpr std::int64_t kCachedWeight = 1 << 22;
  return !is_product(p) && p.geometry.groups == 1 && p.x_channels % kVector == 0 && p.x_channels > kVector &&
         p.y_channels % kVector == 0 && p.y_channels > kVector &&
         p.taps() * p.x_channels * p.y_channels <= kCachedWeight;
}

}  // namespace

// oneDNN makes up for idle lanes, but where a quarter are at work at most and patches overlap.
bool few_channels_are_faster(const ConvProblem& p, ConvPass pass) {
  constexpr std::int64_t kFew = 4;
  if (!direct::has_few_channels(p, pass) || p.taps() == 1 || direct::has_patches(p)) return false;
  if (pass == ConvPass::y && p.geometry.stride[1] > p.geometry.kernel[1])
    return false;  // it reads lines that no tap meets
  return (pass == ConvPass::x ? p.x_channels : p.y_channels) <= kFew;
}

// Few voxels and a weight beyond the caches: other kernels read it several times, and copy it to their layout
// first. Gradients only of a weight that is not much smaller than the unfolded voxels.
bool unfolded_is_faster(const ConvProblem& p, ConvPass pass) {
  constexpr std::int64_t kLeastChannels = 64, kFew = 256, kLarge = 1 << 19, kLargeSums = 1 << 17;
  const bool is_summed = pass == ConvPass::w;
  return direct::has_unfolded(p) && p.taps() > 1 && p.y_channels >= kLeastChannels &&
         p.taps() * p.x_channels * p.y_channels >= (is_summed ? kLargeSums : kLarge) &&
         p.y_voxels() <= (is_summed ? 2 * p.y_channels : kFew);
}

// Kernel = stride (the usual decoder step), where patches don't overlap: products of our own, which touch
// each voxel once, beat oneDNN's strided convolutions, if channels fill half a vector. The weight's gradient
// is faster than oneDNN's too, of one group, as long as its sums fit in a core's cache.
bool direct_is_faster(const ConvProblem& p, ConvPass pass) {
  if (pass != ConvPass::w && direct::has_tap_products(p)) return true;
  constexpr std::int64_t kFewChannels = 8, kCachedSums = 1 << 17, kCachedSumsOfPatches = 1 << 18;
  const bool whole_x = p.x_channels % kVector == 0, whole_y = p.y_channels % kVector == 0;
  const bool has_patches = direct::has_patches(p) && p.taps() > 1;
  const bool fills_patches = has_patches && p.y_channels % (kVector / 2) == 0;
  switch (pass) {
    case ConvPass::x: return (fills_patches && (whole_x || fills_vectors(p))) || direct_beats_blocks(p);
    case ConvPass::y:
      if (direct::has_dots(p, false) && p.taps() * p.x_channels > kVector / 2) return true;
      return fills_patches && p.x_channels >= kFewChannels;
    default:
      if (p.taps() == 1) return direct::is_voxelwise(p);
      if (p.geometry.groups * p.taps() * p.x_channels * p.y_channels >
          (has_patches ? kCachedSumsOfPatches : kCachedSums))
        return false;
      if (fills_patches && fills_vectors(p)) return true;
      // Of groups where oneDNN unfolds patches (dilation) or skips voxels (stride).
      const ConvGeometry& g = p.geometry;
      return whole_x && whole_y &&
             (g.groups == 1 || g.dilation[2] > 1 || (g.stride[2] > 1 && g.kernel[2] % g.stride[2] != 0));
  }
}

}  // namespace lucid::ops::wide
