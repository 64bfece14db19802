#pragma once
// Values of an image or a volume at given places, and grids of places made by affine maps.

#include <optional>

#include "lucid/tensor.hpp"

namespace lucid {

/// bilinear: linear along each axis, trilinear for a volume; nearest: the element at the place rounded to
/// integers, halves to even in images and away from 0 in volumes, as PyTorch does; bicubic: cubic convolution
/// with a = -0.75, images only.
enum class GridSampleMode : std::uint8_t { bilinear, nearest, bicubic };

/// What lies outside: zeros; the nearest element of the edge; the input mirrored at its corners (the centres
/// of the corner elements with align_corners, else their outer edges).
enum class GridPaddingMode : std::uint8_t { zeros, border, reflection };

struct GridSampleOptions {
  GridSampleMode mode = GridSampleMode::bilinear;
  GridPaddingMode padding_mode = GridPaddingMode::zeros;
  /// -1 and 1 are the centres of the corner elements; else their outer edges. Empty: false.
  std::optional<bool> align_corners = {};
};

/// input (N, C, H, W) read at the places grid (N, H', W', 2) holds as (x, y): (N, C, H', W'); or input
/// (N, C, D, H, W) at grid (N, D', H', W', 3) of (x, y, z): (N, C, D', H', W'). Coordinates run from -1 to 1
/// along W, H, D. The result has input's type and layout. Differentiable to any order with respect to both;
/// under `nearest` the grid's gradient is 0. The gradient of input is the same for any number of threads.
///
/// Any coordinate is safe. One that is NaN or infinite lies outside under zeros; under border NaN is read as
/// -1 and an infinite one at its end; under reflection both are read as -1. Throws Error on shapes that don't
/// fit, an input without elements per channel, bicubic volumes, and types that differ (a bfloat16 input takes
/// a float32 grid too, since bfloat16 tells only 256 places apart).
Tensor grid_sample(const Tensor& input, const Tensor& grid, const GridSampleOptions& options = {});

/// The places of an output of `size` (N, C, H, W) or (N, C, D, H, W) under the affine maps theta, (N, 2, 3)
/// or (N, 3, 4): (N, H, W, 2) of (x, y) or (N, D, H, W, 3) of (x, y, z), as grid_sample takes them. Throws
/// Error on shapes that don't fit and on spatial sizes below 1.
Tensor affine_grid(const Tensor& theta, const Shape& size, std::optional<bool> align_corners = {});

}  // namespace lucid
