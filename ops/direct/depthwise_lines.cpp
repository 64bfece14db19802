#include "ops/direct/depthwise_lines.hpp"

#include <algorithm>
#include <cstring>

#include "lucid/cpu.hpp"

namespace lucid::direct {
namespace {

constexpr std::int64_t kAhead = 24;  // voxels, that are fetched from memory meanwhile; of the next line too

// `count` voxels of so many channels, that lie `step` apart.
struct PackVoxels {
  template <int Bytes>
  [[gnu::always_inline]] static void run(const float* from, std::int64_t channels, std::int64_t step,
                                         std::int64_t count, float* to, std::int64_t register_step) {
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(float));
    const std::int64_t whole = channels / lanes * lanes;
    for (std::int64_t i = 0; i < count; ++i, from += step, to += lanes) {
      float* at = to;
      for (std::int64_t c = 0; c < channels; c += kLanes<float>) __builtin_prefetch(from + kAhead * step + c);
      for (std::int64_t c = 0; c < whole; c += lanes, at += register_step) std::memcpy(at, from + c, Bytes);
      if (whole < channels) {
        std::copy(from + whole, from + channels, at);
        std::fill(at + channels - whole, at + lanes, 0.0F);
      }
    }
  }
};

}  // namespace

void DepthwiseLines::pack(const float* from, std::int64_t first, float* to) const {
  const std::int64_t lanes = register_lanes<float>(), count = channels_from(first), step = register_step();
  run_for_registers<PackVoxels>(from + first, count, channels, size, to + margin * lanes, step);
  for (std::int64_t c = 0; c < count; c += lanes, to += step) {
    std::fill_n(to, margin * lanes, 0.0F);
    std::fill(to + (margin + size) * lanes, to + step, 0.0F);
  }
}

DepthwiseLines lines_of_x(const ops::ConvProblem& p) {
  constexpr std::int64_t kCached = (1 << 18) / sizeof(float), kLines = 8, kUnit = kLanes<float>;
  const Maps maps(p.geometry);
  const AxisMap &h = maps.h, &w = maps.w;
  const std::int64_t margin = std::max<std::int64_t>(0, w.padding),
                     voxels = margin + std::max(w.x, padded_voxels(p) + w.shift(w.kernel - 1));
  const std::int64_t planes = PlaneWindow<float>::planes_at_once(maps.d, false),
                     lines = std::min(h.x, kLines + std::min((h.kernel - 1) * h.dilation, h.x));
  const std::int64_t most = std::max<std::int64_t>(1, kCached / (planes * lines * voxels * kUnit)),
                     units = (p.geometry.groups + kUnit - 1) / kUnit, parts = (units + most - 1) / most;
  return {margin, voxels, w.x, p.geometry.groups, (units + parts - 1) / parts * kUnit};
}

}  // namespace lucid::direct
