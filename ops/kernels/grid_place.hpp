#pragma once
// Where a coordinate of a grid falls along one axis, which elements it reads there and with what weights.
// The formulas follow PyTorch 1.13 (aten/src/ATen/native/GridSampler.h), computed in double throughout.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "ops/grid_sample.hpp"

namespace lucid::kernels::grid {

/// Elements that one coordinate reads along one axis.
constexpr int reads_of(GridSampleMode mode) {
  return mode == GridSampleMode::nearest ? 1 : mode == GridSampleMode::bilinear ? 2 : 4;
}

template <GridSampleMode kMode>
struct Place {
  std::int64_t index[reads_of(kMode)];  // -1: a zero
  double t = 0;                         // position - floor(position)
  double factor = 0;                    // d position / d coordinate; 0 where padding holds the position
};

/// Coefficients of 1, t, t^2, t^3 in the weights of the elements floor - 1 ... floor + 2: R. Keys, "Cubic
/// convolution interpolation for digital image processing", 1981, with a = -0.75.
inline constexpr double kKeys = -0.75;
inline constexpr double kCubic[4][4] = {{0, kKeys, -2 * kKeys, kKeys},
                                        {1, 0, -(kKeys + 3), kKeys + 2},
                                        {0, -kKeys, 2 * kKeys + 3, -(kKeys + 2)},
                                        {0, 0, kKeys, -kKeys}};

/// The `order`th derivative of a cubic polynomial.
inline double cubic_at(const double* coefficients, int order, double t) {
  double value = 0;
  for (int power = 3; power >= order; --power) {
    double c = coefficients[power];
    for (int i = 0; i < order; ++i) c *= power - i;
    value = value * t + c;
  }
  return value;
}

/// The `order`th derivative of each element's weight with respect to the coordinate.
template <GridSampleMode kMode>
[[gnu::always_inline]] inline void weigh(const Place<kMode>& place, int order, double* weights) {
  if constexpr (kMode == GridSampleMode::nearest) {
    weights[0] = order == 0 ? 1 : 0;
  } else if constexpr (kMode == GridSampleMode::bilinear) {
    weights[0] = order == 0 ? 1 - place.t : order == 1 ? -place.factor : 0;
    weights[1] = order == 0 ? place.t : order == 1 ? place.factor : 0;
  } else {
    double scale = 1;
    for (int i = 0; i < order; ++i) scale *= place.factor;
    for (int k = 0; k < 4; ++k) weights[k] = scale * cubic_at(kCubic[k], order, place.t);
  }
}

struct GridAxis {
  std::int64_t size = 1;
  GridPaddingMode padding = GridPaddingMode::zeros;
  bool align_corners = false;
  /// nearest: halves are rounded away from 0, as PyTorch does for volumes; else to even, as for images.
  bool halves_away = false;

  template <GridSampleMode kMode>
  [[gnu::always_inline]] Place<kMode> locate(double coordinate) const {
    const auto n = static_cast<double>(size);
    const double position = align_corners ? (coordinate + 1) / 2 * (n - 1) : ((coordinate + 1) * n - 1) / 2;
    Place<kMode> place;
    place.factor = (align_corners ? n - 1 : n) / 2;
    read(place, position);
    return place;
  }

 private:
  double last() const { return static_cast<double>(size - 1); }

  // A comparison with NaN is false: NaN becomes 0.
  [[gnu::always_inline]] double clipped(double position, double& factor) const {
    if (position > 0 && position < last()) return position;
    factor = 0;
    return position >= last() ? last() : 0;
  }

  double reflected(double position, double& factor) const {
    const double low = align_corners ? 0 : -0.5, span = align_corners ? last() : last() + 1;
    if (!std::isfinite(position) || span == 0) return clipped(0, factor);
    double from = position - low;
    if (from < 0) {
      from = -from;
      factor = -factor;
    }
    if (from > span) from = std::fmod(from, 2 * span);
    if (from > span) {
      from = 2 * span - from;
      factor = -factor;
    }
    return clipped(from + low, factor);
  }

  [[gnu::always_inline]] double padded(double position, double& factor) const {
    return padding == GridPaddingMode::border ? clipped(position, factor) : reflected(position, factor);
  }

  std::int64_t within(std::int64_t index) const { return index >= 0 && index < size ? index : -1; }

  // A position under padding, or one from which something is read.
  template <GridSampleMode kMode>
  [[gnu::always_inline]] bool enter(Place<kMode>& place, double& position) const {
    if (padding == GridPaddingMode::zeros) return position > -1 && position <= last() + 1;
    position = padded(position, place.factor);
    return true;
  }

  [[gnu::always_inline]] void read(Place<GridSampleMode::nearest>& place, double position) const {
    place.index[0] = -1;
    if (!enter(place, position)) return;
    const double rounded = halves_away ? std::round(position) : std::nearbyint(position);
    place.index[0] = within(static_cast<std::int64_t>(rounded));
  }

  [[gnu::always_inline]] void read(Place<GridSampleMode::bilinear>& place, double position) const {
    place.index[0] = place.index[1] = -1;
    if (!enter(place, position)) return;
    const double low = std::floor(position);
    place.t = position - low;
    place.index[0] = within(static_cast<std::int64_t>(low));
    place.index[1] = within(static_cast<std::int64_t>(low) + 1);
  }

  // Here padding holds for each element read, not for the position, which may lie outside.
  void read(Place<GridSampleMode::bicubic>& place, double position) const {
    const double first = -3, end = last() + 3;  // all four elements lie on one side beyond these
    const bool near = position > first && position < end;
    if (padding == GridPaddingMode::border && !near) {
      position = position >= end ? end : position <= first ? first : 0;
      place.factor = 0;
    } else if (padding == GridPaddingMode::reflection && !std::isfinite(position)) {
      position = place.factor = 0;
    }
    const double low = std::floor(position);
    const bool reads = near || padding != GridPaddingMode::zeros;
    if (reads) place.t = position - low;
    for (int k = 0; k < 4; ++k) {
      double at = low - 1 + k, unused = 0;
      if (padding != GridPaddingMode::zeros) at = padded(at, unused);
      place.index[k] = reads ? within(static_cast<std::int64_t>(at)) : -1;
    }
  }
};

}  // namespace lucid::kernels::grid
