// Attention.

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lucid/random.hpp"
#include "ops/reference/definitions.hpp"

namespace lucid::reference {
namespace {

using nlohmann::json;

// Key or value with each head repeated until there are `heads` (axis -3).
Array with_heads(const Array& tensor, std::int64_t heads) {
  Shape shape = tensor.shape;
  const std::size_t axis = shape.size() - 3;
  const std::int64_t group = heads / shape[axis];
  shape[axis] = heads;
  return generate(shape, [&](Index index) {
    index[axis] /= group;
    return tensor.at(index);
  });
}

// `shape` with other sizes for the last two axes.
Shape with_ends(Shape shape, std::int64_t rows, std::int64_t columns) {
  shape[shape.size() - 2] = rows;
  shape[shape.size() - 1] = columns;
  return shape;
}

// The element of `tensor` at `index`, whose last two places are replaced.
double at_ends(const Array& tensor, Index index, std::int64_t row, std::int64_t column) {
  index[index.size() - 2] = row;
  index[index.size() - 1] = column;
  return tensor.broadcast_at(index);
}

// An array of nothing but 0 and 1 is taken for a bool mask.
bool says_which(const Array& mask) {
  return std::all_of(mask.values.begin(), mask.values.end(), [](double x) { return x == 0 || x == 1; });
}

double masked(double score, const Array& mask, bool causal, const Index& index) {
  if (causal && index.back() > index[index.size() - 2]) return -INFINITY;
  if (!mask.defined()) return score;
  const double value = mask.broadcast_at(index);
  return !says_which(mask) ? score + value : value != 0 ? score : -INFINITY;
}

// Of scores (..., L, S), along S; rows of nothing but -inf become 0.
Array softmax_of_rows(const Array& scores) {
  const std::int64_t columns = scores.shape.back();
  return generate(scores.shape, [&](const Index& index) {
    double largest = -INFINITY, sum = 0;
    const auto score = [&](std::int64_t j) { return at_ends(scores, index, index[index.size() - 2], j); };
    for (std::int64_t j = 0; j < columns; ++j) largest = std::max(largest, score(j));
    if (largest == -INFINITY) return 0.0;
    for (std::int64_t j = 0; j < columns; ++j) sum += std::exp(score(j) - largest);
    return std::exp(scores.at(index) - largest) / sum;
  });
}

// Weight number i, in row-major order, is kept where word i of the seed's generator reaches p; a causal call
// deals out words for the columns below L alone. Of weights that are one block.
Array dropped(Array weights, double p, std::uint64_t seed, bool causal) {
  const Generator generator(seed);
  const std::int64_t rows = weights.shape[weights.rank() - 2], columns = weights.shape.back();
  const std::int64_t dealt = causal ? std::min(rows, columns) : columns;
  std::int64_t number = 0;
  for_each_index(weights.shape, [&](const Index& index) {
    if (index.back() >= dealt) return;
    const auto word =
        generator.block(static_cast<std::uint64_t>(number / 4))[static_cast<std::size_t>(number % 4)];
    ++number;
    weights.at(index) *= word < std::round(p * 0x1p32) ? 0 : 1 / (1 - p);
  });
  return weights;
}

Arrays attention(const Arrays& in, const json& o) {
  const Array& query = in[0];
  const bool grouped = o["enable_gqa"], causal = o["is_causal"];
  const std::int64_t heads = grouped ? query.shape[query.rank() - 3] : 1;
  const Array key = grouped ? with_heads(in[1], heads) : in[1],
              value = grouped ? with_heads(in[2], heads) : in[2];
  const std::int64_t rows = query.shape[query.rank() - 2], columns = key.shape[key.rank() - 2];
  const std::int64_t features = query.shape.back();
  const double scale = o["scale"].is_null() ? 1 / std::sqrt(features) : o["scale"].get<double>();

  Shape batch = with_ends(query.shape, 1, 1);
  for (const Array* other : {&key, &value})
    batch = broadcast_shapes("reference", batch, with_ends(other->shape, 1, 1));
  const Array scores = generate(with_ends(batch, rows, columns), [&](const Index& index) {
    double sum = 0;
    for (std::int64_t e = 0; e < features; ++e)
      sum += at_ends(query, index, index[index.size() - 2], e) * at_ends(key, index, index.back(), e);
    return masked(scale * sum, in[3], causal, index);
  });
  Array weights = softmax_of_rows(scores);
  if (const double p = o["dropout_p"]; p > 0)
    weights = dropped(std::move(weights), p, o["seed"].get<std::uint64_t>(), causal);
  return {generate(with_ends(batch, rows, value.shape.back()), [&](const Index& index) {
    double sum = 0;
    for (std::int64_t j = 0; j < columns; ++j)
      sum += at_ends(weights, index, index[index.size() - 2], j) * at_ends(value, index, j, index.back());
    return sum;
  })};
}

}  // namespace

void define_attention(Definitions& d) { d["scaled_dot_product_attention"] = attention; }

}  // namespace lucid::reference
