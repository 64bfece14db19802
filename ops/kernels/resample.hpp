#pragma once
// A linear map along each spatial axis: average pooling, interpolation, and the adjoints of both.

#include "ops/kernels/axis_taps.hpp"
#include "ops/kernels/volume.hpp"

namespace lucid::kernels {

/// `input` (N, C, D, H, W) through the taps of D, H and W; laid out like the input. Not recorded. Adds up in
/// double where many elements make one. Each result is computed by one thread in a fixed order.
Tensor resample(const Tensor& input, const SpatialTaps& taps);

}  // namespace lucid::kernels
