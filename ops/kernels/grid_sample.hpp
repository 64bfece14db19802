#pragma once
// Reading a volume at the places of a grid, and the adjoint: adding to a volume at those places.

#include <array>

#include "ops/grid_sample.hpp"

namespace lucid::kernels {

struct GridSampling {
  GridSampleMode mode;
  GridPaddingMode padding;
  bool align_corners;
  /// Of the derivative with respect to x, y, z that is taken of every weight; 0, 0, 0: the values themselves.
  std::array<int, 3> order = {};
};

/// input (N, C, D, H, W) at the places grid (N, D', H', W', 2 or 3): (N, C, D', H', W'), laid out like input.
/// Two coordinates leave D alone, whose size is 1. Not recorded.
Tensor grid_sample(const Tensor& input, const Tensor& grid, const GridSampling& sampling);

/// The adjoint in `input`: a volume of `shape` to which grad (N, C, D', H', W') is added at grid's places;
/// laid out like `grad`. Sums are kept in double, in an order that no number of threads changes.
Tensor grid_sample_adjoint(const Tensor& grad, const Tensor& grid, const Shape& shape,
                           const GridSampling& sampling);

/// The gradient with respect to the grid: of the grid's shape; float32 where the grid is bfloat16.
Tensor grid_sample_slope(const Tensor& grad, const Tensor& input, const Tensor& grid,
                         const GridSampling& sampling);

}  // namespace lucid::kernels
