// The weight gradient of depthwise convolutions: the sums of neighbouring taps along a row are held in
// registers, so that y is read once for them.

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <vector>

#include "ops/direct/conv_maps.hpp"
#include "ops/direct/depthwise.hpp"
#include "ops/direct/depthwise_window.hpp"
#include "ops/direct/rows.hpp"

namespace lucid::direct {
namespace {

// Rows of x and of y, x_row and y_row elements apart, that meet at one (kd, kh), and the first of the
// neighbouring taps.
template <class T>
struct Meeting {
  const T* x;
  const T* y;
  std::int64_t tap;
  std::int64_t rows, x_row, y_row;
  Meeting from_channel(std::int64_t c) const { return {x + c, y + c, tap, rows, x_row, y_row}; }
};

// sums[k * sums_row + lane] += sum over y positions of x[at of tap + k] * y, for K taps and V registers of
// channels.
template <int Bytes, int K, int V, class T>
[[gnu::always_inline]] inline void add_taps(const Meeting<T>& m, const AxisMap& map, Range range,
                                            std::int64_t channels, T* sums, std::int64_t sums_row) {
  typedef T Lanes __attribute__((vector_size(Bytes)));
  constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(T));
  if (range.empty()) return;
  const auto load = [](Lanes& to, const T* from) { std::memcpy(&to, from, sizeof(Lanes)); };
  Lanes parts[K][V];
#pragma GCC unroll 4  // else they lie in memory
  for (int k = 0; k < K; ++k)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) load(parts[k][v], sums + k * sums_row + v * lanes);
  const std::int64_t tap_step = step_of(map.dilation, channels), step = step_of(map.stride, channels);
  const T* x = m.x + (range.begin * map.stride + map.shift(m.tap)) * channels;
  const T* y = m.y + range.begin * channels;
  const std::int64_t next_x = m.x_row - range.size() * step, next_y = m.y_row - range.size() * channels;
  std::int64_t rows = m.rows;
  for (std::int64_t left = range.size();;) {
    Lanes a, b[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) load(b[v], y + v * lanes);
#pragma GCC unroll 4
    for (int k = 0; k < K; ++k)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) {
        load(a, x + k * tap_step + v * lanes);
        parts[k][v] += a * b[v];
      }
    x += step, y += channels;
    if (--left == 0) [[unlikely]] {
      if (--rows == 0) break;
      left = range.size(), x += next_x, y += next_y;
    }
  }
#pragma GCC unroll 4
  for (int k = 0; k < K; ++k)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) std::memcpy(sums + k * sums_row + v * lanes, &parts[k][v], sizeof(Lanes));
}

// Taps m.tap to m.tap + count of `width` channels: what they have in common together, the ends one by one.
struct AddMeeting {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const Meeting<T>& m, const AxisMap& map, std::int64_t count,
                                         Range common, std::int64_t channels, std::int64_t width, T* sums) {
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(T));
    std::int64_t c = 0;
    for (; c + 2 * lanes <= width; c += 2 * lanes)
      registers<Bytes, 2>(m.from_channel(c), map, count, common, channels, sums + c, width);
    add_rest<Bytes>(m, map, count, common, channels, c, width, sums);
  }

 private:
  // Channels from c on, fewer than two registers: one, and for what is left one of half the size.
  template <int Bytes, class T>
  [[gnu::always_inline]] static void add_rest(const Meeting<T>& m, const AxisMap& map, std::int64_t count,
                                              Range common, std::int64_t channels, std::int64_t c,
                                              std::int64_t width, T* sums) {
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(T));
    if (c + lanes <= width) {
      registers<Bytes, 1>(m.from_channel(c), map, count, common, channels, sums + c, width);
      c += lanes;
    }
    if constexpr (lanes > 1)
      if (c < width) add_rest<Bytes / 2>(m, map, count, common, channels, c, width, sums);
  }

  template <int Bytes, int V, class T>
  [[gnu::always_inline]] static void registers(Meeting<T> at, const AxisMap& map, std::int64_t count,
                                               Range common, std::int64_t channels, T* sums,
                                               std::int64_t sums_row) {
    switch (count) {
      case 4: add_taps<Bytes, 4, V>(at, map, common, channels, sums, sums_row); break;
      case 3: add_taps<Bytes, 3, V>(at, map, common, channels, sums, sums_row); break;
      case 2: add_taps<Bytes, 2, V>(at, map, common, channels, sums, sums_row); break;
      default: add_taps<Bytes, 1, V>(at, map, common, channels, sums, sums_row);
    }
    for (const std::int64_t end = at.tap + count; at.tap < end; ++at.tap, sums += sums_row) {
      const auto [before, after] = without(map.y_range(at.tap), common);
      add_taps<Bytes, 1, V>(at, map, before, channels, sums, sums_row);
      add_taps<Bytes, 1, V>(at, map, after, channels, sums, sums_row);
    }
  }
};

constexpr std::int64_t kTogether = 4;  // taps

// The sums [tap][channel] over lines of y for some channels: each line meets all taps, so that x and y are
// read from memory once. Some thousand products are summed in T, then added in double.
template <class T>
class DepthwiseShare {
 public:
  DepthwiseShare(const ConvProblem& p, const T* x, const T* y, Range channels)
      : maps_(p.geometry), x_(x), y_(y), row_(p.geometry.groups), channels_(channels) {
    sums_.resize(static_cast<std::size_t>(p.taps() * channels.size()));
    totals_.resize(sums_.size());
    for (std::int64_t kw = 0; kw < maps_.w.kernel; kw += kTogether) {
      Range common = maps_.w.y_range(kw);
      for (std::int64_t k = kw + 1; k < std::min(kw + kTogether, maps_.w.kernel); ++k) {
        const Range range = maps_.w.y_range(k);
        common = {std::max(common.begin, range.begin), std::min(common.end, range.end)};
      }
      common_.push_back(common.empty() ? Range{} : common);
    }
  }

  /// Adds lines [begin, end) of all lines (n, d, h) of y.
  void add(std::int64_t begin, std::int64_t end) {
    constexpr std::int64_t kSummedInT = 4096;
    // Short lines are added together, so that the sums of three taps and more are loaded once, as long as the
    // first-level cache holds y's.
    constexpr std::int64_t kLines = 4, kVoxels = 64, kElements = 4096, kLeastTaps = 3;
    const std::int64_t fits = std::min(kVoxels, kElements / channels_.size()) / maps_.w.y;
    const std::int64_t at_once = maps_.w.kernel < kLeastTaps ? 1 : std::clamp<std::int64_t>(fits, 1, kLines);
    std::int64_t voxels = 0;
    for (std::int64_t line = begin; line < end;) {
      const std::int64_t count = std::min({at_once, maps_.h.y - line % maps_.h.y, end - line});
      add_lines(line, count);
      line += count;
      voxels += count * maps_.w.y;
      if (voxels > kSummedInT || line == end) {
        flush();
        voxels = 0;
      }
    }
  }
  double total(std::int64_t tap, std::int64_t channel) const {
    return totals_[static_cast<std::size_t>(tap * channels_.size() + channel - channels_.begin)];
  }

 private:
  // `count` lines of one plane.
  void add_lines(std::int64_t line, std::int64_t count) {
    const std::int64_t h = line % maps_.h.y, d = line / maps_.h.y % maps_.d.y,
                       n = line / maps_.h.y / maps_.d.y;
    const std::int64_t x_line = maps_.w.x * row_, y_line = maps_.w.y * row_;
    for (std::int64_t kd = 0; kd < maps_.d.kernel; ++kd) {
      const std::int64_t xd = maps_.d.x_of(d, kd);
      for (std::int64_t kh = 0; kh < maps_.h.kernel && xd >= 0; ++kh) {
        const Range inside = maps_.h.y_range(kh);
        const Range lines{std::max(inside.begin, h), std::min(inside.end, h + count)};
        if (lines.empty()) continue;
        const std::int64_t xh = maps_.h.x_of(lines.begin, kh);
        const T* const x = x_ + ((n * maps_.d.x + xd) * maps_.h.x + xh) * x_line + channels_.begin;
        const T* const y = y_ + (line + lines.begin - h) * y_line + channels_.begin;
        for (std::int64_t kw = 0; kw < maps_.w.kernel; kw += kTogether)
          run_for_registers<AddMeeting>(
              Meeting<T>{x, y, kw, lines.size(), step_of(maps_.h.stride, x_line), y_line}, maps_.w,
              std::min(kTogether, maps_.w.kernel - kw), common_[static_cast<std::size_t>(kw / kTogether)],
              row_, channels_.size(), sums_.data() + maps_.tap(kd, kh, kw) * channels_.size());
      }
    }
  }
  void flush() {
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      totals_[i] += static_cast<double>(sums_[i]);
      sums_[i] = T(0);
    }
  }

  Maps maps_;
  const T* x_;
  const T* y_;
  std::int64_t row_;
  Range channels_;
  std::vector<Range> common_;  // of each chunk of taps along W: positions of y that meet all of them
  std::vector<T> sums_;
  std::vector<double> totals_;
};

template <class T>
void run(const ConvProblem& p, const Tensor& input, const Tensor& grad, const Tensor& out) {
  constexpr std::int64_t kCachedSums = 1 << 13;
  const std::int64_t channels = p.geometry.groups, taps = p.taps();
  const std::int64_t most = std::max(kLanes<T>, kCachedSums / taps / kLanes<T> * kLanes<T>);
  // Blocks of channels whose sums stay in the first-level cache, of equal size.
  const std::int64_t least = (channels + most - 1) / most;
  const std::int64_t width = padded_to_lanes((channels + least - 1) / least, kLanes<T>);
  const std::int64_t blocks = (channels + width - 1) / width;
  const std::int64_t lines = p.batch * p.geometry.y[0] * p.geometry.y[1];
  constexpr double kWorthAThread = 1 << 16;
  const auto threads =
      static_cast<std::int64_t>(std::min<double>(num_threads(), 1 + p.work() / kWorthAThread));
  const std::int64_t parts = std::min(lines, threads / std::gcd(blocks, threads));
  std::vector<std::optional<DepthwiseShare<T>>> shares(static_cast<std::size_t>(blocks * parts));
  parallel_for(blocks * parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t first = i / parts * width, part = i % parts;
      auto& share = shares[static_cast<std::size_t>(i)];
      share.emplace(p, input.data<T>(), grad.data<T>(), Range{first, std::min(first + width, channels)});
      share->add(lines * part / parts, lines * (part + 1) / parts);
    }
  });
  T* const w = out.data_to_write<T>();
  const Strides& s = out.strides();
  const Dims3& kernel = p.geometry.kernel;
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      double total = 0;
      for (std::int64_t part = 0; part < parts; ++part)
        total += shares[static_cast<std::size_t>(c / width * parts + part)]->total(tap, c);
      w[c * s[0] + tap / kernel[2] / kernel[1] * s[2] + tap / kernel[2] % kernel[1] * s[3] +
        tap % kernel[2] * s[4]] = static_cast<T>(total);
    }
}

}  // namespace

void depthwise_weight_grad(const ConvProblem& p, const Tensor& x, const Tensor& y, const Tensor& out) {
  if (out.dtype() == f32 && has_depthwise_window(p)) return depthwise_window_weight_grad(p, x, y, out);
  out.dtype() == f64 ? run<double>(p, x, y, out) : run<float>(p, x, y, out);
}

}  // namespace lucid::direct
