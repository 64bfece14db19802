#pragma once
// Where pooling windows lie along each axis, and the errors about them.

#include <array>
#include <optional>
#include <string_view>

#include "ops/kernels/axis_taps.hpp"
#include "ops/pool.hpp"

namespace lucid::ops {

/// Options of either pooling, brought to three axes: missing ones in front have kernel 1, stride 1, padding
/// 0.
struct Windows {
  std::array<std::int64_t, 3> kernel, stride, padding, dilation;
  bool ceil_mode = false;
};

template <std::size_t N>
std::array<std::int64_t, 3> on_three_axes(const Dims<N>& values, std::int64_t otherwise) {
  std::array<std::int64_t, 3> out;
  out.fill(otherwise);
  for (std::size_t i = 0; i < N; ++i) out[3 - N + i] = values[i];
  return out;
}

/// Throws Error when an axis whose positions read `count` elements in all is too large to list: 2^26 of them
/// take a gigabyte.
void require_listable(std::string_view op, std::size_t axis, std::int64_t count);

/// Number of windows on each axis of `volume` (N, C, D, H, W). Throws Error on arguments that don't fit.
Shape pooled_shape(std::string_view op, const Tensor& volume, const Windows& windows);

/// The input positions that each window reads; weights are 1.
kernels::SpatialTaps window_taps(const Tensor& volume, const Windows& windows, const Shape& out);

struct AvgDivisor {
  bool count_include_pad = true;
  std::optional<std::int64_t> fixed;
};
/// The same for averages: the weights of the three axes multiply to one over the divisor.
kernels::SpatialTaps average_taps(const Tensor& volume, const Windows& windows, const Shape& out,
                                  const AvgDivisor& divisor);

/// Shape (N, C, D, H, W) of an adaptive pooling of `volume`. `sizes` belong to the last axes.
Shape adaptive_shape(std::string_view op, const Tensor& volume,
                     std::span<const std::optional<std::int64_t>> sizes);
/// Windows of adaptive pooling; with weights of an average.
kernels::SpatialTaps adaptive_taps(const Tensor& volume, const Shape& out);

}  // namespace lucid::ops
