#include "nn/attention.hpp"

#include <algorithm>
#include <limits>

#include "nn/init.hpp"
#include "ops/arithmetic.hpp"
#include "ops/attention.hpp"
#include "ops/compare.hpp"
#include "ops/join.hpp"
#include "ops/matmul.hpp"
#include "ops/pad.hpp"
#include "ops/select.hpp"

namespace lucid::nn {
namespace {

using Index = std::int64_t;

constexpr std::string_view kName = "MultiheadAttention";

// The constructor's arguments, checked before the first member is made.
Index checked_embed_dim(Index embed_dim, Index num_heads, const MultiheadAttentionOptions& o) {
  check(embed_dim >= 1, kName, "embed_dim is ", embed_dim, "; at least 1 is required");
  check(num_heads >= 1 && embed_dim % num_heads == 0, kName, "num_heads is ", num_heads,
        "; a divisor of embed_dim = ", embed_dim, " is required");
  check(o.kdim.value_or(1) >= 1, kName, "kdim is ", o.kdim.value_or(1), "; at least 1 is required");
  check(o.vdim.value_or(1) >= 1, kName, "vdim is ", o.vdim.value_or(1), "; at least 1 is required");
  check(o.dropout >= 0 && o.dropout <= 1, kName, "dropout is ", o.dropout, "; it must lie in [0, 1]");
  return embed_dim;
}

Parameter xavier_uniform(const Shape& shape) { return Parameter(init::xavier_uniform_(empty(shape))); }
Parameter xavier_normal(const Shape& shape) { return Parameter(init::xavier_normal_(empty(shape))); }

// Batch axis and sizes of the inputs of one call.
struct Sizes {
  bool batched;
  Index batch_axis;  // of batched input; the sequence is the other of 0 and 1
  Index batch, queries, keys;
};

Sizes sizes_of(const MultiheadAttention& layer, const Tensor& query, const Tensor& key, const Tensor& value) {
  const auto check_input = [&](const Tensor& tensor, const char* name, Index features) {
    check(tensor.defined(), kName, name, " is undefined");
    check(tensor.dim() == 2 || tensor.dim() == 3, kName, name, " has shape ", tensor.shape(),
          layer.options.batch_first ? "; (N, length, " : "; (length, N, ", features, ") or (length, ",
          features, ") is required");
    check(tensor.dim() == query.dim(), kName, name, " has shape ", tensor.shape(), ", query ", query.shape(),
          "; all must be batched or none");
    check(tensor.size(-1) == features, kName, name, " has shape ", tensor.shape(), "; ", features,
          " features are required");
  };
  check_input(query, "query", layer.embed_dim);
  check_input(key, "key", layer.options.kdim.value_or(layer.embed_dim));
  check_input(value, "value", layer.options.vdim.value_or(layer.embed_dim));
  const bool batched = query.dim() == 3;
  const Index batch_axis = layer.options.batch_first ? 0 : 1, sequence_axis = batched ? 1 - batch_axis : 0;
  for (Index axis = 0; axis + 1 < key.dim(); ++axis)
    check(key.size(axis) == value.size(axis), kName, "key has shape ", key.shape(), ", value ", value.shape(),
          "; all sizes but the last must agree");
  if (batched)
    check(query.size(batch_axis) == key.size(batch_axis), kName, "query has shape ", query.shape(), ", key ",
          key.shape(), "; the batch sizes (axis ", batch_axis, ") must agree");
  return {batched, batch_axis, batched ? query.size(batch_axis) : 1, query.size(sequence_axis),
          key.size(sequence_axis)};
}

// ---- masks: bool (true: left out) or floating (added), broadcastable to (N, num_heads, L, S) ----

void check_mask(const Tensor& mask, const char* name, const Tensor& query) {
  check(mask.dtype() == boolean || is_floating(mask.dtype()), kName, name, " is ", mask.dtype(),
        "; bool or a floating type is required");
  check(mask.dtype() == boolean || mask.dtype() == query.dtype() || mask.dtype() == f32, kName, name, " is ",
        mask.dtype(), ", query ", query.dtype(), "; convert it with .to()");
}

Tensor padding_mask(const Tensor& mask, const Sizes& n, const Tensor& query) {
  if (!mask.defined()) return {};
  check_mask(mask, "key_padding_mask", query);
  const Shape expected = n.batched ? Shape{n.batch, n.keys} : Shape{n.keys};
  check(mask.shape() == expected, kName, "key_padding_mask has shape ", mask.shape(), "; ", expected,
        " is required");
  return mask.reshape({n.batch, 1, 1, n.keys});
}

Tensor score_mask(const Tensor& mask, const Sizes& n, Index heads, const Tensor& query) {
  if (!mask.defined()) return {};
  check_mask(mask, "attn_mask", query);
  const Shape shared{n.queries, n.keys}, own{n.batch * heads, n.queries, n.keys};
  check(mask.shape() == shared || mask.shape() == own, kName, "attn_mask has shape ", mask.shape(), "; ",
        shared, " or ", own, " is required");
  return mask.dim() == 2 ? mask : mask.reshape({n.batch, heads, n.queries, n.keys});
}

Tensor as_added(const Tensor& mask, DType dtype) {
  if (mask.dtype() != boolean) return mask.to(dtype);
  return masked_fill(zeros(mask.shape(), dtype), mask, -std::numeric_limits<double>::infinity());
}

// Either may be undefined.
Tensor joined(const Tensor& a, const Tensor& b, DType dtype) {
  if (!a.defined()) return b;
  if (!b.defined()) return a;
  if (a.dtype() == boolean && b.dtype() == boolean) return logical_or(a, b);
  return as_added(a, dtype) + as_added(b, dtype);
}

// Keys and queries that are added to those given. Every query sees the added keys: they stand behind the
// others, as PyTorch's do. A causal call, where query i sees keys 0 to i, has them in front instead, and as
// many queries, whose results are left out again: so no mask need say it, and none takes (L, S).
struct Added {
  Index count;
  bool in_front;
};

// As scaled_dot_product_attention takes it.
Tensor op_mask(const Tensor& mask, Added added) {
  if (!mask.defined()) return {};
  const Index front = added.in_front ? added.count : 0;
  const Tensor wide = added.count == 0 ? mask : pad(mask, {front, added.count - front});
  return wide.dtype() == boolean ? logical_not(wide) : wide;
}

// ---- heads ----

// (L, N, E), (N, L, E) or (L, E) to (N, heads, L, E / heads).
Tensor split_heads(const Tensor& projected, const Sizes& n, Index heads) {
  const Tensor batched = projected.dim() == 3 ? projected : projected.unsqueeze(n.batch_axis);
  const Index depth = batched.size(2) / heads;
  const Tensor split = batched.reshape({batched.size(0), batched.size(1), heads, depth});
  return n.batch_axis == 0 ? split.permute({0, 2, 1, 3}) : split.permute({1, 2, 0, 3});
}

// The way back.
Tensor merge_heads(const Tensor& heads, const Sizes& n) {
  const Tensor merged =
      (n.batch_axis == 0 ? heads.permute({0, 2, 1, 3}) : heads.permute({2, 0, 1, 3})).flatten(2, 3);
  return n.batched ? merged : merged.squeeze(n.batch_axis);
}

// `tensor` (N, heads, S, depth) with the learned `row` (1, 1, E), unless undefined, and a row of zeros.
Tensor with_added_keys(const Tensor& tensor, const Tensor& row, bool zero, Added added) {
  const Shape shape{tensor.size(0), tensor.size(1), 1, tensor.size(3)};
  Tensors parts{tensor};
  if (row.defined()) parts.push_back(row.reshape({1, shape[1], 1, shape[3]}).expand(shape));
  if (zero) parts.push_back(zeros(shape, tensor.dtype()));
  if (added.in_front) std::rotate(parts.begin(), parts.begin() + 1, parts.end());
  return parts.size() == 1 ? tensor : cat(parts, 2);
}

Tensor with_added_queries(const Tensor& tensor, Added added) {
  return added.in_front ? pad(tensor, {0, 0, added.count, 0}) : tensor;
}

// Of an output (N, heads, L, depth) or weights (N, heads, L, S).
Tensor given_queries(const Tensor& tensor, Added added) {
  return added.in_front ? tensor.narrow(2, added.count, tensor.size(2) - added.count) : tensor;
}

// Of weights (N, heads, L, S).
Tensor added_keys_last(const Tensor& weights, Added added) {
  if (!added.in_front) return weights;
  const Index given = weights.size(3) - added.count;
  return cat({weights.narrow(3, added.count, given), weights.narrow(3, 0, added.count)}, 3);
}

// Made with errors that name the layer.
Linear output_projection(Index embed_dim, bool bias) {
  const std::string name(kName);
  const ErrorScope scope(name);
  return Linear(embed_dim, embed_dim, {.bias = bias});
}

}  // namespace

MultiheadAttention::MultiheadAttention(Index embed_dim_, Index num_heads_,
                                       const MultiheadAttentionOptions& options_)
    : embed_dim(checked_embed_dim(embed_dim_, num_heads_, options_)),
      num_heads(num_heads_),
      options(options_),
      out_proj(output_projection(embed_dim, options.bias)) {
  const std::string name(kName);
  const ErrorScope scope(name);
  const Index kdim = options.kdim.value_or(embed_dim), vdim = options.vdim.value_or(embed_dim);
  const Index three = checked_mul(kName, "3 embed_dim", 3, embed_dim);
  if (kdim == embed_dim && vdim == embed_dim) {
    in_proj_weight = xavier_uniform({three, embed_dim});
  } else {
    q_proj_weight = xavier_uniform({embed_dim, embed_dim});
    k_proj_weight = xavier_uniform({embed_dim, kdim});
    v_proj_weight = xavier_uniform({embed_dim, vdim});
  }
  if (options.bias) {
    in_proj_bias = Parameter(zeros({three}));
    init::zeros_(out_proj.bias);
  }
  if (!options.add_bias_kv) return;
  bias_k = xavier_normal({1, 1, embed_dim});
  bias_v = xavier_normal({1, 1, embed_dim});
}

std::pair<Tensor, Tensor> MultiheadAttention::operator()(const Tensor& query, const Tensor& key,
                                                         const Tensor& value,
                                                         const MultiheadAttentionCall& call) const {
  const ErrorScope scope(path());
  const Sizes n = sizes_of(*this, query, key, value);
  const Tensor padding = padding_mask(call.key_padding_mask, n, query);
  const Tensor given = score_mask(call.attn_mask, n, num_heads, query);
  const bool causal = call.is_causal && !given.defined();
  const Index count = options.add_bias_kv + options.add_zero_attn;
  const Added added{count, causal && count > 0};
  const Tensor mask = op_mask(joined(given, padding, query.dtype()), added);

  const Tensors weights = in_proj_weight.defined() ? split(in_proj_weight, embed_dim)
                                                   : Tensors{q_proj_weight, k_proj_weight, v_proj_weight};
  const Tensors biases = in_proj_bias.defined() ? split(in_proj_bias, embed_dim) : Tensors(3);
  const auto project = [&](const Tensor& input, std::size_t i) {
    return split_heads(linear(input, weights[i], biases[i]), n, num_heads);
  };
  const Tensor q = with_added_queries(project(query, 0), added);
  const Tensor k = with_added_keys(project(key, 1), bias_k, options.add_zero_attn, added);
  const Tensor v = with_added_keys(project(value, 2), bias_v, options.add_zero_attn, added);

  const AttentionOptions how{.dropout_p = training() ? options.dropout : 0, .is_causal = causal};
  if (!call.need_weights) {
    const Tensor heads = given_queries(scaled_dot_product_attention(q, k, v, mask, how), added);
    return {out_proj(merge_heads(heads, n)), Tensor()};
  }
  Tensor shown = given_queries(attention_weights(q, k, mask, how), added);  // (N, heads, L, S)
  const Tensor output = out_proj(merge_heads(matmul(shown, v), n));
  shown = added_keys_last(shown, added);
  if (call.average_attn_weights) shown = shown.mean({1});
  return {output, n.batched ? shown : shown.squeeze(0)};
}

}  // namespace lucid::nn
