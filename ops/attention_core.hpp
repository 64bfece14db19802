#pragma once
// The arithmetic of attention on all of the scores or on a block of them, and the walk over the blocks.

#include <functional>
#include <limits>
#include <optional>

#include "lucid/tensor.hpp"
#include "ops/range.hpp"

namespace lucid::ops {

inline constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

/// Elements of the scores that are worked on at a time: a few arrays of 4 MB in float32.
inline constexpr std::int64_t kAttentionBlock = std::int64_t{1} << 20;

/// A block of scores (batch..., L, S): ranges of the batch axes, of rows (queries) and of columns (keys).
struct ScoreBlock {
  std::vector<Range> batch;
  Range rows, columns;
};

/// Calls f on blocks of at most kAttentionBlock scores (but at least a row) that cover `scores` once each, in
/// an order that depends on the shape alone. A causal block leaves out the columns that none of its rows
/// sees. None when there are no scores.
void for_each_score_block(const Shape& scores, bool causal, const std::function<void(const ScoreBlock&)>& f);

/// The views of a tensor that a block concerns; batch axes align from the right and those of size 1 are
/// repeated. Of query, result and their gradients: the rows. Of key and value: the columns. Of scores and
/// mask: both.
Tensor rows_of(const Tensor& tensor, const ScoreBlock& block);
Tensor columns_of(const Tensor& tensor, const ScoreBlock& block);
Tensor scores_of(const Tensor& tensor, const ScoreBlock& block);

/// What the weights are computed from. query (..., n, E), key (..., m, E), mask as attn_mask or undefined,
/// all floating ones of one type. `first_row`: causal, and this is the position of query's first row.
struct WeightInputs {
  Tensor query, key, mask;
  double scale = 1;
  std::optional<std::int64_t> first_row = {};
};

/// softmax(scale * query @ key^T + mask), (..., n, m); rows whose keys are all masked are 0. Recorded.
Tensor attention_weights_of(const WeightInputs& in);

/// Which gradients attention_gradients returns.
struct AttentionWants {
  bool query, key, value, mask;
};

/// Gradients of query, key, value, mask, undefined where not wanted and before broadcast axes are reduced;
/// `grad` (..., n, Ev) is the result's. `noise`: what dropout multiplied the weights with; may be undefined.
/// Recorded.
Tensors attention_gradients(const WeightInputs& in, const Tensor& value, const Tensor& noise,
                            const Tensor& grad, const AttentionWants& wants);

}  // namespace lucid::ops
