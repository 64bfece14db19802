#pragma once
// Scaled dot-product attention (Vaswani et al., "Attention Is All You Need", 2017, equation 1), with PyTorch
// 2's arguments.

#include <cstdint>
#include <optional>

#include "lucid/tensor.hpp"

namespace lucid {

struct AttentionOptions {
  double dropout_p = 0;    ///< share of the weights to drop; acts whenever it is above 0, as PyTorch's
  bool is_causal = false;  ///< query i sees of keys 0 to i those that attn_mask lets it see
  std::optional<double> scale = {};       ///< null: 1 / sqrt(E)
  bool enable_gqa = false;                ///< axis -3 counts heads, and key and value have fewer of them
  std::optional<std::int64_t> seed = {};  ///< of the dropout; null: drawn from the default generator
};

/// softmax(scale * query @ key^T + mask) @ value, the softmax along S: query (..., L, E), key (..., S, E) and
/// value (..., S, Ev) to (..., L, Ev). Leading axes broadcast. With `enable_gqa` query has (..., Hq, L, E),
/// key and value (..., H, S, ...) where H divides Hq, and each of their heads serves Hq / H of query's in a
/// row.
///
/// `attn_mask` (undefined: none) broadcasts to (..., L, S). A bool one says which keys take part; a floating
/// one, of query's type or float32, is added. A query whose keys are all masked (false, or -inf) gets zeros
/// and passes no gradient on, as in PyTorch since 2.5; so does every query when S is 0.
///
/// The (L, S) weights are never held as a whole: they are worked through in blocks of bounded size and
/// computed again for the gradient. Only under create_graph they are held. bfloat16 is computed in float32.
/// Throws Error on shapes and types that don't fit, on dropout_p outside [0, 1], on a scale that is not
/// finite. `is_causal` beside a mask, which PyTorch refuses, applies both.
Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const Tensor& attn_mask = {}, const AttentionOptions& options = {});

/// The weights (..., L, S) that the above multiplies value with, after dropout, where value has no leading
/// axes beyond query's and key's; enable_gqa is refused.
Tensor attention_weights(const Tensor& query, const Tensor& key, const Tensor& attn_mask = {},
                         const AttentionOptions& options = {});

}  // namespace lucid
