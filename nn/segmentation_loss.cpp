#include "nn/segmentation_loss.hpp"

#include "nn/cosine.hpp"
#include "nn/loss_repr.hpp"

namespace lucid {

// Defined beside the ops.
void to_json(nlohmann::json& out, const DiceLossOptions& options);
void to_json(nlohmann::json& out, const DiceCeLossOptions& options);
void to_json(nlohmann::json& out, const GeneralizedDiceLossOptions& options);
void to_json(nlohmann::json& out, const TverskyLossOptions& options);
void to_json(nlohmann::json& out, const FocalTverskyLossOptions& options);
void to_json(nlohmann::json& out, const FocalLossOptions& options);
void to_json(nlohmann::json& out, const HausdorffDTLossOptions& options);
void to_json(nlohmann::json& out, const BoundaryLossOptions& options);
void to_json(nlohmann::json& out, const CosineSimilarityOptions& options);
void to_json(nlohmann::json& out, const CosineEmbeddingLossOptions& options);

namespace nn {

std::string detail::changed_options(const nlohmann::json& options, const nlohmann::json& defaults) {
  std::string out;
  for (const auto& [key, value] : options.items()) {
    if (value == defaults.at(key)) continue;
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    out += lucid::str(out.empty() ? "" : ", ", key, "=", text);
  }
  return out;
}

template struct LossLayer<DiceLossOptions>;
template struct LossLayer<DiceCeLossOptions>;
template struct LossLayer<GeneralizedDiceLossOptions>;
template struct LossLayer<TverskyLossOptions>;
template struct LossLayer<FocalTverskyLossOptions>;
template struct LossLayer<FocalLossOptions>;
template struct LossLayer<HausdorffDTLossOptions>;
template struct LossLayer<BoundaryLossOptions>;
template struct LossLayer<CosineSimilarityOptions>;
template struct LossLayer<CosineEmbeddingLossOptions>;

FocalLoss::FocalLoss(const FocalLossOptions& given)
    : LossLayer(given), class_weight(std::exchange(options.weight, Tensor())) {}

Tensor FocalLoss::operator()(const Tensor& input, const Tensor& target) const {
  const ErrorScope scope(path());
  FocalLossOptions weighted = options;
  weighted.weight = class_weight;
  return focal_loss(input, target, weighted);
}

Tensor CosineSimilarity::operator()(const Tensor& x1, const Tensor& x2) const {
  const ErrorScope scope(path());
  return cosine_similarity(x1, x2, options);
}

Tensor CosineEmbeddingLoss::operator()(const Tensor& input1, const Tensor& input2,
                                       const Tensor& target) const {
  const ErrorScope scope(path());
  return cosine_embedding_loss(input1, input2, target, options);
}

}  // namespace nn
}  // namespace lucid
