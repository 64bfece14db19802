#include "nn/embedding.hpp"

#include <set>

#include "autograd/grad_mode.hpp"
#include "nn/init.hpp"
#include "nn/layer_checks.hpp"
#include "ops/gather.hpp"
#include "ops/reduce.hpp"

namespace lucid::nn {
namespace {

// Scales the rows named by `input` that are longer than max_norm down to it, in place.
void shorten_rows(const Tensor& weight, const Tensor& input, double max_norm, double norm_type) {
  const no_grad guard;
  embedding(input, weight);  // refuses what names no row before anything is written
  const std::vector<std::int64_t> named = input.to_vector<std::int64_t>();
  for (const std::int64_t index : std::set<std::int64_t>(named.begin(), named.end())) {
    const Tensor row = weight.select(0, index);
    const double length = norm(row, norm_type).item<double>();
    if (length > max_norm) row.copy_(row * (max_norm / (length + 1e-7)));  // PyTorch's guard
  }
}

Parameter first_weight(std::int64_t num_embeddings, std::int64_t embedding_dim) {
  detail::check_at_least("Embedding", "num_embeddings", num_embeddings, 1);
  detail::check_at_least("Embedding", "embedding_dim", embedding_dim, 1);
  Parameter weight(empty({num_embeddings, embedding_dim}));
  init::normal_(weight);
  return weight;
}

}  // namespace

Embedding::Embedding(const Parameter& weight_, const EmbeddingOptions& options_)
    : num_embeddings(weight_.size(0)), embedding_dim(weight_.size(1)), options(options_), weight(weight_) {
  if (options.padding_idx) {
    std::int64_t& row = *options.padding_idx;
    check(row >= -num_embeddings && row < num_embeddings, "Embedding", "padding_idx is ", row, "; ",
          -num_embeddings, " to ", num_embeddings - 1, " are possible");
    if (row < 0) row += num_embeddings;
  }
  check(!options.max_norm || *options.max_norm >= 0, "Embedding", "max_norm is ",
        options.max_norm.value_or(0), "; it must not be negative");
}

Embedding::Embedding(std::int64_t num_embeddings_, std::int64_t embedding_dim_,
                     const EmbeddingOptions& options_)
    : Embedding(first_weight(num_embeddings_, embedding_dim_), options_) {
  if (!options.padding_idx) return;
  const no_grad guard;
  weight.select(0, *options.padding_idx).fill_(0.0);
}

Embedding Embedding::from_pretrained(const Tensor& weight, bool freeze, const EmbeddingOptions& options) {
  check(weight.defined() && weight.dim() == 2, "Embedding", "weight has shape ",
        weight.defined() ? weight.shape() : Shape(), "; (num_embeddings, embedding_dim) is required");
  return Embedding(Parameter(weight, !freeze), options);
}

Tensor Embedding::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  if (options.max_norm) shorten_rows(weight, input, *options.max_norm, options.norm_type);
  return embedding(input, weight, options.padding_idx, options.scale_grad_by_freq);
}

std::string Embedding::extra_repr() const {
  std::string out = lucid::str(num_embeddings, ", ", embedding_dim);
  if (options.padding_idx) out += lucid::str(", padding_idx=", *options.padding_idx);
  if (options.max_norm) out += lucid::str(", max_norm=", detail::python(*options.max_norm));
  if (options.norm_type != 2) out += lucid::str(", norm_type=", detail::python(options.norm_type));
  if (options.scale_grad_by_freq) out += ", scale_grad_by_freq=True";
  return out;
}

}  // namespace lucid::nn
