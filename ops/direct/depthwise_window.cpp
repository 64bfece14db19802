#include "ops/direct/depthwise_window.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "lucid/cpu.hpp"
#include "ops/direct/depthwise_lines.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/kernels/lanes.hpp"
#include "ops/kernels/transpose.hpp"

namespace lucid::direct {
namespace {

using ops::ConvPass;
using ops::ConvProblem;

constexpr std::int64_t kVoxels = kDepthwiseVoxels;  // whose sums are in registers

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
  using Lanes = typename kernels::VectorOf<float, kIn<Bytes>>::Type;
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
        lines_(lines_of_x(p)),
        channels_(p.geometry.groups),
        padded_(padded_to_lanes(channels_, kLanes<float>)),
        start_(static_cast<std::size_t>(padded_)),
        x_(x),
        y_(y) {
    if (bias.defined()) std::copy_n(bias.data<float>(), channels_, start_.begin());
    pack(weight, is_turned);
  }

  void run() const {
    const std::int64_t planes = lines_.blocks() * p_.batch * maps_.d.y,
                       kept = PlaneWindow<float>::planes_at_once(maps_.d, false);
    const std::int64_t step =
        PlaneWindow<float>::lines_at_once(maps_.h.y, 1, kept * lines_.line_size(), planes);
    const std::int64_t tasks = (maps_.h.y + step - 1) / step * planes;
    parallel_walk(tasks, grain_of(p_.work(), tasks), [&](Turns& turns) {
      PlaneWindow<float> window(maps_.d.x, lines_.line_size(), kept);
      Scratch scratch;
      while (const auto task = turns.next()) {  // planes follow each other: they share a window
        const std::int64_t plane = *task % planes, first = *task / planes * step;
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

  // [tap][channel] of the weight (channels, 1, kernel), the taps in the order in which they meet x.
  void pack(const float* weight, bool is_turned) {
    const std::int64_t taps = p_.taps();
    weights_.resize(static_cast<std::size_t>(taps * padded_));
    kernels::transpose(is_turned ? weights_.data() + (taps - 1) * padded_ : weights_.data(), weight,
                       is_turned ? -padded_ : padded_, taps, taps, channels_);
  }

  // Some lines of plane d of a sample of a block of channels.
  void produce(std::int64_t sample, std::int64_t d, Range lines, PlaneWindow<float>& window,
               Scratch& scratch) const {
    const std::int64_t first = sample / p_.batch * lines_.block, n = sample % p_.batch,
                       plane = (n * maps_.d.y + d) * maps_.h.y;
    window.set_lines(PlaneWindow<float>::sources_of(heights_, lines, scratch.heights));
    depths_.list(d, scratch.depths);
    window.load(sample, scratch.depths, [&](std::int64_t source, std::int64_t line, float* to) {
      const std::int64_t at = source % (p_.batch * maps_.d.x) * maps_.h.x + line;  // of all lines of x
      lines_.pack(x_ + at * maps_.w.x * channels_, first, to);
    });
    for (std::int64_t h = lines.begin; h < lines.end; ++h) {
      find_terms(sample, h, window, scratch);
      run_for_taps<SumLine>(maps_.w.kernel, LineSum{.sources = window.data(),
                                                    .weights = weights_.data() + first,
                                                    .terms = scratch.terms,
                                                    .weight_step = padded_,
                                                    .register_step = lines_.register_step(),
                                                    .start = start_.data() + first,
                                                    .out = y_ + (plane + h) * maps_.w.y * channels_ + first,
                                                    .voxels = maps_.w.y,
                                                    .voxel_step = channels_,
                                                    .channels = lines_.channels_from(first)});
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
        scratch.terms.push_back({line + (lines_.margin + maps_.w.shift(0)) * register_lanes<float>(),
                                 maps_.tap(kd.tap, kh.tap, 0) * padded_});
      }
  }

  const ConvProblem& p_;
  Maps maps_;
  AxisTaps depths_, heights_;  // of y's positions
  DepthwiseLines lines_;
  std::int64_t channels_, padded_;
  std::vector<float> weights_, start_;
  const float* x_;
  float* y_;
};

}  // namespace

bool has_depthwise_window(const ConvProblem& p) {
  constexpr std::int64_t kLeastOfAll = 9;  // taps that make up for the rearrangement
  constexpr std::int64_t kLeastVoxels = 4, kMostOfWindow = 1 << 18;
  const ops::ConvGeometry& g = p.geometry;
  if (g.stride != Dims3(1) || g.dilation != Dims3(1) || g.kernel[2] < kLeastLineTaps ||
      g.kernel[2] > kMostLineTaps || g.padding[2] > g.kernel[2] || p.taps() < kLeastOfAll)
    return false;
  const std::int64_t line = std::max(g.x[2], g.y[2]) + 2 * g.kernel[2] + kVoxels;
  return std::min(g.x[2], g.y[2]) >= kLeastVoxels && static_cast<double>(g.kernel[0]) *
                                                             static_cast<double>(g.kernel[1] + kVoxels) *
                                                             static_cast<double>(line * kLanes<float>) <=
                                                         kMostOfWindow;
}

void depthwise_window(const ConvProblem& p, ConvPass pass, const Tensor& from, const Tensor& weight,
                      const Tensor& bias, const Tensor& to) {
  Tensor dense = weight;
  if (!weight.is_contiguous()) kernels::copy(dense = empty(weight.shape()), weight);
  const bool is_turned = pass == ConvPass::x;
  const ConvProblem problem = is_turned ? turned_round(p) : p;
  DepthwiseWindow(problem, is_turned, from.data<float>(), dense.data<float>(), bias,
                  to.data_to_write<float>())
      .run();
}

}  // namespace lucid::direct
