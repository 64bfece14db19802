#pragma once
// Which kernel computes a convolution or one of its gradients.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ops/conv_problem.hpp"
#include "ops/packed_weights.hpp"

namespace lucid::onednn {
class Convolution;
}

namespace lucid::ops {

enum class ConvAlgorithm : std::uint8_t {
  onednn,        ///< a convolution or deconvolution primitive
  direct,        ///< small products, all taps of a voxel at once (ops/direct/conv.hpp)
  depthwise,     ///< ops/direct/depthwise.hpp
  few_channels,  ///< ops/direct/few_channels.hpp
  single_voxel,  ///< ops/direct/single_voxel.hpp
  unfolded,      ///< ops/direct/unfolded.hpp
  winograd       ///< ops/direct/winograd.hpp
};

/// Everything decided for one call at one shape.
struct ConvPlan {
  /// By a cost rule, or `algorithm`, which is one of candidates().
  ConvPlan(const ConvProblem& problem, ConvPass pass, DType dtype, const Strides& weight_strides,
           bool has_bias, std::optional<ConvAlgorithm> algorithm = {});
  /// The algorithms that may serve; whether oneDNN does is told by the plan, whose algorithm is another where
  /// it does not.
  static std::vector<ConvAlgorithm> candidates(const ConvProblem& problem, ConvPass pass, DType dtype,
                                               const Strides& weight_strides);
  ~ConvPlan();

  ConvAlgorithm algorithm = ConvAlgorithm::direct;
  /// Of ConvAlgorithm::onednn. None for bfloat16 where oneDNN has none: then float32 is to serve.
  std::unique_ptr<onednn::Convolution> primitive;
  PackedWeights weights;
  std::string implementation;  ///< "onednn:jit:avx512_core", "lucid:direct"
  bool is_reference = false;   ///< oneDNN offered only a plain loop, which is not used
};

}  // namespace lucid::ops
