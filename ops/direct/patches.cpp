#include "ops/direct/patches.hpp"

#include <algorithm>
#include <vector>

#include "ops/direct/conv_maps.hpp"
#include "ops/direct/rows.hpp"

namespace lucid::direct {
namespace {

using ops::ConvProblem;

// A line of a patch is one run of elements (tap along W, channel) of x. The weight as [kd, kh][panel of that
// run][y channel][kPanel], zeros behind the run.
template <class T>
class PatchWeight {
 public:
  PatchWeight(const ConvProblem& p, const Tensor& weight, const ops::PackedWeights& kept)
      : depth_(p.y_channels),
        run_(p.geometry.kernel[2] * p.x_channels),
        panels_((run_ + kPanel<T> - 1) / kPanel<T>),
        buffer_(kept.find_or_pack(weight, [&] { return packed(p, weight); })),
        data_(buffer_.template data<T>()) {}

  /// Of tap line (kd, kh).
  const T* line(std::int64_t kd, std::int64_t kh, const ConvProblem& p) const {
    return data_ + (kd * p.geometry.kernel[1] + kh) * panels_ * panel_size();
  }
  std::int64_t panel_size() const { return depth_ * kPanel<T>; }
  std::int64_t run() const { return run_; }

 private:
  Tensor packed(const ConvProblem& p, const Tensor& weight) const {
    const Dims3& kernel = p.geometry.kernel;
    const std::int64_t lines = kernel[0] * kernel[1];
    const Tensor out = empty({lines, panels_, depth_, kPanel<T>}, dtype_of<T>());
    T* const to = out.data_to_write<T>();
    const T* const from = weight.data<T>();
    const Strides& s = weight.strides();
    parallel_for(depth_, grain_of_copies(weight.numel(), depth_), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t y = begin; y < end; ++y)
        for (std::int64_t line = 0; line < lines; ++line) {
          const T* at = from + y * s[0] + line / kernel[1] * s[2] + line % kernel[1] * s[3];
          pack_line(at, s, p.x_channels, to + (line * panels_ * depth_ + y) * kPanel<T>);
        }
    });
    return out;
  }
  // The run of one y channel, a panel at a time.
  void pack_line(const T* from, const Strides& s, std::int64_t channels, T* to) const {
    std::int64_t kw = 0, x = 0;
    for (std::int64_t panel = 0; panel < panels_; ++panel, to += panel_size())
      for (std::int64_t j = 0; j < kPanel<T>; ++j) {
        to[j] = panel * kPanel<T> + j < run_ ? from[x * s[1] + kw * s[4]] : T(0);
        if (++x == channels) x = 0, ++kw;
      }
  }

  std::int64_t depth_, run_, panels_;
  Tensor buffer_;
  const T* data_;
};

// `bias` for each voxel of x behind the last patch (output_padding).
template <class T>
void fill_behind(const ConvProblem& p, const T* bias, T* x) {
  const Dims3 &size = p.geometry.x, &stride = p.geometry.stride, &y = p.geometry.y;
  bool has_behind = false;
  for (std::size_t i = 0; i < 3; ++i) has_behind = has_behind || size[i] > y[i] * stride[i];
  if (!has_behind) return;
  const std::int64_t lines = p.batch * size[0] * size[1], channels = p.x_channels;
  parallel_for(lines, grain_of(p.work(), lines), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin; line < end; ++line) {
      const std::int64_t d = line / size[1] % size[0], h = line % size[1];
      const bool is_behind = d >= y[0] * stride[0] || h >= y[1] * stride[1];
      for (std::int64_t w = is_behind ? 0 : y[2] * stride[2]; w < size[2]; ++w) {
        T* const voxel = x + (line * size[2] + w) * channels;
        if (bias)
          std::copy(bias, bias + channels, voxel);
        else
          std::fill(voxel, voxel + channels, T(0));
      }
    }
  });
}

// The values that the sums of a run of `count` elements start from, whole vectors of them; empty without a
// bias.
template <class T>
std::vector<T> repeated(const Tensor& bias, std::int64_t count) {
  std::vector<T> out;
  if (!bias.defined()) return out;
  out.resize(static_cast<std::size_t>(padded_to_lanes(count, kPanel<T>)));
  for (std::int64_t i = 0; i < count; ++i)
    out[static_cast<std::size_t>(i)] = bias.data<T>()[i % bias.numel()];
  return out;
}
template <class T>
const T* data_or_null(const std::vector<T>& values) {
  return values.empty() ? nullptr : values.data();
}

// Calls f(plane, first line, lines) for parts of the planes (n, d) of y.
template <class F>
void for_parts(const ConvProblem& p, F&& f) {
  const Dims3& y = p.geometry.y;
  const std::int64_t planes = p.batch * y[0], step = lines_at_once(y[1], y[2], planes);
  const std::int64_t parts = (y[1] + step - 1) / step, tasks = planes * parts;
  parallel_walk(tasks, grain_of(p.work(), tasks), [&](Turns& turns) {
    while (const auto task = turns.next()) {
      const std::int64_t first = *task % parts * step;
      f(*task / parts, first, std::min(step, y[1] - first));
    }
  });
}

// The first voxel of x's line that meets tap (kd, kh) of y's line h in plane (n, d).
std::int64_t x_voxel(const ConvProblem& p, std::int64_t plane, std::int64_t h, std::int64_t kd,
                     std::int64_t kh) {
  const Dims3 &x = p.geometry.x, &y = p.geometry.y, &stride = p.geometry.stride;
  const std::int64_t n = plane / y[0], d = plane % y[0];
  return ((n * x[0] + d * stride[0] + kd) * x[1] + h * stride[1] + kh) * x[2];
}

template <class T>
void scatter(const ConvProblem& p, const Tensor& input, const Tensor& weight, const Tensor& bias,
             const Tensor& out, const ops::PackedWeights& kept) {
  const PatchWeight<T> packed(p, weight, kept);
  const std::vector<T> start = repeated<T>(bias, packed.run());
  const T* const y = input.data<T>();
  T* const x = out.data_to_write<T>();
  const Dims3 &size = p.geometry.y, &kernel = p.geometry.kernel;
  const std::int64_t y_line = size[2] * p.y_channels, x_line = p.geometry.x[2] * p.x_channels;
  const bool past_caches = takes_past_caches<T>(packed.run()) &&
                           goes_past_caches(x, out.nbytes(), x_line * static_cast<std::int64_t>(sizeof(T)));
  for_parts(p, [&](std::int64_t plane, std::int64_t first, std::int64_t lines) {
    for (std::int64_t kd = 0; kd < kernel[0]; ++kd)
      for (std::int64_t kh = 0; kh < kernel[1]; ++kh)
        store_product(RowsProduct<T>{.a = y + (plane * size[1] + first) * y_line,
                                     .a_row = p.y_channels,
                                     .a_step = 1,
                                     .b = packed.line(kd, kh, p),
                                     .b_row = kPanel<T>,
                                     .c = x + x_voxel(p, plane, first, kd, kh) * p.x_channels,
                                     .c_row = packed.run(),
                                     .rows = size[2],
                                     .depth = p.y_channels,
                                     .columns = packed.run(),
                                     .b_panel = packed.panel_size(),
                                     .lines = lines,
                                     .a_line = y_line,
                                     .c_line = kernel[1] * x_line,
                                     .start = data_or_null(start),
                                     .past_caches = past_caches});
  });
  fill_behind(p, bias.defined() ? bias.data<T>() : nullptr, x);
}

}  // namespace

bool has_patches(const ConvProblem& p) {
  const ops::ConvGeometry& g = p.geometry;
  if (g.groups != 1) return false;
  for (std::size_t i = 0; i < 3; ++i)
    if (g.kernel[i] != g.stride[i] || g.padding[i] != 0 || (g.dilation[i] != 1 && g.kernel[i] != 1) ||
        g.x[i] < g.y[i] * g.stride[i])
      return false;
  return true;
}

void scatter_patches(const ConvProblem& p, const Tensor& y, const Tensor& weight, const Tensor& bias,
                     const Tensor& x, const ops::PackedWeights& kept) {
  x.dtype() == f64 ? scatter<double>(p, y, weight, bias, x, kept)
                   : scatter<float>(p, y, weight, bias, x, kept);
}

}  // namespace lucid::direct
