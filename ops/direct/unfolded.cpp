#include "ops/direct/unfolded.hpp"

#include <algorithm>

#include "ops/direct/conv_maps.hpp"
#include "ops/kernels/gemm.hpp"

namespace lucid::direct {
namespace {

// Elements that are unfolded at once: 4 MB of float, or up to four times that for kLeastChannels.
constexpr std::int64_t kPatchElements = 1 << 20;
constexpr std::int64_t kLeastChannels = 16;  // of x at once: a line of the cache

// x's channels in chunks: patches (positions of y, channels of the chunk, taps) beside the weight's columns.
template <class T>
class Unfolded {
 public:
  Unfolded(const ConvProblem& p, const Tensor& weight)
      : p_(p),
        maps_(p.geometry),
        taps_(p.taps()),
        rows_(p.y_voxels()),
        chunk_(std::min(p.x_channels, std::max(kLeastChannels, kPatchElements / (rows_ * taps_) /
                                                                   kLeastChannels * kLeastChannels))),
        weight_row_(p.x_channels * taps_),
        weight_(weight),
        patches_(empty({rows_, chunk_ * taps_}, dtype_of<T>())) {}

  void y_from_x(const Tensor& x, const Tensor& y, const Tensor& bias) {
    T* const out = y.data_to_write<T>();
    if (bias.defined())
      for (std::int64_t row = 0; row < rows_; ++row)
        std::copy_n(bias.data<T>(), p_.y_channels, out + row * p_.y_channels);
    for_chunks([&](std::int64_t first, std::int64_t count) {
      unfold(x.data<T>() + first, count);
      kernels::gemm<T>(false, true, rows_, p_.y_channels, count * taps_, T(1), patches_.data<T>(),
                       count * taps_, weight_.data<T>() + first * taps_, weight_row_,
                       T(first > 0 || bias.defined()), out, p_.y_channels);
    });
  }

  void x_from_y(const Tensor& x, const Tensor& y, const Tensor& bias) {
    for_chunks([&](std::int64_t first, std::int64_t count) {
      kernels::gemm<T>(false, false, rows_, count * taps_, p_.y_channels, T(1), y.data<T>(), p_.y_channels,
                       weight_.data<T>() + first * taps_, weight_row_, T(0), patches_.data_to_write<T>(),
                       count * taps_);
      fold(x.data_to_write<T>() + first, count, bias.defined() ? bias.data<T>() + first : nullptr);
    });
  }

  void weight_from_both(const Tensor& x, const Tensor& y) {
    for_chunks([&](std::int64_t first, std::int64_t count) {
      unfold(x.data<T>() + first, count);
      kernels::gemm<T>(true, false, p_.y_channels, count * taps_, rows_, T(1), y.data<T>(), p_.y_channels,
                       patches_.data<T>(), count * taps_, T(0), weight_.data_to_write<T>() + first * taps_,
                       weight_row_);
    });
  }

 private:
  template <class F>
  void for_chunks(F&& f) {
    for (std::int64_t first = 0; first < p_.x_channels; first += chunk_)
      f(first, std::min(chunk_, p_.x_channels - first));
  }

  // The voxel of x at (n, d, h, w).
  std::int64_t voxel(std::int64_t n, std::int64_t d, std::int64_t h, std::int64_t w) const {
    return ((n * maps_.d.x + d) * maps_.h.x + h) * maps_.w.x + w;
  }

  // patches[row][channel][tap] = x at the tap, zeros outside.
  void unfold(const T* x, std::int64_t channels) {
    T* const patches = patches_.data_to_write<T>();
    const std::int64_t patch = channels * taps_;
    parallel_for(rows_, grain_of_copies(rows_ * patch, rows_), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const std::int64_t w = row % maps_.w.y, h = row / maps_.w.y % maps_.h.y,
                           d = row / maps_.w.y / maps_.h.y % maps_.d.y,
                           n = row / maps_.w.y / maps_.h.y / maps_.d.y;
        // some channels at a time, so that the first-level cache holds where they go
        for (std::int64_t c = 0; c < channels; c += kLeastChannels)
          for (std::int64_t tap = 0; tap < taps_; ++tap) {
            const std::int64_t xw = maps_.w.x_of(w, tap % maps_.w.kernel),
                               xh = maps_.h.x_of(h, tap / maps_.w.kernel % maps_.h.kernel),
                               xd = maps_.d.x_of(d, tap / maps_.w.kernel / maps_.h.kernel);
            T* const to = patches + row * patch + c * taps_ + tap;
            const bool is_inside = xw >= 0 && xh >= 0 && xd >= 0;
            take(is_inside ? x + voxel(n, xd, xh, xw) * p_.x_row() + c : nullptr, to,
                 std::min(kLeastChannels, channels - c));
          }
      }
    });
  }
  // Zeros from null.
  void take(const T* from, T* to, std::int64_t channels) const {
    for (std::int64_t c = 0; c < channels; ++c) to[c * taps_] = from ? from[c] : T(0);
  }

  // The transpose of unfold(): x = bias + the sum over the patches that hold it, a depth of x at a time.
  void fold(T* x, std::int64_t channels, const T* bias) {
    const std::int64_t planes = p_.batch * maps_.d.x, area = maps_.h.x * maps_.w.x;
    parallel_for(planes, grain_of_copies(rows_ * channels * taps_, planes),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t plane = begin; plane < end; ++plane) {
                     T* const to = x + plane * area * p_.x_row();
                     for (std::int64_t at = 0; at < area; ++at)
                       bias ? std::copy_n(bias, channels, to + at * p_.x_row())
                            : std::fill_n(to + at * p_.x_row(), channels, T(0));
                     for (std::int64_t kd = 0; kd < maps_.d.kernel; ++kd) {
                       const std::int64_t d = maps_.d.y_of(plane % maps_.d.x, kd);
                       if (d >= 0) add_plane(to, plane / maps_.d.x * maps_.d.y + d, kd, channels);
                     }
                   }
                 });
  }
  // What plane (n, d) of y adds to one of x by the taps at kd.
  void add_plane(T* x, std::int64_t plane, std::int64_t kd, std::int64_t channels) const {
    const std::int64_t area = maps_.h.kernel * maps_.w.kernel, patch = channels * taps_;
    const T* from = patches_.data<T>() + plane * maps_.h.y * maps_.w.y * patch + kd * area;
    for (std::int64_t h = 0; h < maps_.h.y; ++h)
      for (std::int64_t w = 0; w < maps_.w.y; ++w, from += patch)
        for (std::int64_t c = 0; c < channels; c += kLeastChannels)
          for (std::int64_t tap = 0; tap < area; ++tap) {
            const std::int64_t xh = maps_.h.x_of(h, tap / maps_.w.kernel),
                               xw = maps_.w.x_of(w, tap % maps_.w.kernel);
            if (xh < 0 || xw < 0) continue;
            const T* const tapped = from + c * taps_ + tap;
            T* const to = x + (xh * maps_.w.x + xw) * p_.x_row() + c;
            const std::int64_t count = std::min(kLeastChannels, channels - c);
            for (std::int64_t i = 0; i < count; ++i) to[i] += tapped[i * taps_];
          }
  }

  const ConvProblem& p_;
  Maps maps_;
  std::int64_t taps_, rows_, chunk_, weight_row_;
  const Tensor& weight_;
  Tensor patches_;
};

template <class T>
void run(const ConvProblem& p, ConvPass pass, const Tensor& x, const Tensor& weight, const Tensor& y,
         const Tensor& bias) {
  Unfolded<T> unfolded(p, weight);
  switch (pass) {
    case ConvPass::y: return unfolded.y_from_x(x, y, bias);
    case ConvPass::x: return unfolded.x_from_y(x, y, bias);
    case ConvPass::w: return unfolded.weight_from_both(x, y);
  }
}

}  // namespace

bool has_unfolded(const ConvProblem& p) {
  constexpr double kMostElements = 4 * kPatchElements;
  return p.geometry.groups == 1 &&
         static_cast<double>(p.y_voxels()) * static_cast<double>(p.taps() * kLeastChannels) <= kMostElements;
}

void run_unfolded(const ConvProblem& p, ConvPass pass, const Tensor& x, const Tensor& weight, const Tensor& y,
                  const Tensor& bias) {
  weight.dtype() == f64 ? run<double>(p, pass, x, weight, y, bias) : run<float>(p, pass, x, weight, y, bias);
}

}  // namespace lucid::direct
