#pragma once
// Which taps reach the positions of a convolution's result, and runs of positions that the same taps reach.

#include <algorithm>
#include <vector>

#include "ops/direct/conv_maps.hpp"

namespace lucid::direct {

/// A tap that reaches a position of the result, and the position of the source that it multiplies.
struct Tap {
  std::int64_t tap, source;
};

/// The taps of the result's positions along one axis.
class AxisTaps {
 public:
  /// The result is y, or x where `transposed`.
  AxisTaps(const AxisMap& map, bool transposed) : map_(map), transposed_(transposed) {}
  std::int64_t count() const { return transposed_ ? map_.x : map_.y; }
  /// Positions that lie so far apart are reached by the same taps, but for the border.
  std::int64_t period() const {
    return transposed_ ? std::min(map_.stride, std::max<std::int64_t>(count(), 1)) : 1;
  }
  /// The taps of one position, in ascending order.
  void list(std::int64_t at, std::vector<Tap>& out) const;

 private:
  AxisMap map_;
  bool transposed_;
};

/// Positions first, first + step, ... with the same taps, whose sources lie `source_step` apart.
struct Run {
  std::int64_t first, count, step, source_step;
};

/// All positions of an axis, in runs.
std::vector<Run> runs_of(const AxisTaps& taps);

}  // namespace lucid::direct
