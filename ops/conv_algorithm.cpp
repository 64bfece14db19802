#include "ops/conv_algorithm.hpp"

#include <algorithm>

#include "lucid/cpu.hpp"
#include "ops/direct/conv.hpp"
#include "ops/direct/dots.hpp"
#include "ops/direct/few_channels.hpp"
#include "ops/direct/patches.hpp"
#include "ops/direct/single_voxel.hpp"
#include "ops/direct/tap_products.hpp"
#include "ops/direct/unfolded.hpp"
#include "ops/direct/winograd.hpp"
#include "ops/onednn/conv.hpp"

namespace lucid::ops {

namespace {

// The cost rule, in one place. Measured with oneDNN 2.6, channels-last, on AVX-512 and on AVX2.

constexpr std::int64_t kVector = 16;

// Whether the taps of a line fill a vector where the channels don't; without AVX-512 half of one is enough.
bool fills_vectors(const ConvProblem& p) {
  const std::int64_t least = has_wide_registers() ? kVector : kVector / 2;
  return direct::has_patches(p) && p.x_channels * p.geometry.kernel[2] >= least;
}

// Half or one vector of a result's channels, of operands' channels that fill no halves, without AVX-512:
// oneDNN pads them, where the direct kernel takes a line's taps and channels as they come. To x only with a
// stride, of which a line of the result meets half the taps at most.
bool direct_beats_padding(const ConvProblem& p, ConvPass pass) {
  constexpr std::int64_t kHalf = kVector / 2, kFewToX = 12, kLeastOfLine = 5;
  const bool strides = p.geometry.stride[2] > 1;
  if (has_wide_registers() || p.geometry.groups > 1 || p.taps() == 1) return false;
  if (pass == ConvPass::x) return strides && p.x_channels == kHalf && p.y_channels <= kFewToX;
  return p.x_channels % kHalf != 0 && p.x_channels * p.geometry.kernel[2] >= kLeastOfLine &&
         (p.y_channels == kVector || (p.y_channels == kHalf && (strides || p.x_channels < kHalf)));
}

// A result of few channels: vectors along its lines, but where the taps of a line fill them better. With wide
// registers oneDNN makes up for idle lanes, but where a quarter are at work at most and patches overlap.
bool few_channels_are_faster(const ConvProblem& p, ConvPass pass) {
  constexpr std::int64_t kFewOfWide = 4;
  const ConvGeometry& g = p.geometry;
  if (!direct::has_few_channels(p, pass) || p.taps() == 1 || direct_beats_padding(p, pass)) return false;
  if (pass == ConvPass::y && g.stride[1] > g.kernel[1]) return false;  // it reads lines that no tap meets
  if (has_wide_registers())
    return !direct::has_patches(p) && (pass == ConvPass::x ? p.x_channels : p.y_channels) <= kFewOfWide;
  return pass == ConvPass::y || !fills_vectors(p);
}

// One tap that meets every voxel: a matrix product.
bool is_product(const ConvProblem& p) { return p.taps() == 1 && p.geometry.stride == Dims3(1); }

// Whole vectors of channels: sums over more than one vector with a weight that isn't read from memory each
// time, and groups. With AVX-512 only to x, at least two vectors, and no groups.
bool direct_beats_blocks(const ConvProblem& p, ConvPass pass) {
  constexpr std::int64_t kCachedWeight = 1 << 22;
  if (is_product(p) || p.x_channels % kVector != 0 || p.y_channels % kVector != 0) return false;
  if (has_wide_registers() && (pass == ConvPass::y || p.geometry.groups > 1 || p.x_channels == kVector))
    return false;
  return p.geometry.groups > 1 || ((pass == ConvPass::y ? p.x_channels : p.y_channels) > kVector &&
                                   p.taps() * p.x_channels * p.y_channels <= kCachedWeight);
}

// Halves of vectors, to y without AVX-512: with a stride, which oneDNN's blocks fit less, and groups of one
// half.
bool direct_beats_half_blocks(const ConvProblem& p) {
  constexpr std::int64_t kHalf = kVector / 2;
  if (has_wide_registers() || p.x_channels % kHalf != 0 || p.y_channels % kHalf != 0) return false;
  if (p.geometry.groups > 1) return p.x_channels == kHalf && p.y_channels == kHalf;
  return p.geometry.stride[2] > 1 && (p.x_channels > kVector || p.y_channels <= kVector);
}

// Kernel = stride (the usual decoder step), where patches don't overlap: products of our own, which touch
// each voxel once, beat oneDNN's strided convolutions, if channels fill half a vector. The weight's gradient
// is faster than oneDNN's too where that unfolds patches (dilation) or skips voxels (stride), as long as its
// sums fit in a core's cache; without AVX-512 of groups, which leave vectors idle, and with it of one group.
bool direct_is_faster(const ConvProblem& p, ConvPass pass) {
  constexpr std::int64_t kFewChannels = 8, kFewSums = 1 << 11;
  const bool whole_x = p.x_channels % kVector == 0, whole_y = p.y_channels % kVector == 0;
  const bool has_patches = direct::has_patches(p) && p.taps() > 1;
  const bool fills_patches = has_patches && p.y_channels % (kVector / 2) == 0;
  const ConvGeometry& g = p.geometry;
  if (pass != ConvPass::w && direct::has_tap_products(p)) return true;
  switch (pass) {
    case ConvPass::x:
      return (fills_patches && (whole_x || fills_vectors(p))) || direct_beats_blocks(p, pass) ||
             direct_beats_padding(p, pass);
    case ConvPass::y:
      if (direct::has_dots(p, false) && p.taps() * p.x_channels > kVector / 2) return true;
      if (!has_patches)
        return direct_beats_blocks(p, pass) || direct_beats_half_blocks(p) || direct_beats_padding(p, pass);
      return fills_patches &&
             (p.x_channels >= kFewChannels || (!has_wide_registers() && whole_y && fills_vectors(p)));
    default:
      const std::int64_t cached = has_patches ? 1 << 18 : 1 << 17;
      if (p.taps() == 1)
        return direct::is_voxelwise(p) ||
               (!has_wide_registers() && whole_x && whole_y && p.x_channels * p.y_channels <= kFewSums);
      return ((whole_x && whole_y) || (fills_patches && fills_vectors(p))) &&
             g.groups * p.taps() * p.x_channels * p.y_channels <= cached &&
             (has_patches || g.dilation[2] > 1 || (g.groups > 1) != has_wide_registers() ||
              (g.stride[2] > 1 && g.kernel[2] % g.stride[2] != 0));
  }
}

// oneDNN computes some passes by unfolding an operand for a general product: without AVX-512 most weight
// gradients and transposed convolutions. A weight that is read must stay in a core's cache.
bool direct_beats_unfolding(const ConvProblem& p, ConvPass pass) {
  constexpr std::int64_t kCachedWeight = 1 << 20;
  return pass == ConvPass::w || p.geometry.groups * p.taps() * p.x_channels * p.y_channels <= kCachedWeight;
}

// Few voxels and a weight beyond the caches: other kernels read it several times, and copy it to their layout
// first. Without AVX-512 results only of a stride, else voxels are unfolded into all taps; with it gradients
// only of a weight that is not much smaller than the unfolded voxels.
bool unfolded_is_faster(const ConvProblem& p, ConvPass pass) {
  constexpr std::int64_t kLeastChannels = 64;
  const bool is_summed = pass == ConvPass::w;
  if (!has_wide_registers() && !is_summed && p.geometry.stride == Dims3(1)) return false;
  const std::int64_t few = !is_summed ? 256 : has_wide_registers() ? 2 * p.y_channels : 1024;
  const std::int64_t large = is_summed ? 1 << 17 : 1 << 19;
  return direct::has_unfolded(p) && p.taps() > 1 && p.y_channels >= kLeastChannels &&
         p.taps() * p.x_channels * p.y_channels >= large && direct::patches_of(p) <= few;
}

// One voxel makes one product; of few samples it is not worth packing the weight for.
bool has_few_samples(const ConvProblem& p, ConvPass pass) { return p.batch <= (pass == ConvPass::w ? 8 : 1); }

// What serves without oneDNN; `direct` serves everything.
ConvAlgorithm own_algorithm(const ConvProblem& p, ConvPass pass, DType dtype, bool has_row_major_weight) {
  if (direct::is_single_voxel(p) && has_row_major_weight)
    return has_few_samples(p, pass) && direct::has_unfolded(p) ? ConvAlgorithm::unfolded
                                                               : ConvAlgorithm::single_voxel;
  if (p.is_depthwise()) return ConvAlgorithm::depthwise;
  if (dtype == f32 && winograd_is_faster(p, pass)) return ConvAlgorithm::winograd;
  if (few_channels_are_faster(p, pass)) return ConvAlgorithm::few_channels;
  if (dtype == f32 && pass != ConvPass::w && direct::has_tap_products(p)) return ConvAlgorithm::direct;
  if (has_row_major_weight && unfolded_is_faster(p, pass)) return ConvAlgorithm::unfolded;
  return ConvAlgorithm::direct;
}

// oneDNN is as fast or faster but for kernels that leave its vectors idle: one channel a group, few channels,
// one voxel; and where Winograd needs less arithmetic.
bool own_is_faster(const ConvProblem& p, ConvPass pass, ConvAlgorithm own) {
  return own != ConvAlgorithm::direct || direct_is_faster(p, pass);
}

bool is_row_major(const ConvProblem& p, const Strides& weight_strides) {
  const Dims3& kernel = p.geometry.kernel;
  return is_contiguous({p.y_channels * p.geometry.groups, p.x_channels, kernel[0], kernel[1], kernel[2]},
                       weight_strides);
}

std::string name_of(ConvAlgorithm algorithm) {
  switch (algorithm) {
    case ConvAlgorithm::depthwise: return "lucid:depthwise";
    case ConvAlgorithm::few_channels: return "lucid:few_channels";
    case ConvAlgorithm::single_voxel: return "lucid:single_voxel";
    case ConvAlgorithm::unfolded: return "lucid:unfolded";
    case ConvAlgorithm::winograd: return "lucid:winograd";
    default: return "lucid:direct";
  }
}

}  // namespace

bool winograd_fits(const ConvProblem& p, ConvPass pass) {
  constexpr std::int64_t kMostOfLine = 1024, kMostDepth = 7, kMostSummed = 1 << 13;
  const Dims3& size = pass == ConvPass::x ? p.geometry.x : p.geometry.y;
  return direct::has_winograd(p, pass) && p.geometry.kernel[0] <= kMostDepth && size[2] <= kMostOfLine &&
         (pass != ConvPass::w || p.geometry.kernel[0] * p.y_channels <= kMostSummed);
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

ConvPlan::ConvPlan(const ConvProblem& problem, ConvPass pass, DType dtype, const Strides& weight_strides,
                   bool has_bias, std::optional<ConvAlgorithm> given) {
  if (dtype == bf16) {
    algorithm = ConvAlgorithm::onednn;
    primitive = onednn::Convolution::make(problem, pass, dtype, weight_strides, has_bias);
    if (primitive && primitive->is_reference()) primitive.reset();
    implementation = primitive ? "onednn:" + primitive->implementation() : "none, in float32";
    return;
  }
  algorithm = own_algorithm(problem, pass, dtype, is_row_major(problem, weight_strides));
  const bool wants_own = given ? *given != ConvAlgorithm::onednn : own_is_faster(problem, pass, algorithm);
  if (given && wants_own) algorithm = *given;
  implementation = name_of(algorithm);
  if (dtype != f32 || wants_own) return;
  primitive = onednn::Convolution::make(problem, pass, dtype, weight_strides, has_bias);
  if (!primitive) return;
  if (!given && primitive->unfolds() && direct_beats_unfolding(problem, pass)) {
    primitive.reset();
    return;
  }
  if (primitive->is_reference()) {
    is_reference = true;
    implementation += " (oneDNN has only " + primitive->implementation() + ")";
    primitive.reset();
    return;
  }
  algorithm = ConvAlgorithm::onednn;
  implementation = "onednn:" + primitive->implementation();
}

std::vector<ConvAlgorithm> ConvPlan::candidates(const ConvProblem& problem, ConvPass pass, DType dtype,
                                                const Strides& weight_strides) {
  std::vector<ConvAlgorithm> out{ConvAlgorithm::onednn, ConvAlgorithm::direct};
  const ConvAlgorithm own = own_algorithm(problem, pass, dtype, is_row_major(problem, weight_strides));
  if (own == ConvAlgorithm::depthwise) out.push_back(own);
  if (direct::is_single_voxel(problem) && is_row_major(problem, weight_strides))
    out.push_back(ConvAlgorithm::single_voxel);
  if (direct::has_few_channels(problem, pass)) out.push_back(ConvAlgorithm::few_channels);
  if (direct::has_unfolded(problem) && is_row_major(problem, weight_strides))
    out.push_back(ConvAlgorithm::unfolded);
  if (dtype == f32 && winograd_fits(problem, pass)) out.push_back(ConvAlgorithm::winograd);
  return out;
}

ConvPlan::~ConvPlan() = default;

}  // namespace lucid::ops
