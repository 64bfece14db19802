#pragma once
// Layers that change the spatial sizes without parameters.

#include <string>
#include <vector>

#include "nn/module.hpp"
#include "ops/interpolate.hpp"

namespace lucid::nn {

/// Resizes the spatial axes; the options are those of interpolate(): `nn::Upsample up({.scale_factor = {2},
/// .mode = InterpolateMode::trilinear});`. Throws Error unless exactly one of size and scale_factor is given.
struct Upsample : Module {
  explicit Upsample(const InterpolateOptions& options);
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  InterpolateOptions options;
};

/// As in InterpolateOptions: exactly one is given.
struct UpsamplingOptions {
  std::vector<std::int64_t> size = {};
  std::vector<double> scale_factor = {};
};

/// Upsample with the nearest element.
struct UpsamplingNearest2d : Upsample {
  explicit UpsamplingNearest2d(const UpsamplingOptions& options);
};

/// Upsample of (N, C, H, W), linear along H and W, with corners that keep their places (align_corners).
struct UpsamplingBilinear2d : Upsample {
  explicit UpsamplingBilinear2d(const UpsamplingOptions& options);
};

namespace detail {
/// What pixel shuffles share: the factor, at least 1, and its name in the text. `name` is the layer's.
struct ShuffleLayer : Module {
  ShuffleLayer(std::string_view name, const char* factor_name, std::int64_t factor);
  std::string extra_repr() const override;

 protected:
  std::int64_t factor_;

 private:
  const char* factor_name_;
};
}  // namespace detail

/// (N, C * r^2, H, W) to (N, C, H * r, W * r) with r = upscale_factor; throws Error when it is below 1.
struct PixelShuffle : detail::ShuffleLayer {
  explicit PixelShuffle(std::int64_t upscale_factor)
      : ShuffleLayer("PixelShuffle", "upscale_factor", upscale_factor) {}
  Tensor operator()(const Tensor& input) const;
};

/// Its inverse, with r = downscale_factor.
struct PixelUnshuffle : detail::ShuffleLayer {
  explicit PixelUnshuffle(std::int64_t downscale_factor)
      : ShuffleLayer("PixelUnshuffle", "downscale_factor", downscale_factor) {}
  Tensor operator()(const Tensor& input) const;
};

/// (N, C * r^3, D, H, W) to (N, C, D * r, H * r, W * r) with r = upscale_factor.
struct PixelShuffle3d : detail::ShuffleLayer {
  explicit PixelShuffle3d(std::int64_t upscale_factor)
      : ShuffleLayer("PixelShuffle3d", "upscale_factor", upscale_factor) {}
  Tensor operator()(const Tensor& input) const;
};

/// Its inverse, with r = downscale_factor.
struct PixelUnshuffle3d : detail::ShuffleLayer {
  explicit PixelUnshuffle3d(std::int64_t downscale_factor)
      : ShuffleLayer("PixelUnshuffle3d", "downscale_factor", downscale_factor) {}
  Tensor operator()(const Tensor& input) const;
};

}  // namespace lucid::nn
