#pragma once
// Losses: PyTorch's names and arguments. Each is refused when the shapes differ: nothing broadcasts silently.
// With Reduction::mean a loss of no elements is 0; PyTorch's is NaN.

#include <optional>
#include <vector>

#include "lucid/tensor.hpp"

namespace lucid {

enum class Reduction : std::uint8_t { none, mean, sum };

struct CrossEntropyOptions {
  Tensor weight = {};                ///< (C): of each class; undefined means 1
  std::int64_t ignore_index = -100;  ///< class indices equal to it count for nothing
  Reduction reduction = Reduction::mean;
  double label_smoothing = 0;  ///< in [0, 1]: this share of a target is spread evenly over the classes
};

/// -log softmax(input)[target] for logits `input` (N, C, spatial...) or (C). `target` holds class indices
/// (int64, int32 or uint8) of shape (N, spatial...) or (), or, when floating, probabilities of input's shape.
/// The mean is weighted by the targets' class weights (over probabilities: plain); where these add up to 0,
/// as with nothing but ignored targets, it is 0 and so is its gradient; PyTorch's is NaN. Throws Error on an
/// index outside [0, C) that is not ignore_index.
Tensor cross_entropy(const Tensor& input, const Tensor& target, const CrossEntropyOptions& options = {});

struct NllLossOptions {
  Tensor weight = {};                ///< (C): of each class; undefined means 1
  std::int64_t ignore_index = -100;  ///< class indices equal to it count for nothing
  Reduction reduction = Reduction::mean;
};

/// -input[target] for log-probabilities `input` (N, C, spatial...) or (C); the rest is as for cross_entropy.
Tensor nll_loss(const Tensor& input, const Tensor& target, const NllLossOptions& options = {});

// Below, input and target have one shape and a floating type each, and both get gradients.

struct LossOptions {
  Reduction reduction = Reduction::mean;
};

/// (input - target)^2.
Tensor mse_loss(const Tensor& input, const Tensor& target, const LossOptions& options = {});
/// |input - target|; the derivative at 0 is 0.
Tensor l1_loss(const Tensor& input, const Tensor& target, const LossOptions& options = {});

struct SmoothL1LossOptions {
  Reduction reduction = Reduction::mean;
  double beta = 1.0;  ///< at least 0; 0 gives l1_loss, at 0 too, where PyTorch's derivative is -1
};
/// d^2 / (2 beta) where |d| < beta, |d| - beta / 2 elsewhere; d = input - target.
Tensor smooth_l1_loss(const Tensor& input, const Tensor& target, const SmoothL1LossOptions& options = {});

struct HuberLossOptions {
  Reduction reduction = Reduction::mean;
  double delta = 1.0;  ///< above 0
};
/// d^2 / 2 where |d| <= delta, delta (|d| - delta / 2) elsewhere; d = input - target.
Tensor huber_loss(const Tensor& input, const Tensor& target, const HuberLossOptions& options = {});

enum class KlReduction : std::uint8_t { none, batchmean, mean, sum };

struct KlDivOptions {
  KlReduction reduction = KlReduction::mean;  ///< batchmean: the sum over the size of axis 0
  bool log_target = false;                    ///< target holds log-probabilities
};
/// target (log target - input) for log-probabilities `input`; 0 where target is 0.
Tensor kl_div(const Tensor& input, const Tensor& target, const KlDivOptions& options = {});

struct BinaryCrossEntropyOptions {
  Tensor weight = {};  ///< of each element; broadcasts to input
  Reduction reduction = Reduction::mean;
};
/// -(target log input + (1 - target) log(1 - input)) for probabilities `input`; each logarithm is at least
/// -100. Throws Error on an input outside [0, 1].
Tensor binary_cross_entropy(const Tensor& input, const Tensor& target,
                            const BinaryCrossEntropyOptions& options = {});

struct BinaryCrossEntropyWithLogitsOptions {
  Tensor weight = {};      ///< of each element; broadcasts to input
  Tensor pos_weight = {};  ///< of the positive part; broadcasts to input
  Reduction reduction = Reduction::mean;
};
/// (1 - t) x + (1 + (pos_weight - 1) t) log(1 + e^-x) for logits x = `input`, t = `target`, without overflow.
Tensor binary_cross_entropy_with_logits(const Tensor& input, const Tensor& target,
                                        const BinaryCrossEntropyWithLogitsOptions& options = {});

struct CosineSimilarityOptions {
  std::int64_t dim = 1;  ///< the axis of a vector's elements, after broadcasting
  double eps = 1e-8;     ///< a norm counts as at least this; above 0
};
/// sum(x1 x2) / (max(|x1|, eps) max(|x2|, eps)) along `dim`; shapes broadcast. 0 for a vector of zeros.
Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, const CosineSimilarityOptions& options = {});

struct CosineEmbeddingLossOptions {
  double margin = 0;
  Reduction reduction = Reduction::mean;
};
/// 1 - cos where `target` is 1, max(0, cos - margin) where it is -1, of vectors (N, D) with target (N), or
/// (D) with (); norms count as at least 1e-6. Throws Error on another value in target, which gets no
/// gradient.
Tensor cosine_embedding_loss(const Tensor& input1, const Tensor& input2, const Tensor& target,
                             const CosineEmbeddingLossOptions& options = {});

// Losses of regions. `input` (N, C, ...) holds probabilities p, or logits when sigmoid (independent classes)
// or softmax (classes that exclude each other) is set. `target` holds class indices (N, ...) or (N, 1, ...)
// of an integer type, or is one-hot or probabilities t in input's shape, of which no position is ignored.
// Throw Error on an index outside [0, C) that is not ignore_index, on integers other than 0 and 1 in a
// one-hot target, and when no class is left without the background. Names and arguments are MONAI's.

struct OverlapSumsOptions {
  bool sigmoid = false;
  bool softmax = false;
  bool squared = false;              ///< sums of p^2 and t^2
  std::int64_t ignore_index = -100;  ///< positions whose class index equals it count for nothing
};

/// What the losses of overlap are made of: (3, N, C) float64 with sum(p t), sum(p) and sum(t) over positions.
Tensor overlap_sums(const Tensor& input, const Tensor& target, const OverlapSumsOptions& options = {});

struct DiceLossOptions {
  bool include_background = true;  ///< class 0 counts too
  bool sigmoid = false;            ///< input holds logits of independent classes
  bool softmax = false;            ///< input holds logits of classes that exclude each other
  bool squared_pred = false;       ///< squares in the denominator
  bool jaccard = false;            ///< intersection over union instead of Dice
  bool batch = false;              ///< one ratio for each class over all samples, instead of one each
  bool present_only = false;       ///< only classes that occur in the (sample's, or batch's) target count
  Reduction reduction = Reduction::mean;
  double smooth_nr = 1e-5;           ///< added to the numerator
  double smooth_dr = 1e-5;           ///< added to the denominator
  std::int64_t ignore_index = -100;  ///< positions whose class index equals it count for nothing
};

/// Soft Dice: 1 - (2 sum(p t) + smooth_nr) / (sum(p) + sum(t) + smooth_dr) for each sample and class, sums
/// over positions. Reduction::none gives (N, C), or (C) with `batch`, without the background's column if that
/// is left out. A class absent from the target: with
/// present_only it is left out (nothing present: the loss is 0); else its ratio is smooth_nr / (sum(p) +
/// smooth_dr), so the loss falls from 1 to 0 as the prediction vanishes. Where the whole denominator is 0 the
/// loss is 0.
Tensor dice_loss(const Tensor& input, const Tensor& target, const DiceLossOptions& options = {});

struct TverskyLossOptions {
  bool include_background = true;
  bool sigmoid = false;
  bool softmax = false;
  double alpha = 0.5;  ///< weight of false positives, at least 0
  double beta = 0.5;   ///< weight of false negatives, at least 0
  bool batch = false;
  bool present_only = false;
  Reduction reduction = Reduction::mean;
  double smooth_nr = 1e-5;
  double smooth_dr = 1e-5;
  std::int64_t ignore_index = -100;
};

/// 1 - (TP + smooth_nr) / (TP + alpha FP + beta FN + smooth_dr) for each sample and class, with TP = sum(p
/// t), FP = sum(p (1 - t)), FN = sum((1 - p) t): Salehi et al., "Tversky loss function for
/// image segmentation using 3D fully convolutional deep networks" (2017, arXiv:1706.05721). With alpha = beta
/// = 1/2 it is dice_loss with halved smoothing terms. The other options, Reduction::none and absent classes
/// are as for dice_loss.
Tensor tversky_loss(const Tensor& input, const Tensor& target, const TverskyLossOptions& options = {});

struct FocalTverskyLossOptions {
  bool include_background = true;
  bool sigmoid = false;
  bool softmax = false;
  double alpha = 0.3;      ///< weight of false positives, at least 0
  double beta = 0.7;       ///< weight of false negatives, at least 0
  double gamma = 4.0 / 3;  ///< above 0; larger values dwell on classes that are already well found
  bool batch = false;
  bool present_only = false;
  Reduction reduction = Reduction::mean;
  double smooth_nr = 1e-5;
  double smooth_dr = 1e-5;
  std::int64_t ignore_index = -100;
};

/// (1 - Tversky index)^(1 / gamma) for each sample and class: Abraham & Khan, "A novel focal
/// Tversky loss function with improved attention U-Net for lesion segmentation" (2018, arXiv:1810.07842),
/// whose alpha and beta have changed places here so that they mean what they mean in tversky_loss; the paper
/// sums over classes, Reduction::mean averages. Where the index is 1 loss and gradient are 0.
Tensor focal_tversky_loss(const Tensor& input, const Tensor& target,
                          const FocalTverskyLossOptions& options = {});

/// How a class weighs by its size v in the target: 1 / v^2, 1 / v, 1.
enum class DiceWeight : std::uint8_t { square, simple, uniform };

struct GeneralizedDiceLossOptions {
  bool include_background = true;
  bool sigmoid = false;
  bool softmax = false;
  DiceWeight w_type = DiceWeight::square;
  bool batch = false;  ///< one ratio over all samples, instead of one each
  Reduction reduction = Reduction::mean;
  double smooth_nr = 1e-5;
  double smooth_dr = 1e-5;
  std::int64_t ignore_index = -100;
};

/// 1 - (2 sum_c w_c sum(p t) + smooth_nr) / (sum_c w_c (sum(p) + sum(t)) + smooth_dr) for each sample: Sudre
/// et al., "Generalised Dice overlap as a deep learning loss function for highly unbalanced segmentations"
/// (2017, arXiv:1707.03237). A class absent from the target weighs as much as the heaviest that is present (1
/// when none is), so that predicting it costs. Reduction::none gives (N), or () with `batch`.
Tensor generalized_dice_loss(const Tensor& input, const Tensor& target,
                             const GeneralizedDiceLossOptions& options = {});

struct FocalLossOptions {
  Tensor weight = {};  ///< (C), at least 0: of each class; undefined means 1
  bool include_background = true;
  bool use_softmax = false;          ///< classes exclude each other; else sigmoid
  double gamma = 2.0;                ///< at least 0; 0 gives (binary) cross-entropy
  std::optional<double> alpha = {};  ///< in [0, 1]; empty: nothing is balanced
  Reduction reduction = Reduction::mean;
  std::int64_t ignore_index = -100;
};

/// -(1 - p_t)^gamma log p_t for logits `input`: Lin et al., "Focal loss for dense object detection" (2017,
/// arXiv:1708.02002). With sigmoid every class has a loss at every position, t times that of p plus (1 - t)
/// times that of 1 - p, where alpha weighs the first and 1 - alpha the second part; with softmax t times that
/// of p, where alpha weighs the classes from 1 on and 1 - alpha class 0. Reduction::none gives input's shape,
/// without the background's class if that is left out (the softmax is over all classes all the same);
/// Reduction::mean is over all of these but ignored positions, so with softmax and gamma 0 it is
/// cross_entropy / C. With nothing but ignored positions it is 0. An absent class adds nothing with softmax.
Tensor focal_loss(const Tensor& input, const Tensor& target, const FocalLossOptions& options = {});

struct HausdorffDTLossOptions {
  double alpha = 2.0;  ///< above 0: how strongly distance weighs
  bool include_background = false;
  bool sigmoid = false;
  bool softmax = false;
  bool batch = false;  ///< one mean for each class over all samples, instead of one each
  Reduction reduction = Reduction::mean;
  std::vector<double> sampling = {};  ///< spacing of each spatial axis, or one for all; empty: 1
  std::int64_t ignore_index = -100;
};

/// The mean over positions of (p - t)^2 (d_p^alpha + d_t^alpha) for each sample and class, where d_p and d_t
/// are the distances to the other side of the border of the regions p > 1/2 and t > 1/2, in the units of
/// `sampling`: Karimi & Salcudean, "Reducing the Hausdorff distance in medical image segmentation with
/// convolutional neural networks" (2019, arXiv:1904.10030). The distances are constants to the gradient. A
/// region that is empty or fills everything has no border, and its distances are 0: where both have none the
/// loss is 0. Ignored positions belong to no region and don't count in the mean. Input has spatial axes.
/// Reduction::none gives (N, C), or (C) with `batch`, without the background's column if that is left out.
Tensor hausdorff_dt_loss(const Tensor& input, const Tensor& target,
                         const HausdorffDTLossOptions& options = {});

struct BoundaryLossOptions {
  bool include_background = true;
  bool sigmoid = false;
  bool softmax = false;
  bool batch = false;
  Reduction reduction = Reduction::mean;
  std::vector<double> sampling = {};
  std::int64_t ignore_index = -100;
};

/// The mean over positions of p phi for each sample and class, with phi the signed distance to the region t >
/// 1/2: Kervadec et al., "Boundary loss for highly unbalanced segmentation" (2019, arXiv:1812.07032).
/// Outside, phi is the distance to the region; inside, minus that to its outermost elements, so minus the
/// distance to the outside less the smallest spacing. The loss may be negative, and is meant to be added to
/// one of regions. A class whose region is empty or fills everything has no border and no loss. The rest is
/// as for hausdorff_dt_loss; the target gets no gradient.
Tensor boundary_loss(const Tensor& input, const Tensor& target, const BoundaryLossOptions& options = {});

struct DiceCeLossOptions {
  Tensor weight = {};  ///< (C): class weights of the cross-entropy
  double lambda_dice = 1.0;
  double lambda_ce = 1.0;
  bool include_background = true;
  bool squared_pred = false;
  bool batch = false;
  bool present_only = false;
  double smooth_nr = 1e-5;
  double smooth_dr = 1e-5;
  std::int64_t ignore_index = -100;
  double label_smoothing = 0;
};

/// lambda_dice * dice_loss + lambda_ce * cross_entropy of logits over classes that exclude each other, both
/// means; the options are those of the two. For patches, in which most classes may be missing, present_only
/// keeps the absent ones from drowning the others.
Tensor dice_ce_loss(const Tensor& input, const Tensor& target, const DiceCeLossOptions& options = {});

}  // namespace lucid
