#pragma once
// Cosine similarity and its loss as layers.

#include "nn/loss_layer.hpp"
#include "ops/loss.hpp"

namespace lucid::nn {

extern template struct LossLayer<CosineSimilarityOptions>;
extern template struct LossLayer<CosineEmbeddingLossOptions>;

struct CosineSimilarity : LossLayer<CosineSimilarityOptions> {
  using LossLayer::LossLayer;
  Tensor operator()(const Tensor& x1, const Tensor& x2) const;
};

/// input1 and input2 (N, D) or (D), target (N) or () of 1 and -1.
struct CosineEmbeddingLoss : LossLayer<CosineEmbeddingLossOptions> {
  using LossLayer::LossLayer;
  Tensor operator()(const Tensor& input1, const Tensor& input2, const Tensor& target) const;
};

}  // namespace lucid::nn
