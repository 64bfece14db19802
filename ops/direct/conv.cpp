#include "ops/direct/conv.hpp"

#include <algorithm>

#include "ops/direct/conv_maps.hpp"
#include "ops/direct/rows.hpp"

namespace lucid::direct {
namespace {

// [group][tap][contracted channel][produced channel, padded to whole vectors].
template <class T>
class PackedWeight {
 public:
  PackedWeight(const ConvProblem& p, const Tensor& weight, bool transposed)
      : depth_(transposed ? p.y_channels : p.x_channels),
        columns_(padded_to_lanes(transposed ? p.x_channels : p.y_channels, kLanes<T>)),
        taps_(p.taps()) {
    buffer_ = zeros({p.geometry.groups, taps_, depth_, columns_}, dtype_of<T>());
    const T* from = weight.data<T>();
    T* to = buffer_.mutable_data<T>();
    const Strides& s = weight.strides();
    const Dims3& kernel = p.geometry.kernel;
    parallel_for(p.geometry.groups * taps_,
                 grain_of(static_cast<double>(weight.numel()), p.geometry.groups * taps_),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) {
                     const std::int64_t group = i / taps_, tap = i % taps_;
                     const std::int64_t kw = tap % kernel[2], kh = tap / kernel[2] % kernel[1],
                                        kd = tap / kernel[2] / kernel[1];
                     const T* at = from + group * p.y_channels * s[0] + kd * s[2] + kh * s[3] + kw * s[4];
                     for (std::int64_t y = 0; y < p.y_channels; ++y)
                       for (std::int64_t x = 0; x < p.x_channels; ++x)
                         to[(i * depth_ + (transposed ? y : x)) * columns_ + (transposed ? x : y)] =
                             at[y * s[0] + x * s[1]];
                   }
                 });
    data_ = to;
  }
  const T* at(std::int64_t group, std::int64_t tap) const {
    return data_ + (group * taps_ + tap) * depth_ * columns_;
  }
  std::int64_t row() const { return columns_; }

 private:
  Tensor buffer_;
  const T* data_ = nullptr;
  std::int64_t depth_, columns_, taps_;
};

template <class T>
void fill_row(T* row, std::int64_t voxels, std::int64_t channels, const T* bias) {
  if (!bias) {
    std::fill(row, row + voxels * channels, T(0));
    return;
  }
  for (std::int64_t i = 0; i < voxels; ++i) std::copy(bias, bias + channels, row + i * channels);
}

// Calls f(row index, n, d, h) for every (n, d, h), the row index counting them.
template <class F>
void for_rows(const ConvProblem& p, const Dims3& sizes, F&& f) {
  const std::int64_t depth = sizes[0], height = sizes[1], rows = p.batch * depth * height;
  parallel_for(rows, grain_of(p.work(), rows), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      f(row, row / height / depth, row / height % depth, row % height);
  });
}

// Adds one tap of all groups to a row of voxels: `columns` of c at c_row apart from `depth` of a at a_row
// apart.
template <class T>
struct TapAdder {
  const ConvProblem& problem;
  bool transposed;
  PackedWeight<T> packed;

  TapAdder(const ConvProblem& p, const Tensor& weight, bool is_transposed)
      : problem(p), transposed(is_transposed), packed(p, weight, is_transposed) {}

  void add(const T* a, std::int64_t a_row, T* c, std::int64_t c_row, std::int64_t rows,
           std::int64_t tap) const {
    const std::int64_t groups = problem.geometry.groups;
    const std::int64_t depth = transposed ? problem.y_channels : problem.x_channels;
    const std::int64_t columns = transposed ? problem.x_channels : problem.y_channels;
    for (std::int64_t group = 0; group < groups; ++group)
      add_product<T>({a + group * depth, a_row, 1, packed.at(group, tap), packed.row(), c + group * columns,
                      c_row, rows, depth, columns});
  }
};

template <class T>
void forward(const ConvProblem& p, const Tensor& input, const Tensor& weight, const Tensor& bias,
             const Tensor& out) {
  const Maps maps(p.geometry);
  const TapAdder<T> taps(p, weight, false);
  const T* x = input.data<T>();
  const T* b = bias.defined() ? bias.data<T>() : nullptr;
  T* y = out.mutable_data<T>();
  const std::int64_t x_row = p.x_row(), y_row = p.y_row();
  for_rows(p, p.geometry.y, [&](std::int64_t row, std::int64_t n, std::int64_t d, std::int64_t h) {
    T* target = y + row * maps.w.y * y_row;
    fill_row(target, maps.w.y, y_row, b);
    for (std::int64_t kd = 0; kd < maps.d.kernel; ++kd) {
      const std::int64_t xd = maps.d.x_of(d, kd);
      if (xd < 0) continue;
      for (std::int64_t kh = 0; kh < maps.h.kernel; ++kh) {
        const std::int64_t xh = maps.h.x_of(h, kh);
        if (xh < 0) continue;
        const T* source = x + ((n * maps.d.x + xd) * maps.h.x + xh) * maps.w.x * x_row;
        for (std::int64_t kw = 0; kw < maps.w.kernel; ++kw) {
          const Range range = maps.w.y_range(kw);
          if (range.empty()) continue;
          taps.add(source + (range.begin * maps.w.stride + maps.w.shift(kw)) * x_row, maps.w.stride * x_row,
                   target + range.begin * y_row, y_row, range.end - range.begin, maps.tap(kd, kh, kw));
        }
      }
    }
  });
}

template <class T>
void transpose(const ConvProblem& p, const Tensor& input, const Tensor& weight, const Tensor& bias,
               const Tensor& out) {
  const Maps maps(p.geometry);
  const TapAdder<T> taps(p, weight, true);
  const T* y = input.data<T>();
  const T* b = bias.defined() ? bias.data<T>() : nullptr;
  T* x = out.mutable_data<T>();
  const std::int64_t x_row = p.x_row(), y_row = p.y_row();
  for_rows(p, p.geometry.x, [&](std::int64_t row, std::int64_t n, std::int64_t d, std::int64_t h) {
    T* target = x + row * maps.w.x * x_row;
    fill_row(target, maps.w.x, x_row, b);
    for (std::int64_t kd = 0; kd < maps.d.kernel; ++kd) {
      const std::int64_t yd = maps.d.y_of(d, kd);
      if (yd < 0) continue;
      for (std::int64_t kh = 0; kh < maps.h.kernel; ++kh) {
        const std::int64_t yh = maps.h.y_of(h, kh);
        if (yh < 0) continue;
        const T* source = y + ((n * maps.d.y + yd) * maps.h.y + yh) * maps.w.y * y_row;
        for (std::int64_t kw = 0; kw < maps.w.kernel; ++kw) {
          const Range range = maps.w.y_range(kw);
          if (range.empty()) continue;
          taps.add(source + range.begin * y_row, y_row,
                   target + (range.begin * maps.w.stride + maps.w.shift(kw)) * x_row, maps.w.stride * x_row,
                   range.end - range.begin, maps.tap(kd, kh, kw));
        }
      }
    }
  });
}

}  // namespace

void conv_forward(const ConvProblem& p, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const Tensor& out) {
  out.dtype() == f64 ? forward<double>(p, x, weight, bias, out) : forward<float>(p, x, weight, bias, out);
}

void conv_transpose(const ConvProblem& p, const Tensor& y, const Tensor& weight, const Tensor& bias,
                    const Tensor& out) {
  out.dtype() == f64 ? transpose<double>(p, y, weight, bias, out) : transpose<float>(p, y, weight, bias, out);
}

}  // namespace lucid::direct
