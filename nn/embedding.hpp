#pragma once

#include <optional>

#include "nn/module.hpp"

namespace lucid::nn {

struct EmbeddingOptions {
  std::optional<std::int64_t> padding_idx = {};  ///< a row of zeros, not trained; negative: from the end
  /// Rows that a call names are first scaled down to this norm, in place.
  std::optional<double> max_norm = {};
  double norm_type = 2.0;           ///< p of that norm
  bool scale_grad_by_freq = false;  ///< divide a row's gradient by how often the call names it
};

/// input (...) of classes in [0, num_embeddings) to (..., embedding_dim). weight (num_embeddings,
/// embedding_dim) starts from N(0, 1), as PyTorch's. The constructor throws Error naming the argument that is
/// out of range.
struct Embedding : Module {
  Embedding(std::int64_t num_embeddings, std::int64_t embedding_dim, const EmbeddingOptions& options = {});
  /// Over the elements of `weight` (num_embeddings, embedding_dim), trained unless `freeze`.
  static Embedding from_pretrained(const Tensor& weight, bool freeze = true,
                                   const EmbeddingOptions& options = {});
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;

  std::int64_t num_embeddings, embedding_dim;
  EmbeddingOptions options;
  Parameter weight;
  LUCID_FIELDS(weight)

 private:
  Embedding(const Parameter& weight, const EmbeddingOptions& options);
};

}  // namespace lucid::nn
