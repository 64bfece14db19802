#include "ops/direct/axis_runs.hpp"

#include <algorithm>

namespace lucid::direct {

void AxisTaps::list(std::int64_t at, std::vector<Tap>& out) const {
  out.clear();
  const Range taps = transposed_ ? Range{0, map_.kernel} : map_.taps_at(at);
  // Taps that meet a voxel of x lie a stride apart, where neighbours do.
  const bool strides = transposed_ && map_.dilation == 1;
  const std::int64_t step = strides ? std::min(map_.stride, map_.kernel) : 1;  // to the end, if not to a tap
  for (std::int64_t k = strides ? (at + map_.padding) % map_.stride : taps.begin; k < taps.end; k += step)
    if (const std::int64_t source = transposed_ ? map_.y_of(at, k) : map_.x_of(at, k); source >= 0)
      out.push_back({k, source});
}

std::vector<Run> runs_of(const AxisTaps& taps) {
  std::vector<Run> out;
  std::vector<Tap> here, next;
  const std::int64_t period = taps.period();
  for (std::int64_t phase = 0; phase < std::min(period, taps.count()); ++phase) {
    taps.list(phase, here);
    for (std::int64_t at = phase; at < taps.count();) {
      Run run{at, 1, period, 0};
      for (at += period; at < taps.count(); at += period, ++run.count) {
        taps.list(at, next);
        const std::int64_t step =
            next.empty() || here.empty() ? 0 : next.front().source - here.front().source;
        if (run.count == 1) run.source_step = step;
        const bool follows =
            step == run.source_step && std::ranges::equal(here, next, [&](const Tap& a, const Tap& b) {
              return a.tap == b.tap && b.source - a.source == step;
            });
        here.swap(next);
        if (!follows) break;
      }
      out.push_back(run);
    }
  }
  return out;
}

}  // namespace lucid::direct
