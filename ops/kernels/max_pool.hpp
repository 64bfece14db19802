#pragma once
// The maximum of each window, and the two linear maps that belong to a choice of positions: gathering from
// them and scattering to them. Volumes are (N, C, D, H, W); nothing is recorded.

#include <utility>

#include "ops/kernels/axis_taps.hpp"
#include "ops/kernels/volume.hpp"

namespace lucid::kernels {

/// Maxima of `input` over the windows `taps`, and int64 or int32 row-major positions (D, H, W) of the last
/// NaN or else of the first maximum, -1 for an empty window. Without `with_positions`, positions are
/// undefined.
struct Maxima {
  Tensor values, positions;
};
enum class Positions { none, narrow, wide };  ///< narrow: int32 if the input's positions fit
Maxima max_pool(const Tensor& input, const SpatialTaps& taps, Positions kind);
/// The maxima alone into `out`; both channels-last.
void max_pool_into(const Tensor& out, const Tensor& input, const SpatialTaps& taps);

/// Adjoint of gather_positions: the values of `grad` added at `positions` of a zero volume. `taps` are the
/// windows that the positions were chosen from.
Tensor scatter_positions(const Tensor& grad, const Tensor& positions, const SpatialTaps& taps);

/// input at `positions`, of the positions' shape; zero where a position is -1.
Tensor gather_positions(const Tensor& input, const Tensor& positions);

/// A volume of `shape`, zero but for `input`'s values at `positions`, which must lie inside; of values with
/// one position the last in row-major order stays.
Tensor place_positions(const Tensor& input, const Tensor& positions, const Shape& shape);

}  // namespace lucid::kernels
