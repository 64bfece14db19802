#pragma once
// Lines of a source, rearranged, that the lines of a result read while a thread walks from plane to plane.

#include <algorithm>
#include <vector>

#include "ops/direct/axis_runs.hpp"

namespace lucid::direct {

/// Some lines of as many planes as the taps along depth meet. Each plane is rearranged once for all planes of
/// the result that meet it.
template <class T>
class PlaneWindow {
 public:
  /// Of samples of `depth` planes; a rearranged line has `line` elements. `planes` are kept.
  PlaneWindow(std::int64_t depth, std::int64_t line, std::int64_t planes)
      : depth_(depth), line_(line), planes_(static_cast<std::size_t>(planes), -1) {}

  /// From now on these lines of each plane.
  void set_lines(Range lines) {
    if (lines.begin == lines_.begin && lines.end == lines_.end) return;
    lines_ = lines;
    std::ranges::fill(planes_, -1);
    data_.resize(planes_.size() * static_cast<std::size_t>(lines.size() * line_));
  }
  /// Makes sure that the planes that `taps` meet in a sample are there: fill(plane, line, to) writes a line,
  /// planes counted from the first sample's.
  template <class F>
  void load(std::int64_t sample, const std::vector<Tap>& taps, F&& fill) {
    const auto is_met = [&](std::int64_t plane) {
      return std::ranges::any_of(taps, [&](const Tap& tap) { return sample * depth_ + tap.source == plane; });
    };
    for (const Tap& tap : taps) {
      const std::int64_t plane = sample * depth_ + tap.source;
      if (std::ranges::count(planes_, plane) > 0) continue;
      const auto free = std::ranges::find_if_not(planes_, is_met);
      *free = plane;
      for (std::int64_t line = lines_.begin; line < lines_.end; ++line)
        fill(plane, line, data_.data() + offset(sample, tap.source, line));
    }
  }
  /// Of a line, which is there, from data().
  std::int64_t offset(std::int64_t sample, std::int64_t d, std::int64_t line) const {
    const std::int64_t slot = std::ranges::find(planes_, sample * depth_ + d) - planes_.begin();
    return (slot * lines_.size() + line - lines_.begin) * line_;
  }
  const T* data() const { return data_.data(); }

  /// Planes from the first that meets one of the result to the last; of far apart ones not many more than
  /// meet.
  static std::int64_t planes_at_once(const AxisMap& depth, bool transposed) {
    const std::int64_t reach = (depth.kernel - 1) * depth.dilation;
    return std::min(
        {(transposed ? reach / depth.stride : reach) + 1, 2 * depth.kernel, transposed ? depth.y : depth.x});
  }
  /// How many of the `lines` of a plane of the result one thread makes at a time: those whose window stays in
  /// a core's cache, and few enough for all threads to have work; parts of equal size. `step`: lines of the
  /// result for one of the source; `line`: elements of the window for one of the source; `planes`: of the
  /// result.
  static std::int64_t lines_at_once(std::int64_t lines, std::int64_t step, std::int64_t line,
                                    std::int64_t planes) {
    constexpr std::int64_t kCached = (1 << 18) / sizeof(T), kLeast = 8;
    const std::int64_t most = std::max(kLeast, kCached / std::max<std::int64_t>(1, line) * step);
    const std::int64_t fair = (4 * num_threads() + planes - 1) / planes;  // parts of a plane
    const std::int64_t parts =
        std::clamp<std::int64_t>(std::max(fair, (lines + most - 1) / most), 1, (lines + kLeast - 1) / kLeast);
    return (lines + parts - 1) / parts;
  }
  /// The lines of the source that meet `lines` of the result.
  static Range sources_of(const AxisTaps& heights, Range lines, std::vector<Tap>& taps) {
    Range out{};
    bool is_first = true;
    for (std::int64_t h = lines.begin; h < lines.end; ++h) {
      heights.list(h, taps);
      for (const Tap& tap : taps) {
        if (is_first) out = {tap.source, tap.source + 1};
        is_first = false;
        out = {std::min(out.begin, tap.source), std::max(out.end, tap.source + 1)};
      }
    }
    return out;
  }

 private:
  std::int64_t depth_, line_;
  Range lines_{0, 0};
  std::vector<std::int64_t> planes_;  // which plane each slot holds
  std::vector<T> data_;
};

}  // namespace lucid::direct
