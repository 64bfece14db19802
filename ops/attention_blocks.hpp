#pragma once
// Attention and its gradients block of scores by block of scores, and the noise of its dropout.

#include "ops/attention.hpp"
#include "ops/attention_core.hpp"

namespace lucid::ops {

/// What dropout multiplies the weights of shape `scores` (batch..., L, S) with: 0 or 1 / (1 - p); zeros where
/// no query of a causal block looks. That of the blocks below. Undefined when nothing is dropped.
Tensor whole_attention_noise(const Shape& scores, const AttentionOptions& options, DType dtype);

/// (batch..., L, Ev) of the scores' shape (batch..., L, S). Of `options`, dropout_p, is_causal and seed act.
/// Not recorded.
Tensor attend_by_blocks(const WeightInputs& in, const Tensor& value, const Shape& scores,
                        const AttentionOptions& options);

/// The gradients of query, key, value and mask, in their shapes; undefined where not wanted. Not recorded.
Tensors attention_gradients_by_blocks(const WeightInputs& in, const Tensor& value, const Tensor& grad,
                                      const Shape& scores, const AttentionOptions& options,
                                      const AttentionWants& wants);

}  // namespace lucid::ops
