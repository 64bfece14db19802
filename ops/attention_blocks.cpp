#include "ops/attention_blocks.hpp"

#include "autograd/grad_mode.hpp"
#include "lucid/random.hpp"
#include "ops/dropout.hpp"
#include "ops/matmul.hpp"

namespace lucid::ops {
namespace {

using Index = std::int64_t;

constexpr std::string_view kOp = "scaled_dot_product_attention";

WeightInputs part_of(const WeightInputs& whole, const ScoreBlock& block) {
  WeightInputs part = whole;
  part.query = rows_of(whole.query, block);
  part.key = columns_of(whole.key, block);
  part.mask = scores_of(whole.mask, block);
  if (whole.first_row) part.first_row = block.rows.begin;
  return part;
}

// What dropout multiplies the weights with, block after block: 0 or 1 / (1 - p). The same seed and shape give
// the same noise again, so that it need not be kept.
class Noise {
 public:
  explicit Noise(const AttentionOptions& o)
      : p_(o.dropout_p), generator_(static_cast<std::uint64_t>(o.seed.value_or(0))) {}
  /// Undefined when nothing is dropped.
  Tensor next(const ScoreBlock& block, DType dtype) {
    if (p_ == 0) return {};
    Shape shape;
    for (const Range& range : block.batch) shape.push_back(range.size());
    shape.push_back(block.rows.size());
    shape.push_back(block.columns.size());
    const Index columns = block.columns.size();
    return dropout(ones({checked_numel(kOp, shape) / columns, columns}, dtype), p_, true, &generator_)
        .reshape(shape);
  }

 private:
  double p_;
  Generator generator_;
};

}  // namespace

Tensor whole_attention_noise(const Shape& scores, const AttentionOptions& o, DType dtype) {
  if (o.dropout_p == 0) return {};
  const no_grad guard;
  const Tensor out = zeros(scores, dtype);
  Noise noise(o);
  for_each_score_block(scores, o.is_causal, [&](const ScoreBlock& block) {
    scores_of(out, block).copy_(noise.next(block, dtype));
  });
  return out;
}

Tensor attend_by_blocks(const WeightInputs& in, const Tensor& value, const Shape& scores,
                        const AttentionOptions& o) {
  const no_grad guard;
  Shape shape = scores;
  shape[shape.size() - 1] = value.size(-1);
  const Tensor out = zeros(shape, value.dtype());
  Noise noise(o);
  for_each_score_block(scores, o.is_causal, [&](const ScoreBlock& block) {
    Tensor weights = attention_weights_of(part_of(in, block));
    if (const Tensor factors = noise.next(block, weights.dtype()); factors.defined())
      weights = weights * factors;
    rows_of(out, block).copy_(matmul(weights, columns_of(value, block)));
  });
  return out;
}

Tensors attention_gradients_by_blocks(const WeightInputs& in, const Tensor& value, const Tensor& grad,
                                      const Shape& scores, const AttentionOptions& o,
                                      const AttentionWants& wants) {
  const auto start = [](bool wanted, const Tensor& tensor) {
    return wanted ? zeros(tensor.shape(), tensor.dtype()) : Tensor();
  };
  const Tensors out{start(wants.query, in.query), start(wants.key, in.key), start(wants.value, value),
                    start(wants.mask, in.mask)};
  Noise noise(o);
  for_each_score_block(scores, o.is_causal, [&](const ScoreBlock& block) {
    const Tensors parts = attention_gradients(part_of(in, block), columns_of(value, block),
                                              noise.next(block, value.dtype()), rows_of(grad, block), wants);
    const auto add = [&](std::size_t i, Tensor (*part)(const Tensor&, const ScoreBlock&)) {
      if (!parts[i].defined()) return;
      const Tensor target = part(out[i], block);
      target.add_(parts[i].sum_to(target.shape()));
    };
    add(0, rows_of);
    add(1, columns_of);
    add(2, columns_of);
    add(3, scores_of);
  });
  return out;
}

}  // namespace lucid::ops
