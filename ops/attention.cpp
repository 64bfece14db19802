#include "ops/attention.hpp"

#include <cmath>

#include "autograd/record.hpp"
#include "lucid/random.hpp"
#include "ops/attention_blocks.hpp"
#include "ops/options.hpp"
#include "ops/samples.hpp"
#include "ops/view.hpp"

namespace lucid {

LUCID_OPTIONS(AttentionOptions, dropout_p, is_causal, scale, enable_gqa, seed)

namespace {

using autograd::Backward;
using ops::WeightInputs;
using Index = std::int64_t;

constexpr const char* kName = "scaled_dot_product_attention";

void check_operand(std::string_view op, const Tensor& tensor, const char* name, const Tensor& query) {
  check(tensor.defined(), op, name, " is undefined");
  check(is_floating(tensor.dtype()), op, name, " has dtype ", tensor.dtype(),
        "; a floating type is required");
  check(tensor.dtype() == query.dtype(), op, name, " is ", tensor.dtype(), ", query ", query.dtype(),
        "; convert one with .to()");
  check(tensor.dim() >= 2, op, name, " has shape ", tensor.shape(), "; (..., length, features) is required");
}

void check_options(std::string_view op, const AttentionOptions& o) {
  check(o.dropout_p >= 0 && o.dropout_p <= 1, op, "dropout_p is ", o.dropout_p,
        "; a probability between 0 and 1 is required");
  check(!o.scale || std::isfinite(*o.scale), op, "scale is ", o.scale.value_or(0),
        "; a finite number is required");
}

Shape batch_of(const Tensor& tensor) {
  return Shape(std::span(tensor.shape().begin(), tensor.shape().size() - 2));
}

// Batch axes of key or value as they meet query's: with grouped heads, as many heads as query has.
Shape batch_beside(const Tensor& tensor, const char* name, const Tensor& query, bool grouped) {
  Shape batch = batch_of(tensor);
  if (!grouped) return batch;
  check(query.dim() >= 3 && tensor.dim() >= 3, kName,
        "enable_gqa needs (..., heads, length, features); query has shape ", query.shape(), ", ", name, " ",
        tensor.shape());
  const Index heads = query.size(-3), own = tensor.size(-3);
  check(own > 0 && heads % own == 0, kName, "query has ", heads, " heads, ", name, " ", own,
        "; enable_gqa needs ", "at least 1 head of ", name, ", and a number that divides query's");
  batch[batch.size() - 1] = heads;
  return batch;
}

// (batch..., L, S) of query and key, whose batch axes are given; checked.
Shape scores_shape(std::string_view op, const Tensor& query, const Tensor& key, const Shape& key_batch) {
  check(query.size(-1) == key.size(-1), op, "query has shape ", query.shape(), ", key ", key.shape(),
        "; the last axes must agree");
  Shape shape = broadcast_shapes(op, batch_of(query), key_batch);
  shape.push_back(query.size(-2));
  shape.push_back(key.size(-2));
  return shape;
}

void check_mask(std::string_view op, const Tensor& mask, const Tensor& query, const Shape& scores) {
  if (!mask.defined()) return;
  check(mask.dtype() == boolean || mask.dtype() == f32 || mask.dtype() == query.dtype(), op, "attn_mask is ",
        mask.dtype(), "; bool, float32 or query's ", query.dtype(), " is required");
  check(
      mask.dim() <= static_cast<Index>(scores.size()) && broadcast_shapes(op, mask.shape(), scores) == scores,
      op, "attn_mask has shape ", mask.shape(), "; one that broadcasts to ", scores, " is required");
}

// Type in which the scores are computed; a bool mask stays.
Tensor widened(const Tensor& tensor, DType dtype) {
  if (!tensor.defined() || tensor.dtype() == boolean) return tensor;
  return tensor.to(dtype == bf16 ? f32 : dtype);
}

WeightInputs weight_inputs(const Tensor& query, const Tensor& key, const Tensor& mask,
                           const AttentionOptions& o) {
  const DType dtype = query.dtype();
  WeightInputs in{widened(query, dtype), widened(key, dtype), widened(mask, dtype)};
  in.scale = o.scale.value_or(1 / std::sqrt(static_cast<double>(std::max<Index>(query.size(-1), 1))));
  if (o.is_causal) in.first_row = 0;
  return in;
}

// saved: query, key, value, mask
Tensors attention_backward(const Backward<AttentionOptions>& b) {
  const Tensor &query = b.saved[0], &key = b.saved[1];
  const WeightInputs in = weight_inputs(query, key, b.saved[3], b.options);
  const Tensor value = widened(b.saved[2], query.dtype()), grad = widened(b.grad(), query.dtype());
  Shape scores = batch_of(grad);
  scores.push_back(query.size(-2));
  scores.push_back(key.size(-2));
  const ops::AttentionWants wants{b.wants[0], b.wants[1], b.wants[2], b.wants[3]};
  if (!autograd::is_recording())
    return ops::attention_gradients_by_blocks(in, value, grad, scores, b.options, wants);
  return ops::attention_gradients(in, value, ops::whole_attention_noise(scores, b.options, value.dtype()),
                                  grad, wants);
}

// The default generator moves on only where there is something to drop.
AttentionOptions with_seed(AttentionOptions options) {
  if (options.dropout_p > 0 && !options.seed)
    options.seed = static_cast<Index>(default_generator().next_u64());
  return options;
}

// Query's heads (..., Hq, L, E) as (..., H, Hq / H, L, E), beside which key and value repeat an axis of 1.
Tensor grouped_attention(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask,
                         AttentionOptions options) {
  options.enable_gqa = false;
  const Index heads = key.size(-3), group = query.size(-3) / heads;
  const auto split_heads = [&](const Tensor& tensor) {
    Shape shape = tensor.shape();
    shape[shape.size() - 3] = heads;
    shape.insert(shape.size() - 2, group);
    return tensor.reshape(shape);
  };
  Tensor split_mask = mask;
  if (mask.defined() && mask.dim() >= 3)
    split_mask = mask.size(-3) == 1 ? mask.unsqueeze(-3) : split_heads(mask);
  return scaled_dot_product_attention(split_heads(query), key.unsqueeze(-3), value.unsqueeze(-3), split_mask,
                                      options)
      .flatten(-4, -3);
}

}  // namespace

Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const Tensor& attn_mask, const AttentionOptions& options) {
  const autograd::OpTimer timer(kName);
  check(query.defined(), kName, "query is undefined");
  check_operand(kName, query, "query", query);
  check_operand(kName, key, "key", query);
  check_operand(kName, value, "value", query);
  check_options(kName, options);
  check(key.size(-2) == value.size(-2), kName, "key has shape ", key.shape(), ", value ", value.shape(),
        "; axis -2 must agree");
  const bool grouped = options.enable_gqa;
  Shape scores = scores_shape(kName, query, key, batch_beside(key, "key", query, grouped));
  scores = broadcast_shapes(kName, scores, [&] {
    Shape shape = batch_beside(value, "value", query, grouped);
    shape.push_back(1);
    shape.push_back(1);
    return shape;
  }());
  check_mask(kName, attn_mask, query, scores);
  if (grouped) {
    check(key.size(-3) == value.size(-3), kName, "key has ", key.size(-3), " heads, value ", value.size(-3),
          "; they must agree");
    return grouped_attention(query, key, value, attn_mask, options);
  }
  const AttentionOptions used = with_seed(options);
  Tensor out;
  {
    const no_grad guard;
    out = ops::attend_by_blocks(weight_inputs(query, key, attn_mask, used), widened(value, value.dtype()),
                                scores, used)
              .to(query.dtype());
  }
  return autograd::record(kName, out, {query, key, value, attn_mask}, {query, key, value, attn_mask}, used,
                          attention_backward);
}

Tensor attention_weights(const Tensor& query, const Tensor& key, const Tensor& attn_mask,
                         const AttentionOptions& options) {
  constexpr std::string_view op = "attention_weights";
  check(query.defined(), op, "query is undefined");
  check_operand(op, query, "query", query);
  check_operand(op, key, "key", query);
  check_options(op, options);
  check(!options.enable_gqa, op, "enable_gqa is not supported; repeat key's heads");
  const Shape scores = scores_shape(op, query, key, batch_of(key));
  check_mask(op, attn_mask, query, scores);
  Tensor weights = ops::attention_weights_of(weight_inputs(query, key, attn_mask, options));
  if (const Tensor noise = ops::whole_attention_noise(scores, with_seed(options), weights.dtype());
      noise.defined())
    weights = weights * noise;
  return weights.to(query.dtype());
}

namespace ops {
namespace {

std::vector<Sample> attention_samples(Generator& g) {
  const auto qkv = [&](const Shape& q, const Shape& k, const Shape& v) -> Tensors {
    return {normal(q, g), normal(k, g), normal(v, g), Tensor()};
  };
  const auto masked = [](Tensors in, const Tensor& mask) {
    in[3] = mask;
    return in;
  };
  const Tensor no_first = Tensor::from({0, 1, 1, 1, 1, 0}, {2, 3}, boolean);
  const Tensor one_dead = Tensor::from({0, 0, 0, 1, 0, 1}, {2, 3}, boolean);
  const double no = kMinusInfinity;
  return {
      {qkv({3, 4}, {5, 4}, {5, 2}), {}},
      {qkv({2, 2, 3, 2}, {2, 2, 3, 2}, {2, 2, 3, 3}), {{"is_causal", true}, {"scale", 0.3}}},
      {qkv({2, 1, 2, 3}, {3, 3, 3}, {1, 3, 2}), {{"scale", -1.0}}},
      {masked(qkv({2, 2, 3}, {2, 3, 3}, {2, 3, 2}), no_first), {}},
      {masked(qkv({2, 2, 3}, {2, 3, 3}, {2, 3, 2}), one_dead), {}},
      {masked(qkv({2, 2, 2, 3}, {2, 2, 3, 3}, {2, 2, 3, 2}), normal({2, 1, 1, 3}, g)), {}},
      {masked(qkv({2, 3}, {3, 3}, {3, 2}), Tensor::from({0.5, no, -1, no, no, no}, {2, 3}, f64)), {}},
      {qkv({2, 3}, {4, 3}, {4, 2}), {{"is_causal", true}}},
      {qkv({4, 3}, {2, 3}, {2, 2}), {{"is_causal", true}}},
      {masked(qkv({2, 4, 2, 3}, {2, 2, 3, 3}, {2, 2, 3, 2}), normal({4, 2, 3}, g)), {{"enable_gqa", true}}},
      {qkv({2, 3, 4}, {2, 5, 4}, {2, 5, 2}), {{"dropout_p", 0.4}, {"seed", 3}}},
      {qkv({2, 3, 4}, {2, 5, 4}, {2, 5, 2}), {{"dropout_p", 0.4}, {"seed", 4}, {"is_causal", true}}},
      {masked(qkv({2, 3, 2}, {2, 3, 2}, {2, 3, 1}), no_first[0]), {{"is_causal", true}}},
      {masked(qkv({2, 3, 2}, {2, 3, 2}, {2, 3, 1}), normal({2, 1, 3}, g)), {{"is_causal", true}}}};
}

std::vector<ErrorCase> attention_errors() {
  const Tensor q = ones({2, 3, 4}, f64), k = ones({2, 5, 4}, f64), v = ones({2, 5, 6}, f64);
  const Tensor heads = ones({3, 2, 4}, f64);
  const OptionValues none;
  return {
      {{q, ones({2, 5, 3}, f64), v, Tensor()}, none, "(2, 5, 3)"},
      {{q, k, ones({2, 4, 6}, f64), Tensor()}, none, "(2, 4, 6)"},
      {{q, ones({3, 5, 4}, f64), v, Tensor()}, none, "(3)"},
      {{q, k, ones({3, 5, 6}, f64), Tensor()}, none, "(3, 1, 1)"},
      {{ones({4}, f64), k, v, Tensor()}, none, "(4)"},
      {{q, k.to(f32), v, Tensor()}, none, "float32"},
      {{q.to(i64), k, v, Tensor()}, none, "int64"},
      {{q, k, v, ones({3, 4}, f64)}, none, "(3, 4)"},
      {{q, k, v, ones({4, 2, 3, 5}, f64)}, none, "(4, 2, 3, 5)"},
      {{q, k, v, ones({3, 5}, i64)}, none, "int64"},
      {{q, k, v, Tensor()}, {{"dropout_p", 1.5}}, "1.5"},
      {{heads, k, v, Tensor()}, {{"enable_gqa", true}}, "3 heads"},
      {{heads, ones({0, 5, 4}, f64), ones({0, 5, 6}, f64), Tensor()}, {{"enable_gqa", true}}, "at least 1"},
      {{q[0], k, v, Tensor()}, {{"enable_gqa", true}}, "(3, 4)"}};
}

// Two products of each score; the operands and the result touched once.
Cost attention_cost(const Tensors& in, const nlohmann::json&) {
  const double queries =
      static_cast<double>(in[0].numel()) / std::max(1.0, static_cast<double>(in[0].size(-1)));
  const double scores = queries * static_cast<double>(in[1].size(-2));
  const double results = queries * static_cast<double>(in[2].size(-1));
  double bytes = results * static_cast<double>(size_of(in[0].dtype()));
  for (const Tensor& tensor : in)
    if (tensor.defined()) bytes += static_cast<double>(tensor.nbytes());
  return {2 * scores * static_cast<double>(in[0].size(-1) + in[2].size(-1)), bytes};
}

}  // namespace

Op scaled_dot_product_attention_op() {
  return {.name = kName,
          .doc = "softmax(scale * query (..., L, E) @ key (..., S, E)^T + mask) @ value (..., S, Ev)",
          .inputs = {{"query"}, {"key"}, {"value"}, {"attn_mask", true}},
          .defaults = default_options<AttentionOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            return {lucid::scaled_dot_product_attention(in[0], in[1], in[2], in[3],
                                                        read_options<AttentionOptions>(kName, given))};
          },
          .samples = attention_samples,
          .errors = attention_errors,
          .linear_in = {2},
          .cost = attention_cost};
}

}  // namespace ops
}  // namespace lucid
