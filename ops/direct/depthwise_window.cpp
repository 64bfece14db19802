#include "ops/direct/depthwise_window.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "lucid/cpu.hpp"
#include "ops/direct/plane_window.hpp"
#include "ops/direct/rows.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/kernels/lanes.hpp"
#include "ops/kernels/transpose.hpp"

namespace lucid::direct {
namespace {

using ops::ConvPass;
using ops::ConvProblem;

constexpr std::int64_t kVoxels = 8;                    // whose sums are in registers
constexpr std::int64_t kLeastTaps = 3, kMostTaps = 7;  // of a line, that share the loads of their sources

// A line of taps: where their first source and their first weight lie.
struct LineTerm {
  std::int64_t source, weight;
};

template <int Bytes>
constexpr int kIn = Bytes / static_cast<int>(sizeof(float));

// A line of the result, for some channels. A line of the source is [register of channels][voxel][channel].
struct LineSum {
  const float* sources;
  const float* weights;
  const std::vector<LineTerm>& terms;
  std::int64_t weight_step;    // elements from one tap's weights to the next's
  std::int64_t register_step;  // from one register of channels to the next's, in a line of the source
  const float* start;          // of the sums
  float* out;
  std::int64_t voxels, voxel_step, channels;
};

// kVoxels voxels from `first` on, those that are there, for the register of channels that begins at
// `channel`.
template <int Bytes, int Taps>
[[gnu::always_inline]] inline void sum_voxels(const LineSum& s, std::int64_t channel, std::int64_t first) {
  using Lanes = kernels::VectorOf<float, kIn<Bytes>>::Type;
  constexpr std::int64_t lanes = kIn<Bytes>;
  const float* const sources = s.sources + channel / lanes * s.register_step + first * lanes;
  Lanes sums[kVoxels], weights[Taps], x;
#pragma GCC unroll 8  // else they lie in memory
  for (int v = 0; v < kVoxels; ++v) std::memcpy(&sums[v], s.start + channel, sizeof(Lanes));
  for (const LineTerm& term : s.terms) {
    const float *source = sources + term.source, *weight = s.weights + term.weight + channel;
#pragma GCC unroll 8
    for (int t = 0; t < Taps; ++t) std::memcpy(&weights[t], weight + t * s.weight_step, sizeof(Lanes));
#pragma GCC unroll 16
    for (int i = 0; i < kVoxels + Taps - 1; ++i) {
      std::memcpy(&x, source + i * lanes, sizeof(Lanes));
#pragma GCC unroll 8
      for (int t = 0; t < Taps; ++t)
        if (i >= t && i - t < kVoxels) sums[i - t] += weights[t] * x;
    }
  }
  float* to = s.out + first * s.voxel_step + channel;
  const std::int64_t there = s.channels - channel;
#pragma GCC unroll 8
  for (int v = 0; v < kVoxels; ++v, to += s.voxel_step) {
    if (first + v >= s.voxels) break;
    const auto* const values = reinterpret_cast<const float*>(&sums[v]);
    if (there >= lanes)
      std::memcpy(to, values, sizeof(Lanes));
    else
      std::copy(values, values + there, to);
  }
}

template <int Taps>
struct SumLine {
  template <int Bytes>
  [[gnu::always_inline]] static void run(const LineSum& sum) {
    const LineSum s = sum;  // which what is written cannot change
    for (std::int64_t c = 0; c < s.channels; c += kIn<Bytes>)
      for (std::int64_t first = 0; first < s.voxels; first += kVoxels) sum_voxels<Bytes, Taps>(s, c, first);
  }
};

void sum_line(std::int64_t taps, const LineSum& s) {
  switch (taps) {
    case 3: return run_for_registers<SumLine<3>>(s);
    case 4: return run_for_registers<SumLine<4>>(s);
    case 5: return run_for_registers<SumLine<5>>(s);
    case 6: return run_for_registers<SumLine<6>>(s);
    default: return run_for_registers<SumLine<7>>(s);
  }
}

// `count` voxels of so many channels, that lie `step` apart, as a line of a LineSum.
struct PackVoxels {
  template <int Bytes>
  [[gnu::always_inline]] static void run(const float* from, std::int64_t channels, std::int64_t step,
                                         std::int64_t count, float* to, std::int64_t register_step) {
    constexpr std::int64_t lanes = kIn<Bytes>;
    const std::int64_t whole = channels / lanes * lanes;
    for (std::int64_t i = 0; i < count; ++i, from += step, to += lanes) {
      float* at = to;
      for (std::int64_t c = 0; c < whole; c += lanes, at += register_step) std::memcpy(at, from + c, Bytes);
      if (whole < channels) {
        std::copy(from + whole, from + channels, at);
        std::fill(at + channels - whole, at + lanes, 0.0F);
      }
    }
  }
};

// Pass y.
class DepthwiseWindow {
 public:
  // `is_turned`: of pass x, with the kernel turned round. The weight is contiguous.
  DepthwiseWindow(const ConvProblem& p, bool is_turned, const float* x, const float* weight,
                  const Tensor& bias, float* y)
      : p_(p),
        maps_(p.geometry),
        depths_(maps_.d, false),
        heights_(maps_.h, false),
        channels_(p.geometry.groups),
        padded_(padded_to_lanes(channels_, kLanes<float>)),
        planes_(PlaneWindow<float>::planes_at_once(maps_.d, false)),
        start_(static_cast<std::size_t>(padded_)),
        x_(x),
        y_(y) {
    const AxisMap& w = maps_.w;
    const std::int64_t last = padded_to_lanes(w.y, kVoxels) + w.shift(w.kernel - 1);
    margin_ = std::max<std::int64_t>(0, w.padding);
    line_voxels_ = margin_ + std::max(w.x, last);
    if (bias.defined()) std::copy_n(bias.data<float>(), channels_, start_.begin());
    choose_block();
    pack(weight, is_turned);
  }

  void run() const {
    const std::int64_t blocks = (padded_ + block_ - 1) / block_, planes = blocks * p_.batch * maps_.d.y;
    const std::int64_t step =
        PlaneWindow<float>::lines_at_once(maps_.h.y, 1, planes_ * line_voxels_ * block_, planes);
    const std::int64_t tasks = (maps_.h.y + step - 1) / step * planes;
    parallel_for(tasks, grain_of(p_.work(), tasks), [&](std::int64_t begin, std::int64_t end) {
      PlaneWindow<float> window(maps_.d.x, line_voxels_ * block_, planes_);
      Scratch scratch;
      for (std::int64_t task = begin; task < end; ++task) {  // planes follow each other: they share a window
        const std::int64_t plane = task % planes, first = task / planes * step;
        produce(plane / maps_.d.y, plane % maps_.d.y, {first, std::min(first + step, maps_.h.y)}, window,
                scratch);
      }
    });
  }

 private:
  struct Scratch {
    std::vector<Tap> depths, heights;
    std::vector<LineTerm> terms;
  };

  // As many channels as leave room in a core's cache for the lines of x that a few of y meet.
  void choose_block() {
    constexpr std::int64_t kCached = (1 << 18) / sizeof(float), kLines = 8;
    const std::int64_t lines =
        std::min(maps_.h.x, kLines + std::min((maps_.h.kernel - 1) * maps_.h.dilation, maps_.h.x));
    const std::int64_t most = std::max<std::int64_t>(
                           1, kCached / (planes_ * lines * line_voxels_ * kLanes<float>)),
                       units = padded_ / kLanes<float>, parts = (units + most - 1) / most;
    block_ = (units + parts - 1) / parts * kLanes<float>;
  }

  // [tap][channel] of the weight (channels, 1, kernel), the taps in the order in which they meet x.
  void pack(const float* weight, bool is_turned) {
    const std::int64_t taps = p_.taps();
    weights_.resize(static_cast<std::size_t>(taps * padded_));
    kernels::transpose(is_turned ? weights_.data() + (taps - 1) * padded_ : weights_.data(), weight,
                       is_turned ? -padded_ : padded_, taps, taps, channels_);
  }

  // Line `line` of all planes of x, of the channels from `first` on, with zeros around its voxels.
  void pack_line(std::int64_t first, std::int64_t line, float* to) const {
    const std::int64_t lanes = register_lanes<float>(), channels = std::min(block_, channels_ - first),
                       register_step = line_voxels_ * lanes;
    run_for_registers<PackVoxels>(x_ + line * maps_.w.x * channels_ + first, channels, channels_, maps_.w.x,
                                  to + margin_ * lanes, register_step);
    for (std::int64_t c = 0; c < channels; c += lanes, to += register_step) {
      std::fill_n(to, margin_ * lanes, 0.0F);
      std::fill(to + (margin_ + maps_.w.x) * lanes, to + register_step, 0.0F);
    }
  }

  // Some lines of plane d of a sample of a block of channels.
  void produce(std::int64_t sample, std::int64_t d, Range lines, PlaneWindow<float>& window,
               Scratch& scratch) const {
    const std::int64_t first = sample / p_.batch * block_, n = sample % p_.batch,
                       plane = (n * maps_.d.y + d) * maps_.h.y;
    window.set_lines(PlaneWindow<float>::sources_of(heights_, lines, scratch.heights));
    depths_.list(d, scratch.depths);
    window.load(sample, scratch.depths, [&](std::int64_t source, std::int64_t line, float* to) {
      pack_line(first, source % (p_.batch * maps_.d.x) * maps_.h.x + line, to);
    });
    for (std::int64_t h = lines.begin; h < lines.end; ++h) {
      find_terms(sample, h, window, scratch);
      sum_line(maps_.w.kernel, {.sources = window.data(),
                                .weights = weights_.data() + first,
                                .terms = scratch.terms,
                                .weight_step = padded_,
                                .register_step = line_voxels_ * register_lanes<float>(),
                                .start = start_.data() + first,
                                .out = y_ + (plane + h) * maps_.w.y * channels_ + first,
                                .voxels = maps_.w.y,
                                .voxel_step = channels_,
                                .channels = std::min(block_, channels_ - first)});
    }
  }

  // The lines of taps that line h meets.
  void find_terms(std::int64_t sample, std::int64_t h, const PlaneWindow<float>& window,
                  Scratch& scratch) const {
    heights_.list(h, scratch.heights);
    scratch.terms.clear();
    for (const Tap& kd : scratch.depths)
      for (const Tap& kh : scratch.heights) {
        const std::int64_t line = window.offset(sample, kd.source, kh.source);
        scratch.terms.push_back({line + (margin_ + maps_.w.shift(0)) * register_lanes<float>(),
                                 maps_.tap(kd.tap, kh.tap, 0) * padded_});
      }
  }

  const ConvProblem& p_;
  Maps maps_;
  AxisTaps depths_, heights_;  // of y's positions
  std::int64_t channels_, padded_;
  std::int64_t planes_;                        // of x in a window
  std::int64_t margin_ = 0, line_voxels_ = 0;  // of a line: zeros in front, and all
  std::int64_t block_ = 0;                     // channels of one task
  std::vector<float> weights_, start_;
  const float* x_;
  float* y_;
};

}  // namespace

bool has_depthwise_window(const ConvProblem& p) {
  constexpr std::int64_t kLeastOfAll = 9;  // taps that make up for the rearrangement
  const ops::ConvGeometry& g = p.geometry;
  return g.stride == Dims3(1) && g.dilation[2] == 1 && g.kernel[2] >= kLeastTaps &&
         g.kernel[2] <= kMostTaps && p.taps() >= kLeastOfAll;
}

void depthwise_window(const ConvProblem& p, ConvPass pass, const Tensor& from, const Tensor& weight,
                      const Tensor& bias, const Tensor& to) {
  Tensor dense = weight;
  if (!weight.is_contiguous()) kernels::copy(dense = empty(weight.shape()), weight);
  const bool is_turned = pass == ConvPass::x;
  const ConvProblem problem = is_turned ? turned_round(p) : p;
  DepthwiseWindow(problem, is_turned, from.data<float>(), dense.data<float>(), bias, to.mutable_data<float>())
      .run();
}

}  // namespace lucid::direct
