#include "ops/direct/few_channels.hpp"

#include <algorithm>
#include <cstring>

#include "ops/direct/conv.hpp"
#include "ops/direct/conv_maps.hpp"
#include "ops/direct/rows.hpp"

namespace lucid::direct {
namespace {

constexpr std::int64_t kFewChannels = 8;
constexpr std::int64_t kMostColumns = 128;        // of one kernel depth: taps times channels
constexpr std::int64_t kBlockElements = 1 << 13;  // of the product, to stay in the first-level cache

std::int64_t columns_of(const ConvProblem& p) {
  return p.geometry.kernel[1] * p.geometry.kernel[2] * p.x_channels;
}

// [kernel depth][y channel][kernel height][kernel width][x channel], the columns padded to whole vectors.
template <class T>
Tensor packed_weight(const ConvProblem& p, const Tensor& weight, std::int64_t row) {
  const Dims3& kernel = p.geometry.kernel;
  const Tensor out = zeros({kernel[0], p.y_channels, row}, dtype_of<T>());
  const T* from = weight.data<T>();
  T* to = out.mutable_data<T>();
  const Strides& s = weight.strides();
  for (std::int64_t kd = 0; kd < kernel[0]; ++kd)
    for (std::int64_t y = 0; y < p.y_channels; ++y) {
      T* at = to + (kd * p.y_channels + y) * row;
      for (std::int64_t kh = 0; kh < kernel[1]; ++kh)
        for (std::int64_t kw = 0; kw < kernel[2]; ++kw)
          for (std::int64_t x = 0; x < p.x_channels; ++x)
            *at++ = from[y * s[0] + x * s[1] + kd * s[2] + kh * s[3] + kw * s[4]];
    }
  return out;
}

// to[i] += from[i] for N elements, a power of two, in one vector.
template <class T, int N>
[[gnu::always_inline]] inline void add_vector(T* to, const T* from) {
  typedef T Lanes __attribute__((vector_size(N * sizeof(T))));
  Lanes a, b;
  std::memcpy(&a, to, sizeof(Lanes));
  std::memcpy(&b, from, sizeof(Lanes));
  a += b;
  std::memcpy(to, &a, sizeof(Lanes));
}

template <class T>
[[gnu::always_inline]] inline void add_run(T* to, const T* from, std::int64_t count) {
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) add_vector<T, 8>(to + i, from + i);
  if (i + 4 <= count) add_vector<T, 4>(to + i, from + i), i += 4;
  if (i + 2 <= count) add_vector<T, 2>(to + i, from + i), i += 2;
  if (i < count) to[i] += from[i];
}

// Runs of `count` elements, every `step`-th row of products to every step-th place of x. Runs that touch are
// added in separate rounds: a load of what was just stored in another shape waits for the store.
template <class T>
LUCID_VECTORIZED void add_runs(T* to, std::int64_t to_step, const T* from, std::int64_t from_step,
                               std::int64_t runs, std::int64_t count, std::int64_t rounds) {
  for (std::int64_t round = 0; round < rounds; ++round)
    for (std::int64_t w = round; w < runs; w += rounds)
      add_run(to + w * to_step, from + w * from_step, count);
}

// Adds a row of products, `row` apart, to a row of x: product w's taps, each of `channels`, go to positions w
// * stride + shift(kw).
template <class T>
class RowScatter {
 public:
  RowScatter(const AxisMap& map, std::int64_t channels, std::int64_t row)
      : map_(map), channels_(channels), row_(row) {
    if (map.dilation != 1 && map.kernel != 1) return;
    const std::int64_t last = map.shift(map.kernel - 1);
    const Range inside{positions(map.y, map.stride, map.shift(0), map.x).begin,
                       positions(map.y, map.stride, last, map.x).end};
    if (!inside.empty()) inside_ = inside;
  }

  void add(const T* products, T* out) const {
    for (std::int64_t w = 0; w < inside_.begin; ++w) add_taps(products, out, w);
    if (!inside_.empty())
      add_runs(out + (inside_.begin * map_.stride - map_.padding) * channels_,
               step_of(map_.stride, channels_), products + inside_.begin * row_, row_,
               inside_.end - inside_.begin, map_.kernel * channels_, (map_.kernel - 1) / map_.stride + 1);
    for (std::int64_t w = inside_.end; w < map_.y; ++w) add_taps(products, out, w);
  }

 private:
  void add_taps(const T* products, T* out, std::int64_t w) const {
    const T* from = products + w * row_;
    for (std::int64_t kw = 0; kw < map_.kernel; ++kw) {
      const std::int64_t at = map_.x_of(w, kw);
      for (std::int64_t c = 0; at >= 0 && c < channels_; ++c)
        out[at * channels_ + c] += from[kw * channels_ + c];
    }
  }

  const AxisMap& map_;
  std::int64_t channels_, row_;
  Range inside_{0, 0};  // products whose taps are neighbours and all lie inside x
};

// Every voxel of `out` holds `bias`, or 0: one line, and its copies.
template <class T>
void fill_plane(T* out, std::int64_t lines, std::int64_t voxels, std::int64_t channels, const T* bias) {
  const std::int64_t line = voxels * channels;
  if (!bias) return static_cast<void>(std::fill(out, out + lines * line, T(0)));
  for (std::int64_t i = 0; i < voxels; ++i) std::copy(bias, bias + channels, out + i * channels);
  for (std::int64_t i = 1; i < lines; ++i) std::copy(out, out + line, out + i * line);
}

template <class T>
void run(const ConvProblem& p, const Tensor& input, const Tensor& weight, const Tensor& bias,
         const Tensor& out) {
  const Maps maps(p.geometry);
  const std::int64_t columns = columns_of(p), row = padded_to_lanes(columns, kLanes<T>);
  const Tensor packed = packed_weight<T>(p, weight, row);
  const RowScatter<T> scatter(maps.w, p.x_channels, row);
  const T *y = input.data<T>(), *w = packed.data<T>();
  const T* b = bias.defined() ? bias.data<T>() : nullptr;
  T* x = out.mutable_data<T>();
  const std::int64_t rows_at_once = std::max<std::int64_t>(1, kBlockElements / (maps.w.y * row));
  const std::int64_t x_line = maps.w.x * p.x_channels, y_line = maps.w.y * p.y_channels;
  const std::int64_t planes = p.batch * maps.d.x;
  parallel_for(planes, grain_of(p.work(), planes), [&](std::int64_t begin, std::int64_t end) {
    std::vector<T> products(static_cast<std::size_t>(rows_at_once * maps.w.y * row));
    for (std::int64_t at = begin; at < end; ++at) {
      const std::int64_t n = at / maps.d.x, d = at % maps.d.x;
      T* plane = x + at * maps.h.x * x_line;
      fill_plane(plane, maps.h.x, maps.w.x, p.x_channels, b);
      for (std::int64_t kd = 0; kd < maps.d.kernel; ++kd) {
        const std::int64_t from = maps.d.y_of(d, kd);
        if (from < 0) continue;
        const T* source = y + (n * maps.d.y + from) * maps.h.y * y_line;
        for (std::int64_t h = 0; h < maps.h.y; h += rows_at_once) {
          const std::int64_t count = std::min(rows_at_once, maps.h.y - h);
          store_product(RowsProduct<T>{source + h * y_line, p.y_channels, 1, w + kd * p.y_channels * row, row,
                                       products.data(), row, count * maps.w.y, p.y_channels, row});
          for (std::int64_t i = 0; i < count; ++i)
            for (std::int64_t kh = 0; kh < maps.h.kernel; ++kh)
              if (const std::int64_t line = maps.h.x_of(h + i, kh); line >= 0)
                scatter.add(products.data() + i * maps.w.y * row + kh * maps.w.kernel * p.x_channels,
                            plane + line * x_line);
        }
      }
    }
  });
}

}  // namespace

bool has_few_channels(const ConvProblem& p) {
  return p.geometry.groups == 1 && p.x_channels <= kFewChannels && columns_of(p) <= kMostColumns;
}

void conv_transpose_few(const ConvProblem& p, const Tensor& y, const Tensor& weight, const Tensor& bias,
                        const Tensor& out) {
  out.dtype() == f64 ? run<double>(p, y, weight, bias, out) : run<float>(p, y, weight, bias, out);
}

}  // namespace lucid::direct
