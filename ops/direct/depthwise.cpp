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

// Voxels of the result that the same taps reach: `count` of a row, in `rows` rows. Steps are in elements.
struct Block {
  std::int64_t count, source_step, out_step;
  std::int64_t rows, source_row, out_row;
};

// The voxels of a block: out += or = start + the sum over N factors, for the register of channels that starts
// at `channel` of each factor. The weights stay in registers.
template <int Bytes, int N, class T>
[[gnu::always_inline]] inline void add_factors(const Factor<T>* factors, std::int64_t channel,
                                               const Block& block, const T* start, T* out) {
  typedef T Lanes __attribute__((vector_size(Bytes)));
  Lanes weights[N > 0 ? N : 1], first = {};
  const T* sources[N > 0 ? N : 1];  // which `out` doesn't alias
#pragma GCC unroll 8                // else they lie in memory
  for (int j = 0; j < N; ++j) {
    std::memcpy(&weights[j], factors[j].weight + channel, sizeof(Lanes));
    sources[j] = factors[j].source + channel;
  }
  if (start) std::memcpy(&first, start, sizeof(Lanes));
  const std::int64_t out_step = block.out_step, source_step = block.source_step;
  const auto add = [&](T * to, std::int64_t at) __attribute__((always_inline)) {
    Lanes sum = first, other = {}, x;
    if (!start) std::memcpy(&sum, to, sizeof(Lanes));
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) {
      std::memcpy(&x, sources[j] + at, sizeof(Lanes));
      if (j == 1)
        other = weights[j] * x;
      else
        (j % 2 ? other : sum) += weights[j] * x;
    }
    if constexpr (N > 1) sum += other;
    std::memcpy(to, &sum, sizeof(Lanes));
  };
  // A loop in a loop would have more numbers than the processor has registers.
  const std::int64_t next_out = block.out_row - block.count * out_step,
                     next_source = block.source_row - block.count * source_step;
  std::int64_t rows = block.rows;
  for (std::int64_t left = block.count, at = 0;;) {
    add(out, at);
    out += out_step, at += source_step;
    if (--left == 0) [[unlikely]] {
      if (--rows == 0) return;
      left = block.count, out += next_out, at += next_source;
    }
  }
}

constexpr std::size_t kAtOnce = 8;  // factors

constexpr int kLeastRegister = 16;  // bytes: what a register of channels is halved to for the last of them
template <class T>
constexpr std::int64_t kLeastLanes = kLeastRegister / static_cast<std::int64_t>(sizeof(T));

// One block of `channels`, a multiple of kLeastLanes, and all its factors; `start`: the bias.
struct SumBlock {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const std::vector<Factor<T>>& factors, std::int64_t channels,
                                         const Block& block, const T* start, T* out) {
    sum_channels<Bytes>(factors, 0, channels, block, start, out);
  }

 private:
  template <int Bytes, class T>
  [[gnu::always_inline]] static void sum_channels(const std::vector<Factor<T>>& factors, std::int64_t c,
                                                  std::int64_t channels, const Block& block, const T* start,
                                                  T* out) {
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(T));
    for (; c + lanes <= channels; c += lanes) sum_register<Bytes>(factors, c, block, start + c, out + c);
    if constexpr (Bytes > kLeastRegister) sum_channels<Bytes / 2>(factors, c, channels, block, start, out);
  }
  template <int Bytes, class T>
  [[gnu::always_inline]] static void sum_register(const std::vector<Factor<T>>& factors, std::int64_t channel,
                                                  const Block& block, const T* start, T* out) {
    std::size_t at = 0;
    do {
      const Factor<T>* from = factors.data() + at;
      switch (std::min(kAtOnce, factors.size() - at)) {
        case 8: add_factors<Bytes, 8>(from, channel, block, start, out); break;
        case 7: add_factors<Bytes, 7>(from, channel, block, start, out); break;
        case 6: add_factors<Bytes, 6>(from, channel, block, start, out); break;
        case 5: add_factors<Bytes, 5>(from, channel, block, start, out); break;
        case 4: add_factors<Bytes, 4>(from, channel, block, start, out); break;
        case 3: add_factors<Bytes, 3>(from, channel, block, start, out); break;
        case 2: add_factors<Bytes, 2>(from, channel, block, start, out); break;
        case 1: add_factors<Bytes, 1>(from, channel, block, start, out); break;
        default:  // no tap reaches these voxels
          add_factors<Bytes, 0>(from, channel, block, start, out);
      }
      start = nullptr;
      at += kAtOnce;
    } while (at < factors.size());
  }
};

// What rows of the result sum over along depth and height: a row of the source, and the weight's row of taps.
template <class T>
struct RowTap {
  const T* source;
  const T* weight;
};

// Positions along an axis that the same taps reach, and those taps.
struct TappedRun {
  Run run;
  std::vector<Tap> taps;
};

std::vector<TappedRun> tapped_runs(const AxisTaps& axis) {
  std::vector<TappedRun> out;
  for (const Run& run : runs_of(axis)) {
    out.push_back({run, {}});
    axis.list(run.first, out.back().taps);
  }
  return out;
}

// `rows` rows of the result from `out` on: `bias` and the weights hold `channels` values a tap.
template <class T>
void sum_rows(const std::vector<RowTap<T>>& taps_of_rows, const std::vector<TappedRun>& runs,
              std::int64_t channels, const T* bias, std::int64_t rows, std::int64_t source_row, T* out,
              std::int64_t out_row, std::vector<Factor<T>>& factors) {
  const std::int64_t whole = channels / kLeastLanes<T> * kLeastLanes<T>;
  for (const auto& [run, taps] : runs) {
    factors.clear();
    for (const RowTap<T>& row : taps_of_rows)
      for (const Tap& tap : taps)
        factors.push_back({row.source + tap.source * channels, row.weight + tap.tap * channels});
    const Block block{
        run.count, step_of(run.source_step, channels), step_of(run.step, channels), rows, source_row,
        out_row};
    T* const to = out + run.first * channels;
    run_for_registers<SumBlock>(factors, whole, block, bias, to);
    for (std::int64_t c = whole; c < channels; ++c)
      for (std::int64_t row = 0; row < rows; ++row)
        for (std::int64_t i = 0; i < run.count; ++i) {
          T sum = bias[c];
          for (const Factor<T>& factor : factors)
            sum += factor.source[row * source_row + i * block.source_step + c] * factor.weight[c];
          to[row * out_row + i * block.out_step + c] = sum;
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
  const std::vector<TappedRun> runs = tapped_runs(widths);
  const std::int64_t channels = p.geometry.groups;
  const Dims3& from = transposed ? p.geometry.y : p.geometry.x;
  const std::vector<T> packed = packed_weight<T>(p, weight);
  const std::vector<T> shift =
      bias.defined() ? bias.to_vector<T>() : std::vector<T>(static_cast<std::size_t>(channels));
  const T* source = input.data<T>();
  T* to = out.data_to_write<T>();
  const std::int64_t line = widths.count() * channels;
  constexpr std::int64_t kRows = 4;  // for which weights and addresses are loaded once
  std::vector<TappedRun> pieces;
  for (const TappedRun& rows : tapped_runs(heights))
    for (std::int64_t first = 0; first < rows.run.count; first += kRows) {
      TappedRun piece = rows;
      piece.run.first += first * rows.run.step;
      piece.run.count = std::min(kRows, rows.run.count - first);
      for (Tap& tap : piece.taps) tap.source += first * rows.run.source_step;
      pieces.push_back(std::move(piece));
    }
  // Neighbours in turn: they share sources.
  std::ranges::sort(pieces, {}, [](const TappedRun& rows) { return rows.run.first; });
  const auto per_plane = static_cast<std::int64_t>(pieces.size());
  const std::int64_t units = p.batch * depths.count() * per_plane;
  parallel_walk(units, grain_of(p.work(), units), [&](Turns& turns) {
    std::vector<RowTap<T>> taps_of_rows;
    std::vector<Tap> kds;
    std::vector<Factor<T>> factors;
    while (const auto unit = turns.next()) {
      const std::int64_t plane = *unit / per_plane, n = plane / depths.count(), d = plane % depths.count();
      const auto& [rows, khs] = pieces[static_cast<std::size_t>(*unit % per_plane)];
      taps_of_rows.clear();
      depths.list(d, kds);
      for (const Tap& kd : kds)
        for (const Tap& kh : khs)
          taps_of_rows.push_back(
              {source + ((n * from[0] + kd.source) * from[1] + kh.source) * from[2] * channels,
               packed.data() + (kd.tap * maps.h.kernel + kh.tap) * maps.w.kernel * channels});
      sum_rows(taps_of_rows, runs, channels, shift.data(), rows.count, rows.source_step * from[2] * channels,
               to + (plane * heights.count() + rows.first) * line, rows.step * line, factors);
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
