#include "ops/direct/depthwise.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "ops/direct/axis_runs.hpp"
#include "ops/direct/conv.hpp"
#include "ops/direct/depthwise_window.hpp"
#include "ops/direct/rows.hpp"

namespace lucid::direct {
namespace {

// One product of a run: where its sources begin, and the tap's weights.
template <class T>
struct Factor {
  const T* source;
  const T* weight;
};

// `count` voxels of a run: out += or = start + the sum over N factors, for the register of channels that
// starts at `channel` of each factor. The weights stay in registers.
template <int Bytes, int N, class T>
[[gnu::always_inline]] inline void add_factors(const Factor<T>* factors, std::int64_t channel,
                                               std::int64_t count, std::int64_t source_step, const T* start,
                                               T* out, std::int64_t out_step) {
  typedef T Lanes __attribute__((vector_size(Bytes)));
  Lanes weights[N > 0 ? N : 1], first = {};
  const T* sources[N > 0 ? N : 1];  // which `out` doesn't alias
#pragma GCC unroll 8                // else they lie in memory
  for (int j = 0; j < N; ++j) {
    std::memcpy(&weights[j], factors[j].weight + channel, sizeof(Lanes));
    sources[j] = factors[j].source + channel;
  }
  if (start) std::memcpy(&first, start, sizeof(Lanes));
  for (std::int64_t i = 0, at = 0; i < count; ++i, out += out_step, at += source_step) {
    Lanes sum = first, other = {}, x;
    if (!start) std::memcpy(&sum, out, sizeof(Lanes));
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) {
      std::memcpy(&x, sources[j] + at, sizeof(Lanes));
      if (j == 1)
        other = weights[j] * x;
      else
        (j % 2 ? other : sum) += weights[j] * x;
    }
    if constexpr (N > 1) sum += other;
    std::memcpy(out, &sum, sizeof(Lanes));
  }
}

constexpr std::size_t kAtOnce = 8;  // factors

constexpr int kLeastRegister = 16;  // bytes: what a register of channels is halved to for the last of them
template <class T>
constexpr std::int64_t kLeastLanes = kLeastRegister / static_cast<std::int64_t>(sizeof(T));

// One run of `channels`, a multiple of kLeastLanes, and all its factors; `start`: the bias.
struct SumRun {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const std::vector<Factor<T>>& factors, std::int64_t channels,
                                         std::int64_t count, std::int64_t source_step, const T* start, T* out,
                                         std::int64_t out_step) {
    sum_channels<Bytes>(factors, 0, channels, count, source_step, start, out, out_step);
  }

 private:
  template <int Bytes, class T>
  [[gnu::always_inline]] static void sum_channels(const std::vector<Factor<T>>& factors, std::int64_t c,
                                                  std::int64_t channels, std::int64_t count,
                                                  std::int64_t source_step, const T* start, T* out,
                                                  std::int64_t out_step) {
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(T));
    for (; c + lanes <= channels; c += lanes)
      sum_register<Bytes>(factors, c, count, source_step, start + c, out + c, out_step);
    if constexpr (Bytes > kLeastRegister)
      sum_channels<Bytes / 2>(factors, c, channels, count, source_step, start, out, out_step);
  }
  template <int Bytes, class T>
  [[gnu::always_inline]] static void sum_register(const std::vector<Factor<T>>& factors, std::int64_t channel,
                                                  std::int64_t count, std::int64_t source_step,
                                                  const T* start, T* out, std::int64_t out_step) {
    std::size_t at = 0;
    do {
      const Factor<T>* from = factors.data() + at;
      switch (std::min(kAtOnce, factors.size() - at)) {
        case 8: add_factors<Bytes, 8>(from, channel, count, source_step, start, out, out_step); break;
        case 7: add_factors<Bytes, 7>(from, channel, count, source_step, start, out, out_step); break;
        case 6: add_factors<Bytes, 6>(from, channel, count, source_step, start, out, out_step); break;
        case 5: add_factors<Bytes, 5>(from, channel, count, source_step, start, out, out_step); break;
        case 4: add_factors<Bytes, 4>(from, channel, count, source_step, start, out, out_step); break;
        case 3: add_factors<Bytes, 3>(from, channel, count, source_step, start, out, out_step); break;
        case 2: add_factors<Bytes, 2>(from, channel, count, source_step, start, out, out_step); break;
        case 1: add_factors<Bytes, 1>(from, channel, count, source_step, start, out, out_step); break;
        default:  // no tap reaches these voxels
          add_factors<Bytes, 0>(from, channel, count, source_step, start, out, out_step);
      }
      start = nullptr;
      at += kAtOnce;
    } while (at < factors.size());
  }
};

// What one row of the result sums over along depth and height: a row of the source, and the weight's row of
// taps.
template <class T>
struct RowTap {
  const T* source;
  const T* weight;
};

// Positions of a row that the same taps reach, and those taps.
struct RowRun {
  Run run;
  std::vector<Tap> taps;
};

// One row of the result: `bias` and the weights hold `channels` values a tap.
template <class T>
void sum_row(const std::vector<RowTap<T>>& rows, const std::vector<RowRun>& runs, std::int64_t channels,
             const T* bias, T* out, std::vector<Factor<T>>& factors) {
  const std::int64_t whole = channels / kLeastLanes<T> * kLeastLanes<T>;
  for (const auto& [run, taps] : runs) {
    factors.clear();
    for (const RowTap<T>& row : rows)
      for (const Tap& tap : taps)
        factors.push_back({row.source + tap.source * channels, row.weight + tap.tap * channels});
    run_for_registers<SumRun>(factors, whole, run.count, step_of(run.source_step, channels), bias,
                              out + run.first * channels, step_of(run.step, channels));
    for (std::int64_t c = whole; c < channels; ++c)
      for (std::int64_t i = 0; i < run.count; ++i) {
        T sum = bias[c];
        for (const Factor<T>& factor : factors)
          sum += factor.source[i * step_of(run.source_step, channels) + c] * factor.weight[c];
        out[(run.first + i * run.step) * channels + c] = sum;
      }
  }
}

// [tap][channel] of the weight (channels, 1, kernel).
template <class T>
std::vector<T> packed_weight(const ConvProblem& p, const Tensor& weight) {
  const T* from = weight.data<T>();
  const Strides& s = weight.strides();
  std::vector<T> out;
  out.reserve(static_cast<std::size_t>(p.taps() * p.geometry.groups));
  for (std::int64_t kd = 0; kd < p.geometry.kernel[0]; ++kd)
    for (std::int64_t kh = 0; kh < p.geometry.kernel[1]; ++kh)
      for (std::int64_t kw = 0; kw < p.geometry.kernel[2]; ++kw)
        for (std::int64_t c = 0; c < p.geometry.groups; ++c)
          out.push_back(from[c * s[0] + kd * s[2] + kh * s[3] + kw * s[4]]);
  return out;
}

template <class T>
void run(const ConvProblem& p, bool transposed, const Tensor& input, const Tensor& weight, const Tensor& bias,
         const Tensor& out) {
  const Maps maps(p.geometry);
  const AxisTaps depths(maps.d, transposed), heights(maps.h, transposed), widths(maps.w, transposed);
  std::vector<RowRun> runs;
  for (const Run& run : runs_of(widths)) {
    runs.push_back({run, {}});
    widths.list(run.first, runs.back().taps);
  }
  const std::int64_t channels = p.geometry.groups;
  const Dims3& from = transposed ? p.geometry.y : p.geometry.x;
  const std::vector<T> packed = packed_weight<T>(p, weight);
  const std::vector<T> shift =
      bias.defined() ? bias.to_vector<T>() : std::vector<T>(static_cast<std::size_t>(channels));
  const T* source = input.data<T>();
  T* to = out.mutable_data<T>();
  const std::int64_t lines = p.batch * depths.count() * heights.count(), line = widths.count() * channels;
  parallel_for(lines, grain_of(p.work(), lines), [&](std::int64_t begin, std::int64_t end) {
    std::vector<RowTap<T>> rows;
    std::vector<Tap> kds, khs;
    std::vector<Factor<T>> factors;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t n = i / heights.count() / depths.count(), d = i / heights.count() % depths.count(),
                         h = i % heights.count();
      rows.clear();
      depths.list(d, kds);
      heights.list(h, khs);
      for (const Tap& kd : kds)
        for (const Tap& kh : khs)
          rows.push_back({source + ((n * from[0] + kd.source) * from[1] + kh.source) * from[2] * channels,
                          packed.data() + (kd.tap * maps.h.kernel + kh.tap) * maps.w.kernel * channels});
      sum_row(rows, runs, channels, shift.data(), to + i * line, factors);
    }
  });
}

}  // namespace

void depthwise_forward(const ConvProblem& p, const Tensor& x, const Tensor& weight, const Tensor& bias,
                       const Tensor& out) {
  if (out.dtype() == f32 && has_depthwise_window(p))
    return depthwise_window(p, ops::ConvPass::y, x, weight, bias, out);
  out.dtype() == f64 ? run<double>(p, false, x, weight, bias, out)
                     : run<float>(p, false, x, weight, bias, out);
}

void depthwise_transpose(const ConvProblem& p, const Tensor& y, const Tensor& weight, const Tensor& bias,
                         const Tensor& out) {
  if (out.dtype() == f32 && has_depthwise_window(p))
    return depthwise_window(p, ops::ConvPass::x, y, weight, bias, out);
  out.dtype() == f64 ? run<double>(p, true, y, weight, bias, out) : run<float>(p, true, y, weight, bias, out);
}

}  // namespace lucid::direct
