#include "ops/attention_core.hpp"

#include "autograd/grad_mode.hpp"
#include "ops/compare.hpp"
#include "ops/kernels/softmax.hpp"
#include "ops/matmul.hpp"
#include "ops/reduce.hpp"
#include "ops/select.hpp"
#include "ops/softmax.hpp"

namespace lucid::ops {
namespace {

using Index = std::int64_t;

// An axis of size 1 stands for all indices.
Tensor cut_axis(const Tensor& tensor, Index axis, const Range& range) {
  const Index size = tensor.size(axis);
  return size == 1 || size == range.size() ? tensor : tensor.narrow(axis, range.begin, range.size());
}

Tensor cut_batch(Tensor tensor, const ScoreBlock& block) {
  const auto rank = static_cast<Index>(block.batch.size());
  for (Index i = 1; i <= rank && i + 2 <= tensor.dim(); ++i)
    tensor = cut_axis(tensor, tensor.dim() - 2 - i, block.batch[static_cast<std::size_t>(rank - i)]);
  return tensor;
}

// (n, m): true where query first_row + i must not see key j.
Tensor later_keys(Index n, Index m, Index first_row) {
  return arange(m).unsqueeze(0) > (arange(n) + first_row).unsqueeze(1);
}

Tensor masked_scores(const Tensor& scores, const WeightInputs& in) {
  Tensor out = scores;
  if (in.mask.defined())
    out = in.mask.dtype() == boolean ? masked_fill(out, logical_not(in.mask), kMinusInfinity) : out + in.mask;
  if (!in.first_row) return out;
  return masked_fill(out, later_keys(out.size(-2), out.size(-1), *in.first_row), kMinusInfinity);
}

// As softmax(scores, -1), but 0 in rows of nothing but -inf, where that is NaN.
Tensor safe_softmax(const Tensor& scores) {
  const Tensor dead = scores.detach().amax({-1}, true) == kMinusInfinity;
  if (!any(dead).item<bool>()) return softmax(scores, -1);
  return masked_fill(softmax(masked_fill(scores, dead, 0.0), -1), dead, 0.0);
}

// The gradient of the scores from that of the weights, which may have fewer batch axes: value's may be more.
Tensor softmax_gradient(const Tensor& grad, const Tensor& repeated) {
  const Tensor weights = repeated.expand(grad.shape());
  if (autograd::is_recording()) {
    const Tensor scaled = grad * weights;
    return scaled - weights * scaled.sum({-1}, true);
  }
  const Tensor out = empty_like(weights);
  kernels::softmax_backward(out, grad, weights, weights.shape().size() - 1, false);
  return out;
}

}  // namespace

void for_each_score_block(const Shape& scores, bool causal, const std::function<void(const ScoreBlock&)>& f) {
  if (checked_numel("attention", scores) == 0) return;
  // Axes before `split` are walked one index at a time, `split` in steps, those behind it are taken whole.
  const std::size_t rows = scores.size() - 2;
  Index behind = scores.back();  // scores for one index of the axis `split`
  std::size_t split = rows;
  while (split > 0 && behind <= kAttentionBlock / scores[split]) behind *= scores[split--];
  const Index step = std::clamp<Index>(kAttentionBlock / behind, 1, scores[split]);

  Shape at = Shape::filled(rows + 1, 0);
  const auto range = [&](std::size_t i) -> Range {
    const Index most = i < split ? 1 : i == split ? step : scores[i];
    return {at[i], std::min(at[i] + most, scores[i])};
  };
  while (true) {
    ScoreBlock block{{}, range(rows), {0, scores.back()}};
    for (std::size_t i = 0; i < rows; ++i) block.batch.push_back(range(i));
    if (causal) block.columns.end = std::min(scores.back(), block.rows.end);
    f(block);
    std::size_t axis = split;
    at[axis] += step;
    while (axis > 0 && at[axis] >= scores[axis]) at[axis--] = 0, ++at[axis];
    if (at[0] >= scores[0]) return;
  }
}

Tensor rows_of(const Tensor& tensor, const ScoreBlock& block) {
  return cut_axis(cut_batch(tensor, block), -2, block.rows);
}

Tensor columns_of(const Tensor& tensor, const ScoreBlock& block) {
  return cut_axis(cut_batch(tensor, block), -2, block.columns);
}

Tensor scores_of(const Tensor& tensor, const ScoreBlock& block) {
  if (!tensor.defined() || tensor.dim() == 0) return tensor;
  const Tensor part = cut_axis(cut_batch(tensor, block), -1, block.columns);
  return part.dim() == 1 ? part : cut_axis(part, -2, block.rows);
}

Tensor attention_weights_of(const WeightInputs& in) {
  const Tensor scores = masked_scores(matmul(in.query * in.scale, in.key.transpose(-2, -1)), in);
  if (scores.numel() == 0) return scores;
  return in.mask.defined() ? safe_softmax(scores) : softmax(scores, -1);
}

// With P = weights, D = noise: dV = (P D)^T G, dP = (G V^T) D, dS = P (dP - sum(dP P)), dQ = scale dS K,
// dK = scale dS^T Q.
Tensors attention_gradients(const WeightInputs& in, const Tensor& value, const Tensor& noise,
                            const Tensor& grad, const AttentionWants& wants) {
  Tensors out(4);
  const Tensor weights = attention_weights_of(in);
  if (wants.value) {
    const Tensor used = noise.defined() ? weights * noise : weights;
    out[2] = matmul(used.transpose(-2, -1), grad);
  }
  if (!wants.query && !wants.key && !wants.mask) return out;
  Tensor weight_grad = matmul(grad, value.transpose(-2, -1));
  if (noise.defined()) weight_grad = weight_grad * noise;
  const Tensor score_grad = softmax_gradient(weight_grad, weights);
  if (wants.query) out[0] = matmul(score_grad, in.key) * in.scale;
  if (wants.key) out[1] = matmul(score_grad.transpose(-2, -1), in.query) * in.scale;
  if (wants.mask) out[3] = score_grad;
  return out;
}

}  // namespace lucid::ops
