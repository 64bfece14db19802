#include "ops/conv_algorithm.hpp"

#include <algorithm>

#include "ops/conv_rule.hpp"
#include "ops/direct/few_channels.hpp"
#include "ops/direct/single_voxel.hpp"
#include "ops/direct/tap_products.hpp"
#include "ops/direct/unfolded.hpp"
#include "ops/direct/winograd.hpp"
#include "ops/onednn/conv.hpp"

namespace lucid::ops {

namespace {

// oneDNN computes some passes by unfolding an operand for a general product: without AVX-512 most weight
// gradients and transposed convolutions. A weight that is read must stay in a core's cache.
bool direct_beats_unfolding(const ConvProblem& p, ConvPass pass) {
  constexpr std::int64_t kCachedWeight = 1 << 20;
  return pass == ConvPass::w || p.geometry.groups * p.taps() * p.x_channels * p.y_channels <= kCachedWeight;
}

// What serves without oneDNN; `direct` serves everything.
ConvAlgorithm own_algorithm(const ConvProblem& p, ConvPass pass, DType dtype, bool has_row_major_weight) {
  if (direct::is_single_voxel(p) && has_row_major_weight) {
    const bool reads_weight_once = p.batch == 1 && pass != ConvPass::w;  // and is not worth packing it for
    return reads_weight_once && direct::has_unfolded(p) ? ConvAlgorithm::unfolded
                                                        : ConvAlgorithm::single_voxel;
  }
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
