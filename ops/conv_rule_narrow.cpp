// Fitted to the times of all algorithms for 6400 passes of random shapes (1 to 256 channels, 3 to 64 voxels a
// side, 13 kernels, groups, dilation), and tried on 900 others (bench/bench_rule.cpp): in geometric mean
// 3 % slower than the fastest of each. Numbers beside x and y are channels, of which a register
// holds 8.

#include "ops/conv_rule.hpp"

#include <algorithm>

#include "ops/direct/conv.hpp"
#include "ops/direct/dots.hpp"
#include "ops/direct/few_channels.hpp"
#include "ops/direct/patch_sums.hpp"
#include "ops/direct/patches.hpp"
#include "ops/direct/sliding.hpp"
#include "ops/direct/tap_products.hpp"
#include "ops/direct/unfolded.hpp"
#include "ops/direct/weight_by_channels.hpp"
#include "ops/direct/weight_dots.hpp"

namespace lucid::ops::narrow {

namespace {

bool has_stride(const ConvProblem& p) { return p.geometry.stride != Dims3(1); }

// Lines in which the direct convolution mostly meets the border.
bool has_short_lines(const ConvProblem& p) {
  constexpr std::int64_t kShort = 8;
  return p.geometry.y[2] < kShort;
}

// oneDNN's products are good for few channels, but not for few voxels, where the call takes longer than the
// product, nor for results beyond the caches.
bool is_small_or_large_product(const ConvProblem& p, std::int64_t from, std::int64_t to) {
  constexpr std::int64_t kFewVoxels = 1 << 12, kSize = sizeof(float);
  const std::int64_t voxels = p.y_voxels();
  return voxels <= kFewVoxels || (to > from && voxels * to * kSize >= direct::kBytesPastCaches);
}

// Vectors along channels, which taps share: three of them most. Of one or two results lines of voxels fill
// the vectors better, and of many the direct convolution has more sums in flight.
bool sliding_is_faster(const ConvProblem& p, ConvPass pass) {
  const bool to_x = pass == ConvPass::x, moves_far = p.geometry.stride[2] > 1;
  const std::int64_t from = to_x ? p.y_channels : p.x_channels, to = to_x ? p.x_channels : p.y_channels;
  if (!direct::has_sliding(p, pass)) return false;
  if (p.geometry.groups > 1) return true;
  const std::int64_t kernel = p.geometry.kernel[2];
  if (kernel == 3) return to > 4 || (to >= 3 && from < 8);
  if (to_x && p.geometry.x[2] < 4 * kernel) return false;  // many taps meet padding only
  if (to <= 4) return to >= 3 && (from == 1 || moves_far);
  if (to <= 8) return true;
  return to_x ? from <= (to <= 16 ? 2 : 4) : to <= 16 && !moves_far;
}

bool direct_is_faster_to_y(const ConvProblem& p) {
  constexpr std::int64_t kManyResults = 1 << 18;
  const std::int64_t x = p.x_channels, y = p.y_channels;
  if (p.geometry.groups > 1) return x > 1 ? x < 8 || p.geometry.y[2] > 4 : y < 32 && !has_short_lines(p);
  if (direct::has_dots(p, false)) return true;
  if (is_product(p)) return x >= 16 || is_small_or_large_product(p, x, y);
  if (direct::has_patch_sums(p)) return true;
  if (direct::has_patches(p)) return x > 1 || p.taps() > 8 || p.y_voxels() * y < kManyResults;
  if (p.taps() == 1) return true;
  // Of neighbouring taps the channels are summed as one run.
  constexpr std::int64_t kLongRun = 7;
  const ConvGeometry& g = p.geometry;
  const bool has_short = has_short_lines(p), has_long_run = g.dilation[2] == 1 && g.kernel[2] * x >= kLongRun;
  const bool has_few_results = y < 16 || (y == 16 && g.kernel[2] >= 5);
  if (!has_stride(p))
    return x >= 32 || (!has_short && (x >= 12 || ((x >= 4 || has_long_run) && has_few_results)));
  if (x >= 12) return !has_short || (x >= 24 && p.taps() < 27);
  return (x == 8 || ((x >= 3 || has_long_run) && y <= 16)) && !has_short;
}

bool direct_is_faster_to_x(const ConvProblem& p) {
  const std::int64_t x = p.x_channels, y = p.y_channels;
  const bool is_overlapping = p.taps() > 1 && !has_stride(p);
  if (p.geometry.groups > 1) return !is_overlapping || (y >= 8 && !has_short_lines(p));
  if (is_product(p)) return (x >= 8 && y >= 16) || y >= 24 || is_small_or_large_product(p, y, x);
  if (p.taps() == 1) return x <= 32;
  if (!is_overlapping || direct::has_dots(p, true)) return true;
  return y >= 32 && (x >= 32 || (x >= 4 && !has_short_lines(p)));
}

// Of many taps on few voxels most meet none.
bool tap_products_are_faster(const ConvProblem& p, ConvPass pass) {
  return p.taps() < 64 || std::min(p.x_channels, p.y_channels) >= 48 ||
         (pass == ConvPass::x && has_stride(p));
}

// oneDNN's are good for few channels of both, and for large products.
bool direct_is_faster_for_weight(const ConvProblem& p) {
  constexpr std::int64_t kTapsOfPlane = 9, kLargeTap = 1 << 15;
  const std::int64_t x = p.x_channels, y = p.y_channels;
  if (direct::has_weight_by_channels(p)) return true;
  if (direct::has_patch_sums(p)) {
    constexpr std::int64_t kRegister = 8, kLongLine = 256;
    const std::int64_t line = p.geometry.y[2] * p.geometry.kernel[2] * x;
    return y == 1 || line % kRegister == 0 || line >= kLongLine;  // what is left of a line goes one by one
  }
  if (p.geometry.groups > 1) return p.y_voxels() >= 64 || p.taps() > kTapsOfPlane;
  if (!has_stride(p) && p.taps() >= kTapsOfPlane && direct::has_weight_dots(p)) return true;
  if (is_product(p)) return x >= (y <= 48 ? 8 : 32) && x * y <= kLargeTap;
  if (direct::has_patches(p) || p.taps() == 1) return x >= 8 || y >= 8;
  if (p.taps() <= kTapsOfPlane && p.geometry.y[2] <= 4) return false;
  return x >= 8 || x * y >= 16;
}

}  // namespace

// Of few tiles the transformed weight, or its sums, takes longer to read than the products. Of one register
// of channels in and out so do the tiles, beyond the nearest caches.
bool others_beat_winograd(const ConvProblem& p, ConvPass pass) {
  constexpr std::int64_t kShortLine = 4, kFewVoxels = 256, kSomeVoxels = 512, kLargeTap = 1 << 14;
  constexpr std::int64_t kRegister = 8, kNearElements = 9 << 16;
  const std::int64_t voxels = p.y_voxels();
  if (pass != ConvPass::w) {
    const std::int64_t line = (pass == ConvPass::x ? p.geometry.x : p.geometry.y)[2];
    return (line <= kShortLine && direct::has_tap_products(p)) ||
           (p.x_channels == kRegister && p.y_channels == kRegister && voxels * p.y_row() >= kNearElements &&
            sliding_is_faster(p, pass));
  }
  return direct::has_weight_by_channels(p) &&
         (voxels <= kFewVoxels || (voxels <= kSomeVoxels && p.x_channels * p.y_channels >= kLargeTap));
}

// Vectors along the lines of a result of few channels, each of which reads the operand's lines again: not
// many more than the operand has, and none where dot products along whole vectors serve, but of many taps.
bool few_channels_are_faster(const ConvProblem& p, ConvPass pass) {
  const ConvGeometry& g = p.geometry;
  constexpr std::int64_t kLongLine = 16, kLongKernel = 7;
  if (!direct::has_few_channels(p, pass) || is_product(p) || sliding_is_faster(p, pass)) return false;
  const bool to_x = pass == ConvPass::x, has_long = g.y[2] >= kLongLine;
  const std::int64_t from = to_x ? p.y_channels : p.x_channels, to = to_x ? p.x_channels : p.y_channels;
  if (direct::has_patches(p)) return to_x && to == 1 && p.taps() >= 8 && has_long;
  if (has_stride(p))  // to y it reads lines that no tap meets
    return to_x ? to <= std::min<std::int64_t>(4, 2 * from) &&
                      (has_long || (g.kernel[2] >= kLongKernel && !has_short_lines(p)))
                : g.stride[1] <= g.kernel[1];
  const bool beats_dots = to_x && to == 1 && p.taps() >= 27 && has_long;
  if (to <= 4) return g.kernel[2] >= 5 || (to <= from && (beats_dots || !direct::has_dots(p, to_x)));
  return to < 8 && from >= 4;
}

// Few voxels: the direct convolution's lines are short, and it copies the weight to its layout first. Results
// only of a large weight and a stride, else voxels are unfolded into all taps.
bool unfolded_is_faster(const ConvProblem& p, ConvPass pass) {
  if (!direct::has_unfolded(p)) return false;
  const std::int64_t x = p.x_channels, y = p.y_channels, voxels = p.y_voxels();
  if (pass == ConvPass::w) return voxels <= 32 && x >= 8;
  return has_stride(p) && p.taps() > 1 && y >= 64 && p.taps() * x * y >= 1 << 19 && voxels <= 256;
}

bool direct_is_faster(const ConvProblem& p, ConvPass pass) {
  if (pass != ConvPass::w && direct::has_tap_products(p)) return tap_products_are_faster(p, pass);
  if (sliding_is_faster(p, pass)) return true;
  switch (pass) {
    case ConvPass::x: return direct_is_faster_to_x(p);
    case ConvPass::y: return direct_is_faster_to_y(p);
    default: return direct_is_faster_for_weight(p);
  }
}

}  // namespace lucid::ops::narrow
