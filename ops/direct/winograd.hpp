#pragma once
// Convolutions by Winograd's minimal filtering, whose weight is transformed beforehand: with kernel 3 along
// height and width for each 4x4 of the result 36 products of channels instead of 144, or for each 2x2 16
// instead of 36, whichever leaves less to do at the sizes at hand. S. Winograd, "Arithmetic Complexity of
// Computations", 1980; A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.
// Along depth the taps are summed as they are. With dilation the positions of each residue are a convolution
// without it. A stride leaves phases, each a convolution without it of fewer taps: kernel 4, stride 2 is
// eight of kernel 2, with 100 products instead of 256 for 8x8 of x (or 36 instead of 64 for 4x4). Kernel 5
// takes 36 products instead of 100 for 2x2 of the result. Errors beside those of plain sums in float32: tiles
// of 2x2 for kernel 3 about as large, those of 4x4 two to three times and those of kernel 5 twice as large
// (one or two millionths of the result's root mean square, measured from 16 to 64 channels). Results that
// meet nothing but padding are the bias to such an error.

#include <span>
#include <vector>

#include "ops/conv_epilogue.hpp"
#include "ops/direct/winograd_problem.hpp"
#include "ops/packed_weights.hpp"

namespace lucid::direct {

class Winograd {
 public:
  /// Whether this serves pass y or x of `problem` (and w, for y): taps as tile_problems() says, multiples of
  /// 8 channels of each group in x and y and in each of `parts`, which has one element where there are
  /// groups.
  static bool serves(const ops::ConvProblem& problem, ops::ConvPass pass,
                     std::span<const std::int64_t> parts);

  /// The input's channels come in `parts`. weight: rank 5, float32, strided as it likes; bias: rank 1 or
  /// undefined.
  Winograd(const ops::ConvProblem& problem, ops::ConvPass pass, std::span<const std::int64_t> parts,
           const Tensor& weight, const Tensor& bias, const ops::ConvEpilogue& epilogue);

  /// out = conv(cat(inputs, 1)), as the epilogue says. float32, rank 5, channels-last. May run on several
  /// threads at once; the same for any number of threads, if the weight is finite.
  void run(std::span<const Tensor> inputs, const Tensor& out) const;
  std::int64_t weight_bytes() const { return weight_.nbytes() + bias_.nbytes(); }

 private:
  friend void conv_winograd(const ops::ConvProblem& p, ops::ConvPass pass, std::span<const Tensor> from,
                            const Tensor& weight, const Tensor& bias, const Tensor& to,
                            const ops::PackedWeights& kept);
  Winograd(const ops::ConvProblem& problem, ops::ConvPass pass, std::span<const std::int64_t> parts,
           const ops::ConvEpilogue& epilogue, Tensor transformed, const Tensor& bias);

  TileProblems problems_;
  TileSize size_;
  bool has_cached_weight_;
  std::vector<std::int64_t> parts_;
  ops::ConvEpilogue epilogue_;
  Tensor weight_;  // transformed
  Tensor bias_;    // zeros where there is none
};

/// Whether a pass is served.
bool has_winograd(const ops::ConvProblem& p, ops::ConvPass pass);

/// Points of a tile of a served pass along height and width, 3 to 6: up to 4 all factors are halves and
/// wholes.
std::int64_t winograd_side(const ops::ConvProblem& p, ops::ConvPass pass);
/// Products of a served pass for each of those of the definition, in a plane: 0.25 of whole tiles of 4x4,
/// 0.44 of 2x2, 0.36 of 5 taps, more where they reach beyond the result.
double winograd_products(const ops::ConvProblem& p, ops::ConvPass pass);

/// Pass y (from: x, to: y) or x (from: y, to: x) in float32, channels-last. The channels of `from` may come
/// in parts, each a multiple of 8. bias: of `to`, or undefined.
void conv_winograd(const ops::ConvProblem& p, ops::ConvPass pass, std::span<const Tensor> from,
                   const Tensor& weight, const Tensor& bias, const Tensor& to,
                   const ops::PackedWeights& kept);
/// Whether parts of so many channels are served.
bool takes_parts(std::span<const Tensor> parts);

/// Pass w in float32, x and y channels-last: the gradient of a weight, strided as it likes.
void conv_winograd_weight_grad(const ops::ConvProblem& p, const Tensor& x, const Tensor& y,
                               const Tensor& weight);

}  // namespace lucid::direct
