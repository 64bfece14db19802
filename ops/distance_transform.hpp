#pragma once
// Distances in volumes of labels.

#include <vector>

#include "lucid/tensor.hpp"

namespace lucid {

struct DistanceTransformOptions {
  std::vector<double> sampling = {};  ///< spacing of each spatial axis, or one for all; empty: 1
};

/// The Euclidean distance, between centres, from each element of `input` (N, C, spatial...) that is not 0 to
/// the nearest 0 of its sample and channel; 0 at zeros, infinity where sample and channel have no 0 at all.
/// Of any type; the result is float64 for float64, else float32, and has no gradient. Exact up to rounding,
/// in linear time: Felzenszwalb & Huttenlocher, "Distance transforms of sampled functions", Theory of
/// Computing 8 (2012). The names are SciPy's (scipy.ndimage.distance_transform_edt). Throws Error unless
/// there is a spatial axis and each spacing lies in [1e-12, 1e12].
Tensor distance_transform_edt(const Tensor& input, const DistanceTransformOptions& options = {});

}  // namespace lucid
