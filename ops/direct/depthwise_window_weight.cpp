// The weight gradient of depthwise convolutions by packed lines: all taps of a line are summed in registers
// over some lines of y, each load of y for all of them.

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "lucid/cpu.hpp"
#include "ops/direct/depthwise_lines.hpp"
#include "ops/direct/depthwise_window.hpp"
#include "ops/kernels/lanes.hpp"

namespace lucid::direct {
namespace {

using ops::ConvProblem;

// Lines of y and those of x that they meet at a line of taps, from the voxel that the first one meets on; and
// where the gradients of its taps are summed, for the same channels.
struct LineProducts {
  const float *x, *y;
  std::int64_t x_line, y_line, lines;  // from one line to the next
  std::int64_t x_register, y_register;
  std::int64_t voxels, channels;  // voxels: even
  double* sums;
  std::int64_t tap_step;
};

template <int Bytes, int Taps>
[[gnu::always_inline]] inline void add_register(const LineProducts& p, const float* x, const float* y,
                                                double* sums) {
  constexpr int kIn = Bytes / static_cast<int>(sizeof(float));
  constexpr int kAtOnce = Taps <= 4 ? 2 : 1;  // voxels: so that enough sums are in flight
  using Lanes = typename kernels::VectorOf<float, kIn>::Type;
  Lanes parts[Taps][kAtOnce] = {}, a, b;
  for (std::int64_t line = 0; line < p.lines; ++line, x += p.x_line, y += p.y_line)
    for (std::int64_t i = 0; i < p.voxels * kIn; i += kAtOnce * kIn)
#pragma GCC unroll 2
      for (int u = 0; u < kAtOnce; ++u) {
        std::memcpy(&b, y + i + u * kIn, sizeof(Lanes));
#pragma GCC unroll 8
        for (int t = 0; t < Taps; ++t) {
          std::memcpy(&a, x + i + (u + t) * kIn, sizeof(Lanes));
          parts[t][u] += a * b;
        }
      }
#pragma GCC unroll 8
  for (int t = 0; t < Taps; ++t) {
    if constexpr (kAtOnce > 1) parts[t][0] += parts[t][1];
    for (int i = 0; i < kIn; ++i) sums[t * p.tap_step + i] += static_cast<double>(parts[t][0][i]);
  }
}

template <int Taps>
struct AddLines {
  template <int Bytes>
  [[gnu::always_inline]] static void run(const LineProducts& products) {
    const LineProducts p = products;  // which what is written cannot change
    const float *x = p.x, *y = p.y;
    for (std::int64_t c = 0; c < p.channels; c += Bytes / static_cast<std::int64_t>(sizeof(float))) {
      add_register<Bytes, Taps>(p, x, y, p.sums + c);
      x += p.x_register, y += p.y_register;
    }
  }
};

// One thread's sums [tap][channel], over some lines of some planes of y.
class Share {
 public:
  Share(const ConvProblem& p, const DepthwiseLines& lines, std::int64_t step, const float* x, const float* y)
      : p_(p),
        maps_(p.geometry),
        depths_(maps_.d, false),
        heights_(maps_.h, false),
        x_lines_(lines),
        y_lines_{0, padded_voxels(p), maps_.w.y, lines.channels, lines.block},
        step_(step),
        padded_(lines.blocks() * lines.block),
        x_(x),
        y_(y),
        window_(maps_.d.x, lines.line_size(), PlaneWindow<float>::planes_at_once(maps_.d, false)),
        packed_(static_cast<std::size_t>(step * y_lines_.line_size())),
        sums_(static_cast<std::size_t>(p.taps() * padded_)) {}

  // The task of all `planes` (block of channels, sample, depth): planes follow each other.
  void add(std::int64_t task, std::int64_t planes) {
    const std::int64_t plane = task % planes, sample = plane / maps_.d.y, d = plane % maps_.d.y,
                       begin = task / planes * step_, first = sample / p_.batch * x_lines_.block;
    const Range lines{begin, std::min(begin + step_, maps_.h.y)};
    window_.set_lines(PlaneWindow<float>::sources_of(heights_, lines, taps_));
    depths_.list(d, taps_);
    window_.load(sample, taps_, [&](std::int64_t source, std::int64_t line, float* to) {
      const std::int64_t at = source % (p_.batch * maps_.d.x) * maps_.h.x + line;  // of all lines of x
      x_lines_.pack(x_ + at * maps_.w.x * x_lines_.channels, first, to);
    });
    const float* from =
        y_ + ((sample % p_.batch * maps_.d.y + d) * maps_.h.y + lines.begin) * maps_.w.y * y_lines_.channels;
    for (std::int64_t i = 0; i < lines.size(); ++i, from += maps_.w.y * y_lines_.channels)
      y_lines_.pack(from, first, packed_.data() + i * y_lines_.line_size());
    for (const Tap& kd : taps_)
      for (std::int64_t kh = 0; kh < maps_.h.kernel; ++kh) add_tap_line(sample, kd, kh, lines, first);
  }
  double sum(std::int64_t tap, std::int64_t channel) const {
    return sums_[static_cast<std::size_t>(tap * padded_ + channel)];
  }

 private:
  void add_tap_line(std::int64_t sample, const Tap& kd, std::int64_t kh, Range lines, std::int64_t first) {
    constexpr std::int64_t kSummedInFloat = 4096;  // voxels
    const Range range = maps_.h.y_range(kh);
    const Range met{std::max(range.begin, lines.begin), std::min(range.end, lines.end)};
    const std::int64_t voxels = (maps_.w.y + 1) / 2 * 2,
                       step = std::max<std::int64_t>(1, kSummedInFloat / voxels);
    for (std::int64_t h = met.begin; h < met.end; h += step) {
      const std::int64_t line = window_.offset(sample, kd.source, h + maps_.h.shift(kh));
      run_for_taps<AddLines>(maps_.w.kernel,
                             LineProducts{.x = window_.data() + line +
                                               (x_lines_.margin + maps_.w.shift(0)) * register_lanes<float>(),
                                          .y = packed_.data() + (h - lines.begin) * y_lines_.line_size(),
                                          .x_line = x_lines_.line_size(),
                                          .y_line = y_lines_.line_size(),
                                          .lines = std::min(step, met.end - h),
                                          .x_register = x_lines_.register_step(),
                                          .y_register = y_lines_.register_step(),
                                          .voxels = voxels,
                                          .channels = x_lines_.channels_from(first),
                                          .sums = sums_.data() + maps_.tap(kd.tap, kh, 0) * padded_ + first,
                                          .tap_step = padded_});
    }
  }

  const ConvProblem& p_;
  Maps maps_;
  AxisTaps depths_, heights_;
  DepthwiseLines x_lines_, y_lines_;
  std::int64_t step_;    // lines of y at a time
  std::int64_t padded_;  // channels
  const float *x_, *y_;
  PlaneWindow<float> window_;
  std::vector<Tap> taps_;
  std::vector<float> packed_;  // lines of y
  std::vector<double> sums_;
};

}  // namespace

void depthwise_window_weight_grad(const ConvProblem& p, const Tensor& x, const Tensor& y,
                                  const Tensor& weight) {
  constexpr double kWorthAThread = 1 << 16;
  const DepthwiseLines lines = lines_of_x(p);
  const ops::ConvGeometry& g = p.geometry;
  const std::int64_t planes = lines.blocks() * p.batch * g.y[0],
                     kept = PlaneWindow<float>::planes_at_once(AxisMap(g, 0), false);
  const std::int64_t step = PlaneWindow<float>::lines_at_once(g.y[1], 1, kept * lines.line_size(), planes),
                     tasks = (g.y[1] + step - 1) / step * planes;
  const auto threads = static_cast<std::int64_t>(std::min<double>(
      static_cast<double>(std::min<std::int64_t>(num_threads(), tasks)), 1 + p.work() / kWorthAThread));
  std::vector<std::optional<Share>> shares(static_cast<std::size_t>(threads));
  parallel_for(threads, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      Share& share =
          shares[static_cast<std::size_t>(i)].emplace(p, lines, step, x.data<float>(), y.data<float>());
      for (std::int64_t task = tasks * i / threads; task < tasks * (i + 1) / threads; ++task)
        share.add(task, planes);
    }
  });
  float* const w = weight.data_to_write<float>();
  const Strides& s = weight.strides();
  for (std::int64_t c = 0; c < g.groups; ++c)
    for (std::int64_t tap = 0; tap < p.taps(); ++tap) {
      double total = 0;
      for (const std::optional<Share>& share : shares) total += share->sum(tap, c);
      w[c * s[0] + tap / g.kernel[2] / g.kernel[1] * s[2] + tap / g.kernel[2] % g.kernel[1] * s[3] +
        tap % g.kernel[2] * s[4]] = static_cast<float>(total);
    }
}

}  // namespace lucid::direct
