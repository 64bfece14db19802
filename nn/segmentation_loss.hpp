#pragma once
// Losses of regions as layers, under MONAI's names. Input (N, C, ...), target indices (N, ...) or (N, 1,
// ...), or one-hot.

#include "nn/loss_layer.hpp"
#include "ops/loss.hpp"

namespace lucid::nn {

extern template struct LossLayer<DiceLossOptions>;
extern template struct LossLayer<DiceCeLossOptions>;
extern template struct LossLayer<GeneralizedDiceLossOptions>;
extern template struct LossLayer<TverskyLossOptions>;
extern template struct LossLayer<FocalTverskyLossOptions>;
extern template struct LossLayer<FocalLossOptions>;
extern template struct LossLayer<HausdorffDTLossOptions>;
extern template struct LossLayer<BoundaryLossOptions>;

struct DiceLoss : TargetLoss<DiceLossOptions, &dice_loss> {
  using TargetLoss::TargetLoss;
};

/// `nn::DiceCELoss loss({.weight = class_weights, .present_only = true});` of logits.
struct DiceCELoss : WeightedLoss<DiceCeLossOptions, &dice_ce_loss> {
  using WeightedLoss::WeightedLoss;
};

struct GeneralizedDiceLoss : TargetLoss<GeneralizedDiceLossOptions, &generalized_dice_loss> {
  using TargetLoss::TargetLoss;
};

struct TverskyLoss : TargetLoss<TverskyLossOptions, &tversky_loss> {
  using TargetLoss::TargetLoss;
};

struct FocalTverskyLoss : TargetLoss<FocalTverskyLossOptions, &focal_tversky_loss> {
  using TargetLoss::TargetLoss;
};

struct FocalLoss : LossLayer<FocalLossOptions> {
  explicit FocalLoss(const FocalLossOptions& options = {});
  Tensor operator()(const Tensor& input, const Tensor& target) const;

  Buffer class_weight;  // (C) or undefined: the options' weight, which is kept here and saved
  LUCID_FIELDS(class_weight)
};

struct HausdorffDTLoss : TargetLoss<HausdorffDTLossOptions, &hausdorff_dt_loss> {
  using TargetLoss::TargetLoss;
};

struct BoundaryLoss : TargetLoss<BoundaryLossOptions, &boundary_loss> {
  using TargetLoss::TargetLoss;
};

}  // namespace lucid::nn
