#pragma once
// What the losses of overlap (Dice, its generalisations, Tversky) share: their arguments checked, the sums
// that they are ratios of, and how the ratios become one loss.

#include "ops/class_loss.hpp"

namespace lucid::ops {

/// Float64, recorded; of shape (N, C), or (C) when summed over the batch, without a background left out.
struct Overlap {
  Tensor both;        ///< sum(p t)
  Tensor prediction;  ///< sum(p), or sum(p^2)
  Tensor truth;       ///< sum(t), or sum(t^2)
};

struct OverlapChoice {
  OverlapSumsOptions sums = {};
  bool include_background = true;
  bool batch = false;
};

/// Throws Error under the name `op` when input, target and options don't fit together.
Overlap class_overlap(std::string_view op, const Tensor& input, const Tensor& target,
                      const OverlapChoice& choice);

/// The same from the options of a loss, whose smoothing terms are checked too.
template <class Options>
Overlap class_overlap(std::string_view op, const Tensor& input, const Tensor& target, const Options& options,
                      bool squared = false) {
  check(options.smooth_nr >= 0, op, "smooth_nr is ", options.smooth_nr, "; at least 0 is required");
  check(options.smooth_dr >= 0, op, "smooth_dr is ", options.smooth_dr, "; at least 0 is required");
  return class_overlap(op, input, target,
                       {{options.sigmoid, options.softmax, squared, options.ignore_index},
                        options.include_background,
                        options.batch});
}

/// 1 - numerator / denominator; 0 where the denominator is 0. Recorded.
Tensor one_minus_ratio(const Tensor& numerator, const Tensor& denominator);

/// `losses` reduced, in the type `dtype`; recorded. With `present_only` those of classes without truth become
/// 0 and don't count in the mean, which is 0 when no class is present.
Tensor reduce_ratios(const Tensor& losses, const Overlap& overlap, bool present_only, Reduction reduction,
                     DType dtype);

}  // namespace lucid::ops
