#pragma once
// Where a coordinate of a grid falls along one axis, which elements it reads there and with what weights.
// The formulas follow PyTorch 1.13 (aten/src/ATen/native/GridSampler.h), computed in double throughout.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "ops/grid_sample.hpp"

namespace lucid::kernels::grid {

inline constexpr int kMostPlaces = 4;  // elements that one axis reads: bicubic

/// The elements that one coordinate reads along one axis.
struct Place {
  int count = 0;
  std::int64_t index[kMostPlaces];  // -1: a zero
  double t = 0;                     // position - floor(position)
  double factor = 0;                // d position / d coordinate; 0 where padding holds the position
};

/// Coefficients of 1, t, t^2, t^3 in the weights of the elements floor - 1 ... floor + 2: R. Keys, "Cubic
/// convolution interpolation for digital image processing", 1981, with a = -0.75.
inline constexpr double kKeys = -0.75;
inline constexpr double kCubic[4][4] = {{0, kKeys, -2 * kKeys, kKeys},
                                        {1, 0, -(kKeys + 3), kKeys + 2},
                                        {0, -kKeys, 2 * kKeys + 3, -(kKeys + 2)},
                                        {0, 0, kKeys, -kKeys}};

struct GridAxis {
  std::int64_t size = 1;
  GridSampleMode mode = GridSampleMode::nearest;
  GridPaddingMode padding = GridPaddingMode::zeros;
  bool align_corners = false;

  [[gnu::always_inline]] Place locate(double coordinate) const {
    const auto n = static_cast<double>(size);
    const double position = align_corners ? (coordinate + 1) / 2 * (n - 1) : ((coordinate + 1) * n - 1) / 2;
    Place place;
    place.factor = (align_corners ? n - 1 : n) / 2;
    if (mode == GridSampleMode::bicubic)
      read_cubic(place, position);
    else
      read_linear(place, position);
    return place;
  }

  /// The `order`th derivative of each weight with respect to the coordinate, into weights[0 ... count).
  [[gnu::always_inline]] void weigh(const Place& place, int order, double* weights) const {
    if (mode == GridSampleMode::bilinear) {
      weights[0] = order == 0 ? 1 - place.t : order == 1 ? -place.factor : 0;
      weights[1] = order == 0 ? place.t : order == 1 ? place.factor : 0;
    } else if (mode == GridSampleMode::nearest) {
      weights[0] = order == 0 ? 1 : 0;
    } else {
      double scale = 1;
      for (int i = 0; i < order; ++i) scale *= place.factor;
      for (int k = 0; k < kMostPlaces; ++k) weights[k] = scale * cubic(kCubic[k], order, place.t);
    }
  }

 private:
  // The `order`th derivative of a cubic polynomial.
  static double cubic(const double* coefficients, int order, double t) {
    double value = 0;
    for (int power = 3; power >= order; --power) {
      double c = coefficients[power];
      for (int i = 0; i < order; ++i) c *= power - i;
      value = value * t + c;
    }
    return value;
  }

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

  [[gnu::always_inline]] void read_linear(Place& place, double position) const {
    if (padding != GridPaddingMode::zeros)
      position = padded(position, place.factor);
    else if (!(position > -1 && position <= last() + 1))
      return;
    if (mode == GridSampleMode::nearest) {
      place.count = 1;
      place.index[0] = within(static_cast<std::int64_t>(std::nearbyint(position)));
      return;
    }
    const double low = std::floor(position);
    place.t = position - low;
    place.count = 2;
    place.index[0] = within(static_cast<std::int64_t>(low));
    place.index[1] = within(static_cast<std::int64_t>(low) + 1);
  }

  // Here padding holds for each element read, not for the position, which may lie outside.
  void read_cubic(Place& place, double position) const {
    const double first = -3, end = last() + 3;  // all four elements lie on one side beyond these
    if (padding == GridPaddingMode::zeros) {
      if (!(position > first && position < end)) return;
    } else if (padding == GridPaddingMode::border) {
      if (!(position > first && position < end)) {
        position = position >= end ? end : position <= first ? first : 0;
        place.factor = 0;
      }
    } else if (!std::isfinite(position)) {
      position = place.factor = 0;
    }
    const double low = std::floor(position);
    place.t = position - low;
    place.count = kMostPlaces;
    for (int k = 0; k < kMostPlaces; ++k) {
      double at = low - 1 + k, unused = 0;
      if (padding != GridPaddingMode::zeros) at = padded(at, unused);
      place.index[k] = within(static_cast<std::int64_t>(at));
    }
  }
};

}  // namespace lucid::kernels::grid
