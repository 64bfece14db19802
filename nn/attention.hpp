#pragma once

#include <optional>
#include <utility>

#include "nn/linear.hpp"

namespace lucid::nn {

struct MultiheadAttentionOptions {
  double dropout = 0;          ///< of the attention weights, in train()
  bool bias = true;            ///< in_proj_bias and out_proj.bias
  bool add_bias_kv = false;    ///< a learned key and value behind the given ones: bias_k and bias_v
  bool add_zero_attn = false;  ///< a key and value of zeros behind all others
  std::optional<std::int64_t> kdim = {};  ///< features of key; null: embed_dim
  std::optional<std::int64_t> vdim = {};  ///< features of value; null: embed_dim
  bool batch_first = false;
};

struct MultiheadAttentionCall {
  Tensor key_padding_mask = {};  ///< (N, S), or (S) for unbatched input
  /// false is faster on long sequences, and holds no (L, S) matrix beside attn_mask; that one and a
  /// key_padding_mask are joined to one for each of the N.
  bool need_weights = true;
  Tensor attn_mask = {};  ///< (L, S), or (N * num_heads, L, S): number n * num_heads + h
  bool average_attn_weights = true;
  /// Query i sees keys 0 to i alone. Beside an attn_mask it is a hint, and the mask rules; without one, where
  /// PyTorch asks for the mask, it is applied.
  bool is_causal = false;
};

/// Attention in `num_heads` parts of embed_dim / num_heads features, between linear maps (Vaswani et al.,
/// "Attention Is All You Need", 2017). query (L, N, embed_dim), key (S, N, kdim), value (S, N, vdim) to an
/// output (L, N, embed_dim); with `batch_first` N comes first; without N all three are unbatched.
///
/// Returns output and weights, after dropout: (N, L, S) averaged over the heads, or (N, num_heads, L, S), or
/// undefined without need_weights. Each added key counts in S, at the end.
///
/// Masks are bool, true where a key is *left out* (the reverse of scaled_dot_product_attention), or floating
/// and added; they don't concern added keys. A query without any key left has weights of 0, so that its
/// output is out_proj.bias; PyTorch's is NaN when the weights are asked for.
///
/// Parameters: in_proj_weight (3 embed_dim, embed_dim) holds the maps of query, key and value; where kdim or
/// vdim differ from embed_dim there are q_proj_weight, k_proj_weight and v_proj_weight instead. They start
/// Xavier-uniform, biases at 0, bias_k and bias_v (1, 1, embed_dim) Xavier-normal, out_proj.weight as
/// Linear's. Throws Error on sizes below 1, an embed_dim that num_heads does not divide, a dropout outside
/// [0, 1], inputs and masks that do not fit.
struct MultiheadAttention : Module {
  MultiheadAttention(std::int64_t embed_dim, std::int64_t num_heads,
                     const MultiheadAttentionOptions& options = {});
  std::pair<Tensor, Tensor> operator()(const Tensor& query, const Tensor& key, const Tensor& value,
                                       const MultiheadAttentionCall& call = {}) const;

  std::int64_t embed_dim, num_heads;
  MultiheadAttentionOptions options;
  Parameter in_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight, in_proj_bias, bias_k, bias_v;
  Linear out_proj;
  LUCID_FIELDS(in_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight, in_proj_bias, bias_k, bias_v,
               out_proj)
};

}  // namespace lucid::nn
