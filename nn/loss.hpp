#pragma once
// PyTorch's losses as layers. `nn::CrossEntropyLoss loss({.weight = class_weights, .label_smoothing = 0.1});`

#include "nn/loss_layer.hpp"
#include "ops/loss.hpp"

namespace lucid::nn {

extern template struct LossLayer<CrossEntropyOptions>;
extern template struct LossLayer<NllLossOptions>;
extern template struct LossLayer<LossOptions>;
extern template struct LossLayer<SmoothL1LossOptions>;
extern template struct LossLayer<HuberLossOptions>;
extern template struct LossLayer<KlDivOptions>;
extern template struct LossLayer<BinaryCrossEntropyOptions>;
extern template struct LossLayer<BinaryCrossEntropyWithLogitsOptions>;

struct CrossEntropyLoss : WeightedLoss<CrossEntropyOptions, &cross_entropy> {
  using WeightedLoss::WeightedLoss;
};

struct NLLLoss : WeightedLoss<NllLossOptions, &nll_loss> {
  using WeightedLoss::WeightedLoss;
};

struct MSELoss : TargetLoss<LossOptions, &mse_loss> {
  using TargetLoss::TargetLoss;
};

struct L1Loss : TargetLoss<LossOptions, &l1_loss> {
  using TargetLoss::TargetLoss;
};

struct SmoothL1Loss : TargetLoss<SmoothL1LossOptions, &smooth_l1_loss> {
  explicit SmoothL1Loss(const SmoothL1LossOptions& options = {});  ///< throws Error unless beta >= 0
};

struct HuberLoss : TargetLoss<HuberLossOptions, &huber_loss> {
  explicit HuberLoss(const HuberLossOptions& options = {});  ///< throws Error unless delta > 0
};

struct KLDivLoss : TargetLoss<KlDivOptions, &kl_div> {
  using TargetLoss::TargetLoss;
};

struct BCELoss : WeightedLoss<BinaryCrossEntropyOptions, &binary_cross_entropy> {
  using WeightedLoss::WeightedLoss;
};

struct BCEWithLogitsLoss : LossLayer<BinaryCrossEntropyWithLogitsOptions> {
  explicit BCEWithLogitsLoss(const BinaryCrossEntropyWithLogitsOptions& options = {});
  Tensor operator()(const Tensor& input, const Tensor& target) const;

  Buffer weight, pos_weight;  // broadcast to input; undefined for none
  LUCID_FIELDS(weight, pos_weight)
};

}  // namespace lucid::nn
