#pragma once
// Resizing of the spatial axes.

#include <optional>
#include <vector>

#include "lucid/tensor.hpp"

namespace lucid {

/// nearest: position floor(i * scale); nearest_exact: floor((i + 0.5) * scale); linear, bilinear, trilinear:
/// linear along each of one, two, three axes; area: means over windows, adaptive average pooling.
enum class InterpolateMode : std::uint8_t { nearest, nearest_exact, linear, bilinear, trilinear, area };

struct InterpolateOptions {
  std::vector<std::int64_t> size = {};    ///< of the result: one for all axes, or one for each
  std::vector<double> scale_factor = {};  ///< instead of `size`; the result's sizes are rounded down
  InterpolateMode mode = InterpolateMode::nearest;
  std::optional<bool> align_corners = {};  ///< linear modes: corner elements keep their places
  /// Positions follow from the sizes. Otherwise a given scale_factor is used as it is, even where it is not
  /// the ratio of the sizes.
  std::optional<bool> recompute_scale_factor = {};
};

/// input (N, C, spatial...) with one to three spatial axes, resized. Laid out like the input; differentiable
/// to any order. Throws Error on a mode that doesn't fit the rank and on a size below 1.
Tensor interpolate(const Tensor& input, const InterpolateOptions& options);

/// (..., C * r^2, H, W) to (..., C, H * r, W * r) with r = upscale_factor; the batch axis may be missing.
Tensor pixel_shuffle(const Tensor& input, std::int64_t upscale_factor);
/// Its inverse, with r = downscale_factor.
Tensor pixel_unshuffle(const Tensor& input, std::int64_t downscale_factor);
/// (..., C * r^3, D, H, W) to (..., C, D * r, H * r, W * r) with r = upscale_factor.
Tensor pixel_shuffle3d(const Tensor& input, std::int64_t upscale_factor);
/// Its inverse, with r = downscale_factor.
Tensor pixel_unshuffle3d(const Tensor& input, std::int64_t downscale_factor);

}  // namespace lucid
