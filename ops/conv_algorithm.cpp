#include "ops/conv_algorithm.hpp"

#include "ops/onednn/conv.hpp"

namespace lucid::ops {

namespace {

// The cost rule, in one place. Measured with oneDNN 2.6, AVX-512, one thread, channels-last:
// - Depthwise: oneDNN is 3 to 4 times slower than a loop over channels.
// - Kernel = stride (the usual decoder step), where patches don't overlap: the loops of our own, which touch
//   each voxel once, beat oneDNN's deconvolution forward by a tenth and its weight gradient by 2 to 2.5
//   times. They need whole vectors of channels and rows that are not too short, and the weight gradient a
//   weight that fits in a core's cache.
// Everything else runs on oneDNN, which is as fast or faster there.
bool direct_is_faster(const ConvProblem& p, ConvPass pass) {
  if (p.is_depthwise()) return true;
  const ConvGeometry& g = p.geometry;
  for (std::size_t i = 0; i < 3; ++i)
    if (g.kernel[i] != g.stride[i] || g.padding[i] != 0 || (g.dilation[i] != 1 && g.kernel[i] != 1))
      return false;
  constexpr std::int64_t kVector = 16, kShortRow = 4, kCachedWeight = 1 << 17;
  const bool overlaps_nothing = p.taps() > 1 && g.groups == 1;
  const bool whole_vectors = p.x_channels % kVector == 0 && p.y_channels % kVector == 0;
  if (!overlaps_nothing || !whole_vectors || g.y[2] < kShortRow) return false;
  if (pass == ConvPass::x) return true;
  return pass == ConvPass::w && p.taps() * p.x_channels * p.y_channels <= kCachedWeight;
}

}  // namespace

ConvPlan::ConvPlan(const ConvProblem& problem, ConvPass pass, DType dtype, const Strides& weight_strides,
                   bool has_bias)
    : implementation("lucid:direct") {
  if (dtype != f32 || direct_is_faster(problem, pass)) return;
  primitive = onednn::Convolution::make(problem, pass, weight_strides, has_bias);
  if (!primitive) return;
  if (primitive->is_reference()) {
    is_reference = true;
    implementation += " (oneDNN has only " + primitive->implementation() + ")";
    primitive.reset();
    return;
  }
  algorithm = ConvAlgorithm::onednn;
  implementation = "onednn:" + primitive->implementation();
}

ConvPlan::~ConvPlan() = default;

}  // namespace lucid::ops
