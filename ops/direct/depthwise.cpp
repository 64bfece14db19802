#include "ops/direct/depthwise.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "ops/direct/conv.hpp"
#include "ops/direct/conv_maps.hpp"
#include "ops/direct/rows.hpp"

namespace lucid::direct {
namespace {

// A tap that reaches a position of the result, and the position of the source that it multiplies.
struct Tap {
  std::int64_t tap, source;
};

// The taps of every position of the result along one axis.
class AxisTaps {
 public:
  AxisTaps(const AxisMap& map, bool transposed) {
    const std::int64_t count = transposed ? map.x : map.y;
    for (std::int64_t at = 0; at < count; ++at) {
      for (std::int64_t k = 0; k < map.kernel; ++k)
        if (const std::int64_t source = transposed ? map.y_of(at, k) : map.x_of(at, k); source >= 0)
          taps_.push_back({k, source});
      ends_.push_back(taps_.size());
    }
  }
  std::int64_t count() const { return static_cast<std::int64_t>(ends_.size()); }
  const Tap* begin(std::int64_t at) const {
    return taps_.data() + (at ? ends_[static_cast<std::size_t>(at) - 1] : 0);
  }
  const Tap* end(std::int64_t at) const { return taps_.data() + ends_[static_cast<std::size_t>(at)]; }

 private:
  std::vector<Tap> taps_;
  std::vector<std::size_t> ends_;
};

// Positions first, first + step, ... of a result's row with the same taps, whose sources lie `source_step`
// apart.
struct Run {
  std::int64_t first, count, step, source_step;
};

// The row's positions, `period` apart, in runs.
std::vector<Run> runs_of(const AxisTaps& taps, std::int64_t period) {
  // Whether position b has a's taps, all of them `source_step` behind.
  const auto follows = [&](std::int64_t a, std::int64_t b, std::int64_t source_step) {
    return std::equal(
        taps.begin(a), taps.end(a), taps.begin(b), taps.end(b),
        [&](const Tap& x, const Tap& y) { return x.tap == y.tap && y.source - x.source == source_step; });
  };
  std::vector<Run> out;
  for (std::int64_t phase = 0; phase < std::min(period, taps.count()); ++phase)
    for (std::int64_t at = phase; at < taps.count();) {
      Run run{at, 1, period, 0};
      const std::int64_t next = at + period;
      if (next < taps.count() && taps.begin(at) != taps.end(at) && taps.begin(next) != taps.end(next))
        run.source_step = taps.begin(next)->source - taps.begin(at)->source;
      for (at = next; at < taps.count() && follows(at - period, at, run.source_step); at += period)
        ++run.count;
      out.push_back(run);
    }
  return out;
}

// One product of a run: where its sources begin, and the tap's weights; both at the first of the channels.
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
  for (int j = 0; j < N; ++j) std::memcpy(&weights[j], factors[j].weight + channel, sizeof(Lanes));
  if (start) std::memcpy(&first, start, sizeof(Lanes));
  for (std::int64_t i = 0; i < count; ++i, out += out_step) {
    Lanes sum = first, x;
    if (!start) std::memcpy(&sum, out, sizeof(Lanes));
    for (int j = 0; j < N; ++j) {
      std::memcpy(&x, factors[j].source + channel + i * source_step, sizeof(Lanes));
      sum += weights[j] * x;
    }
    std::memcpy(out, &sum, sizeof(Lanes));
  }
}

constexpr std::size_t kAtOnce = 8;  // factors

// One run of a vector of channels, all its factors; `start`: the bias.
struct SumRun {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const std::vector<Factor<T>>& factors, std::int64_t count,
                                         std::int64_t source_step, const T* start, T* out,
                                         std::int64_t out_step) {
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(T));
    for (std::int64_t c = 0; c < kLanes<T>; c += lanes)
      sum_register<Bytes>(factors, c, count, source_step, start + c, out + c, out_step);
  }

 private:
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

// One row of the result: `bias` and the weights hold `channels` values a tap.
template <class T>
void sum_row(const std::vector<RowTap<T>>& rows, const AxisTaps& widths, const std::vector<Run>& runs,
             std::int64_t channels, const T* bias, T* out, std::vector<Factor<T>>& factors) {
  for (const Run& run : runs) {
    std::int64_t c = 0;
    const Tap *first = widths.begin(run.first), *last = widths.end(run.first);
    for (; c + kLanes<T> <= channels; c += kLanes<T>) {
      factors.clear();
      for (const RowTap<T>& row : rows)
        for (const Tap* tap = first; tap != last; ++tap)
          factors.push_back({row.source + tap->source * channels + c, row.weight + tap->tap * channels + c});
      run_for_registers<SumRun>(factors, run.count, step_of(run.source_step, channels), bias + c,
                                out + run.first * channels + c, step_of(run.step, channels));
    }
    for (; c < channels; ++c)
      for (std::int64_t i = 0; i < run.count; ++i) {
        T sum = bias[c];
        for (const RowTap<T>& row : rows)
          for (const Tap* tap = first; tap != last; ++tap)
            sum += row.source[(tap->source + i * run.source_step) * channels + c] *
                   row.weight[tap->tap * channels + c];
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
  const std::vector<Run> runs = runs_of(widths, transposed ? maps.w.stride : 1);
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
    std::vector<Factor<T>> factors;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t n = i / heights.count() / depths.count(), d = i / heights.count() % depths.count(),
                         h = i % heights.count();
      rows.clear();
      for (const Tap* kd = depths.begin(d); kd != depths.end(d); ++kd)
        for (const Tap* kh = heights.begin(h); kh != heights.end(h); ++kh)
          rows.push_back({source + ((n * from[0] + kd->source) * from[1] + kh->source) * from[2] * channels,
                          packed.data() + (kd->tap * maps.h.kernel + kh->tap) * maps.w.kernel * channels});
      sum_row(rows, widths, runs, channels, shift.data(), to + i * line, factors);
    }
  });
}

}  // namespace

void depthwise_forward(const ConvProblem& p, const Tensor& x, const Tensor& weight, const Tensor& bias,
                       const Tensor& out) {
  out.dtype() == f64 ? run<double>(p, false, x, weight, bias, out)
                     : run<float>(p, false, x, weight, bias, out);
}

void depthwise_transpose(const ConvProblem& p, const Tensor& y, const Tensor& weight, const Tensor& bias,
                         const Tensor& out) {
  out.dtype() == f64 ? run<double>(p, true, y, weight, bias, out) : run<float>(p, true, y, weight, bias, out);
}

}  // namespace lucid::direct
