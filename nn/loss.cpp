#include "nn/loss.hpp"

#include "nn/loss_repr.hpp"

namespace lucid {

// Defined beside the ops.
void to_json(nlohmann::json& out, const CrossEntropyOptions& options);
void to_json(nlohmann::json& out, const NllLossOptions& options);
void to_json(nlohmann::json& out, const LossOptions& options);
void to_json(nlohmann::json& out, const SmoothL1LossOptions& options);
void to_json(nlohmann::json& out, const HuberLossOptions& options);
void to_json(nlohmann::json& out, const KlDivOptions& options);
void to_json(nlohmann::json& out, const BinaryCrossEntropyOptions& options);
void to_json(nlohmann::json& out, const BinaryCrossEntropyWithLogitsOptions& options);

namespace nn {

template struct LossLayer<CrossEntropyOptions>;
template struct LossLayer<NllLossOptions>;
template struct LossLayer<LossOptions>;
template struct LossLayer<SmoothL1LossOptions>;
template struct LossLayer<HuberLossOptions>;
template struct LossLayer<KlDivOptions>;
template struct LossLayer<BinaryCrossEntropyOptions>;
template struct LossLayer<BinaryCrossEntropyWithLogitsOptions>;

SmoothL1Loss::SmoothL1Loss(const SmoothL1LossOptions& given) : TargetLoss(given) {
  check(options.beta >= 0, "SmoothL1Loss", "beta is ", options.beta, "; it must not be negative");
}

HuberLoss::HuberLoss(const HuberLossOptions& given) : TargetLoss(given) {
  check(options.delta > 0, "HuberLoss", "delta is ", options.delta, "; it must be positive");
}

BCEWithLogitsLoss::BCEWithLogitsLoss(const BinaryCrossEntropyWithLogitsOptions& given)
    : LossLayer(given),
      weight(std::exchange(options.weight, Tensor())),
      pos_weight(std::exchange(options.pos_weight, Tensor())) {}

Tensor BCEWithLogitsLoss::operator()(const Tensor& input, const Tensor& target) const {
  const ErrorScope scope(path());
  BinaryCrossEntropyWithLogitsOptions weighted = options;
  weighted.weight = weight;
  weighted.pos_weight = pos_weight;
  return binary_cross_entropy_with_logits(input, target, weighted);
}

}  // namespace nn
}  // namespace lucid
