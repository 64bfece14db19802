#include "ops/direct/depthwise.hpp"

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

// What one row of the result sums over along depth and height: a row of the source, and the weight's row of
// taps.
template <class T>
struct RowTap {
  const T* source;
  const T* weight;
};

// V vectors of channels of one voxel: the sum over the row's taps and the voxel's own. Not vectorised by
// itself, but inlined where it is.
template <class T, int V>
[[gnu::always_inline]] inline void sum_vectors(const RowTap<T>* rows, std::size_t count, const Tap* first,
                                               const Tap* last, std::int64_t channels, std::int64_t at,
                                               const T* bias, T* out) {
  typedef T Lanes __attribute__((vector_size(64)));
  constexpr std::int64_t lanes = kLanes<T>;
  Lanes sums[V];
  for (int v = 0; v < V; ++v) std::memcpy(&sums[v], bias + at + v * lanes, sizeof(Lanes));
  for (std::size_t r = 0; r < count; ++r)
    for (const Tap* tap = first; tap != last; ++tap) {
      const T* x = rows[r].source + tap->source * channels + at;
      const T* w = rows[r].weight + tap->tap * channels + at;
      for (int v = 0; v < V; ++v) {
        Lanes a, b;
        std::memcpy(&a, x + v * lanes, sizeof(Lanes));
        std::memcpy(&b, w + v * lanes, sizeof(Lanes));
        sums[v] += a * b;
      }
    }
  for (int v = 0; v < V; ++v) std::memcpy(out + at + v * lanes, &sums[v], sizeof(Lanes));
}

// One row of the result: `bias` and the weights hold `channels` values a tap.
template <class T>
LUCID_VECTORIZED void sum_row(const std::vector<RowTap<T>>& rows, const AxisTaps& widths,
                              std::int64_t channels, const T* bias, T* out) {
  constexpr std::int64_t lanes = kLanes<T>;
  for (std::int64_t at = 0; at < widths.count(); ++at, out += channels) {
    const Tap *first = widths.begin(at), *last = widths.end(at);
    std::int64_t c = 0;
    for (; c + 4 * lanes <= channels; c += 4 * lanes)
      sum_vectors<T, 4>(rows.data(), rows.size(), first, last, channels, c, bias, out);
    for (; c + 2 * lanes <= channels; c += 2 * lanes)
      sum_vectors<T, 2>(rows.data(), rows.size(), first, last, channels, c, bias, out);
    for (; c + lanes <= channels; c += lanes)
      sum_vectors<T, 1>(rows.data(), rows.size(), first, last, channels, c, bias, out);
    for (; c < channels; ++c) {
      T sum = bias[c];
      for (const RowTap<T>& row : rows)
        for (const Tap* tap = first; tap != last; ++tap)
          sum += row.source[tap->source * channels + c] * row.weight[tap->tap * channels + c];
      out[c] = sum;
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
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t n = i / heights.count() / depths.count(), d = i / heights.count() % depths.count(),
                         h = i % heights.count();
      rows.clear();
      for (const Tap* kd = depths.begin(d); kd != depths.end(d); ++kd)
        for (const Tap* kh = heights.begin(h); kh != heights.end(h); ++kh)
          rows.push_back({source + ((n * from[0] + kd->source) * from[1] + kh->source) * from[2] * channels,
                          packed.data() + (kd->tap * maps.h.kernel + kh->tap) * maps.w.kernel * channels});
      sum_row(rows, widths, channels, shift.data(), to + i * line);
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
