#pragma once
// oneDNN's convolution and deconvolution primitives for the partials of the trilinear form
// (ops/conv_shape.hpp). float32 or bfloat16; activations channels-last; weights in whatever layout oneDNN
// prefers, packed on the way in or out.

#include <memory>
#include <string>

#include "ops/conv_epilogue.hpp"
#include "ops/conv_problem.hpp"
#include "ops/packed_weights.hpp"

namespace lucid::onednn {

/// Whether the processor has bfloat16 arithmetic that oneDNN uses.
bool has_bf16();

/// One primitive for one shape, ready to run. A geometry that is `transposed` runs as a deconvolution.
class Convolution {
 public:
  /// nullptr when oneDNN has none: sizes beyond 32 bits, padding that it refuses, a bias on a gradient, no
  /// implementation of the type.
  /// `dtype` is float32 or bfloat16; a weight that is produced is float32 either way. `weight_strides` are
  /// those that run()'s weight will have. `epilogue` is for a forward pass.
  static std::unique_ptr<Convolution> make(const ops::ConvProblem& problem, ops::ConvPass pass, DType dtype,
                                           const Strides& weight_strides, bool has_bias,
                                           const ops::ConvEpilogue& epilogue = {});
  ~Convolution();
  Convolution(const Convolution&) = delete;
  Convolution& operator=(const Convolution&) = delete;

  /// oneDNN's name of the implementation, for example "jit:avx512_core".
  const std::string& implementation() const;
  /// A plain loop, far slower than the machine allows.
  bool is_reference() const;
  /// A general matrix product, of an operand that is unfolded in memory.
  bool unfolds() const;
  /// Whether weights are copied into another layout on each run.
  bool packs_weight() const;
  /// Writes the operand that the pass produces. All of rank 5 and make()'s types; x and y channels-last; bias
  /// contiguous or undefined. A packed weight that is read is kept in `kept`. May run on several threads at
  /// once.
  void run(const Tensor& x, const Tensor& weight, const Tensor& y, const Tensor& bias,
           const ops::PackedWeights& kept) const;

  /// A copy of `weight` in the layout that the primitive reads, as bytes, and run() with it. Not for a weight
  /// that is produced.
  Tensor packed(const Tensor& weight) const;
  void run_packed(const Tensor& x, const Tensor& packed_weight, const Tensor& y, const Tensor& bias) const;

 private:
  struct State;
  explicit Convolution(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace lucid::onednn
