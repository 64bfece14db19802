#pragma once
// Which positions of x and y meet at which kernel tap, for the direct convolutions.

#include <algorithm>
#include <utility>

#include "lucid/parallel.hpp"
#include "ops/conv_problem.hpp"
#include "ops/range.hpp"

namespace lucid::direct {

// Items of a loop that are worth a thread, when `work` multiplications are shared by `items`.
inline std::int64_t grain_of(double work, std::int64_t items) {
  constexpr double kWorthAThread = 1 << 16;
  return static_cast<std::int64_t>(kWorthAThread * static_cast<double>(items) / (work + 1.0)) + 1;
}

// The same when `elements` are copied, each of which takes as long as some multiplications.
inline std::int64_t grain_of_copies(std::int64_t elements, std::int64_t items) {
  constexpr double kMultiplications = 5;
  return grain_of(kMultiplications * static_cast<double>(elements), items);
}

// Lines of a target that are computed together, so that the weight is read less often from a distant cache:
// enough to keep it busy, few enough for all threads to have work.
inline std::int64_t lines_at_once(std::int64_t lines, std::int64_t voxels, std::int64_t planes) {
  constexpr std::int64_t kVoxels = 256;
  const std::int64_t fair = (lines * planes + 4 * num_threads() - 1) / (4 * num_threads());
  return std::clamp<std::int64_t>(kVoxels / std::max<std::int64_t>(voxels, 1), 1,
                                  std::max<std::int64_t>(1, std::min(lines, fair)));
}

using ops::Range;

/// The distance in elements of neighbours that are `positions` apart. Where it passes 64 bits no two lie
/// inside, and nothing goes that far.
inline std::int64_t step_of(std::int64_t positions, std::int64_t size) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(positions) * static_cast<std::uint64_t>(size));
}

// The i in [0, count) for which 0 <= i * stride + shift < size.
inline Range positions(std::int64_t count, std::int64_t stride, std::int64_t shift, std::int64_t size) {
  const std::int64_t begin = shift >= 0 ? 0 : (-shift - 1) / stride + 1;
  const std::int64_t room = size - 1 - shift;
  const std::int64_t end = room < 0 ? 0 : std::min(count, room / stride + 1);
  return {begin, end};
}

// The parts of `range` before and behind `inner`, which lies in it or is empty.
inline std::pair<Range, Range> without(Range range, Range inner) {
  if (inner.empty()) return {range, Range{}};
  return {{range.begin, inner.begin}, {inner.end, range.end}};
}

// One axis of the form: position i of y meets position i * stride + shift(k) of x at tap k.
struct AxisMap {
  std::int64_t stride, padding, dilation, x, kernel, y;
  AxisMap(const ops::ConvGeometry& g, std::size_t axis)
      : stride(g.stride[axis]),
        padding(g.padding[axis]),
        dilation(g.dilation[axis]),
        x(g.x[axis]),
        kernel(g.kernel[axis]),
        y(g.y[axis]) {}

  std::int64_t shift(std::int64_t k) const { return k * dilation - padding; }
  Range y_range(std::int64_t k) const { return positions(y, stride, shift(k), x); }
  /// The x position of i, or -1 when it lies outside.
  std::int64_t x_of(std::int64_t i, std::int64_t k) const {
    const std::int64_t at = i * stride + shift(k);
    return at >= 0 && at < x ? at : -1;
  }
  /// Neighbouring taps meet neighbouring positions of x.
  bool taps_are_neighbours() const { return dilation == 1 || kernel == 1; }
  /// The positions of y whose taps all lie inside x.
  Range common_range() const {
    Range out{0, y};
    for (std::int64_t k = 0; k < kernel; ++k) {
      const Range range = y_range(k);
      out = {std::max(out.begin, range.begin), std::min(out.end, range.end)};
    }
    return out.empty() ? Range{} : out;
  }
  /// The taps of y position i that lie inside x: neighbours, as they are `dilation` apart.
  Range taps_at(std::int64_t i) const { return positions(kernel, dilation, i * stride - padding, x); }
  /// The y position whose tap k lies at `at`, or -1 when there is none.
  std::int64_t y_of(std::int64_t at, std::int64_t k) const {
    const std::int64_t scaled = at - shift(k);
    if (scaled < 0 || scaled % stride != 0) return -1;
    return scaled / stride < y ? scaled / stride : -1;
  }
};

struct Maps {
  AxisMap d, h, w;
  explicit Maps(const ops::ConvGeometry& g) : d(g, 0), h(g, 1), w(g, 2) {}
  std::int64_t tap(std::int64_t kd, std::int64_t kh, std::int64_t kw) const {
    return (kd * h.kernel + kh) * w.kernel + kw;
  }
};

/// The convolution from y to x that a stride of 1 makes of pass x, by a kernel that is turned round. Its
/// padding may be negative.
inline ops::ConvProblem turned_round(ops::ConvProblem p) {
  std::swap(p.x_channels, p.y_channels);
  std::swap(p.geometry.x, p.geometry.y);
  for (std::size_t i = 0; i < 3; ++i)
    p.geometry.padding[i] = (p.geometry.kernel[i] - 1) * p.geometry.dilation[i] - p.geometry.padding[i];
  return p;
}

/// Whether the kernel is one tap that meets every voxel.
inline bool meets_every_voxel(const ops::ConvProblem& p) {
  const ops::ConvGeometry& g = p.geometry;
  for (std::size_t i = 0; i < 3; ++i)
    if (g.kernel[i] != 1 || g.stride[i] != 1 || g.padding[i] != 0 || g.x[i] != g.y[i]) return false;
  return true;
}

}  // namespace lucid::direct
