#pragma once
// Losses of regions as layers, under MONAI's names. Input (N, C, ...), target indices (N, ...) or (N, 1,
// ...), or one-hot.

#include "nn/loss_layer.hpp"
#include "ops/loss.hpp"

namespace lucid::nn {

extern template struct LossLayer<GeneralizedDiceLossOptions>;
extern template struct LossLayer<TverskyLossOptions>;
extern template struct LossLayer<FocalTverskyLossOptions>;
extern template struct LossLayer<FocalLossOptions>;
extern template struct LossLayer<HausdorffDTLossOptions>;
extern template struct LossLayer<BoundaryLossOptions>;

struct GeneralizedDiceLoss : LossLayer<GeneralizedDiceLossOptions> {
  using LossLayer::LossLayer;
  Tensor operator()(const Tensor& input, const Tensor& target) const;
};

struct TverskyLoss : LossLayer<TverskyLossOptions> {
  using LossLayer::LossLayer;
  Tensor operator()(const Tensor& input, const Tensor& target) const;
};

struct FocalTverskyLoss : LossLayer<FocalTverskyLossOptions> {
  using LossLayer::LossLayer;
  Tensor operator()(const Tensor& input, const Tensor& target) const;
};

struct FocalLoss : LossLayer<FocalLossOptions> {
  explicit FocalLoss(const FocalLossOptions& options = {});
  Tensor operator()(const Tensor& input, const Tensor& target) const;

  Buffer class_weight;  // (C) or undefined: the options' weight, which is kept here and saved
  LUCID_FIELDS(class_weight)
};

struct HausdorffDTLoss : LossLayer<HausdorffDTLossOptions> {
  using LossLayer::LossLayer;
  Tensor operator()(const Tensor& input, const Tensor& target) const;
};

struct BoundaryLoss : LossLayer<BoundaryLossOptions> {
  using LossLayer::LossLayer;
  Tensor operator()(const Tensor& input, const Tensor& target) const;
};

}  // namespace lucid::nn
