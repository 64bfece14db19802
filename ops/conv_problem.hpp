#pragma once
// One call of a partial of the trilinear form, as the kernels see it.

#include "ops/conv_shape.hpp"

namespace lucid::ops {

/// Which operand of form(x, w, y) is produced from the other two.
enum class ConvPass : std::uint8_t { x, w, y };

/// Channels per group and sizes. x and y lie channels-last, y without gaps.
struct ConvProblem {
  ConvGeometry geometry;
  std::int64_t batch = 0;
  std::int64_t x_channels = 0, y_channels = 0;  ///< in one group
  std::int64_t x_gap = 0;  ///< elements between the voxels of x: a slice of channels has some
  std::int64_t x_row() const { return x_channels * geometry.groups; }
  std::int64_t x_step() const { return x_row() + x_gap; }  ///< from one voxel of x to the next
  std::int64_t y_row() const { return y_channels * geometry.groups; }
  std::int64_t taps() const { return geometry.kernel[0] * geometry.kernel[1] * geometry.kernel[2]; }
  std::int64_t y_voxels() const { return batch * geometry.y[0] * geometry.y[1] * geometry.y[2]; }
  bool is_depthwise() const { return geometry.groups > 1 && x_channels == 1 && y_channels == 1; }
  /// Multiplications, those at the border counted as if they were inside.
  double work() const {
    double out = static_cast<double>(batch * geometry.groups) * static_cast<double>(x_channels * y_channels);
    for (std::size_t i = 0; i < 3; ++i)
      out *= static_cast<double>(geometry.kernel[i]) * static_cast<double>(geometry.y[i]);
    return out;
  }
};

}  // namespace lucid::ops
