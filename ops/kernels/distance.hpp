#pragma once
// Squared Euclidean distances by lower envelopes of parabolas. Nothing is recorded.

#include <vector>

#include "lucid/tensor.hpp"

namespace lucid::kernels {

/// Along `axis` of `values` (float32 or float64, in place): g(q) = min over r of f(r) + (spacing (q - r))^2.
/// Over one axis after the other, from 0 at the set and infinity elsewhere, this gives the squared distances
/// to the set. The time is linear in the number of elements.
void squared_distances(const Tensor& values, std::size_t axis, double spacing);

}  // namespace lucid::kernels
