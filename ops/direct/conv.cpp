#include "ops/direct/conv.hpp"

#include <algorithm>

#include "ops/direct/conv_maps.hpp"
#include "ops/direct/packed_weight.hpp"
#include "ops/direct/patches.hpp"

namespace lucid::direct {
namespace {

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

// What is added to lines of voxels: `taps` neighbours along W, and `heights` along H from there.
template <class T>
struct Source {
  const T* at;                         // of the first tap
  std::int64_t voxel_step, line_step;  // from one voxel of the target to the next, from line to line
  std::int64_t height_step;            // from a tap to the next along H
  std::int64_t first, taps, heights;
};
template <class T>
struct Target {
  T* at;
  std::int64_t voxel_step, line_step;
  std::int64_t voxels, lines;
};

// Neighbours along W are one run of channels in a and in the packed weight where there is one group and no
// dilation.
template <class T>
void add_taps(const ConvProblem& p, const PackedWeight<T>& weight, const Source<T>& a, const Target<T>& c) {
  if (c.voxels <= 0 || c.lines <= 0) return;
  for (std::int64_t group = 0; group < p.geometry.groups; ++group)
    add_product(RowsProduct<T>{.a = a.at + group * weight.depth(),
                               .a_row = a.voxel_step,
                               .a_step = 1,
                               .b = weight.at(group, a.first),
                               .b_row = kPanel<T>,
                               .c = c.at + group * weight.columns(),
                               .c_row = c.voxel_step,
                               .rows = c.voxels,
                               .depth = a.taps * weight.depth(),
                               .columns = weight.columns(),
                               .b_panel = weight.panel_size(),
                               .outer = a.heights,
                               .a_outer = a.height_step,
                               .b_outer = p.geometry.kernel[2] * weight.tap_size(),
                               .lines = c.lines,
                               .a_line = a.line_step,
                               .c_line = c.line_step});
}

// The lines [begin, end) of y at one depth.
template <class T>
class ForwardLines {
 public:
  ForwardLines(const ConvProblem& p, const PackedWeight<T>& weight, const T* x, T* y)
      : p_(p), maps_(p.geometry), weight_(weight), x_(x), y_(y) {
    if (p.geometry.groups == 1 && maps_.w.taps_are_neighbours()) inner_ = maps_.w.common_range();
  }

  void add(std::int64_t n, std::int64_t d, Range lines) const {
    for (std::int64_t kd = 0; kd < maps_.d.kernel; ++kd) {
      const std::int64_t xd = maps_.d.x_of(d, kd);
      if (xd < 0) continue;
      const T* source = x_ + (n * maps_.d.x + xd) * maps_.h.x * maps_.w.x * p_.x_row();
      T* target = y_ + (n * maps_.d.y + d) * maps_.h.y * maps_.w.y * p_.y_row();
      for (std::int64_t h = lines.begin; h < lines.end;) {
        const Range heights = maps_.h.taps_at(h);
        std::int64_t next = h + 1;  // lines with the same taps go together
        while (next < lines.end && maps_.h.taps_at(next) == heights) ++next;
        if (!heights.empty()) add_lines(source, target, kd, {h, next}, heights);
        h = next;
      }
    }
  }

 private:
  void add_lines(const T* source, T* target, std::int64_t kd, Range lines, Range heights) const {
    const auto add = [&](Range voxels, std::int64_t kw, std::int64_t taps) {
      if (voxels.empty()) return;
      const std::int64_t x_line = maps_.w.x * p_.x_row(), y_line = maps_.w.y * p_.y_row();
      const std::int64_t x_voxel = voxels.begin * maps_.w.stride + maps_.w.shift(kw);
      add_taps<T>(p_, weight_,
                  {.at = source + maps_.h.x_of(lines.begin, heights.begin) * x_line + x_voxel * p_.x_row(),
                   .voxel_step = step_of(maps_.w.stride, p_.x_row()),
                   .line_step = step_of(maps_.h.stride, x_line),
                   .height_step = step_of(maps_.h.dilation, x_line),
                   .first = maps_.tap(kd, heights.begin, kw),
                   .taps = taps,
                   .heights = heights.size()},
                  {.at = target + lines.begin * y_line + voxels.begin * p_.y_row(),
                   .voxel_step = p_.y_row(),
                   .line_step = y_line,
                   .voxels = voxels.size(),
                   .lines = lines.size()});
    };
    add(inner_, 0, maps_.w.kernel);
    for (std::int64_t kw = 0; kw < maps_.w.kernel; ++kw) {
      const auto [before, after] = without(maps_.w.y_range(kw), inner_);
      add(before, kw, 1);
      add(after, kw, 1);
    }
  }

  const ConvProblem& p_;
  Maps maps_;
  const PackedWeight<T>& weight_;
  const T* x_;
  T* y_;
  Range inner_;
};

template <class T>
void forward(const ConvProblem& p, const Tensor& input, const Tensor& weight, const Tensor& bias,
             const Tensor& out, const ops::PackedWeights& kept) {
  const PackedWeight<T> packed(p, weight, false, kept);
  T* const y = out.mutable_data<T>();
  const ForwardLines<T> lines(p, packed, input.data<T>(), y);
  const T* const b = bias.defined() ? bias.data<T>() : nullptr;
  const Dims3& size = p.geometry.y;
  const std::int64_t step = lines_at_once(size[1], size[2], p.batch * size[0]);
  const std::int64_t parts = (size[1] + step - 1) / step, tasks = p.batch * size[0] * parts;
  const std::int64_t line = size[2] * p.y_row();
  parallel_for(tasks, grain_of(p.work(), tasks), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t plane = task / parts;
      const Range part{task % parts * step, std::min(size[1], (task % parts + 1) * step)};
      fill_row(y + (plane * size[1] + part.begin) * line, part.size() * size[2], p.y_row(), b);
      lines.add(plane / size[0], plane % size[0], part);
    }
  });
}

template <class T>
void transpose(const ConvProblem& p, const Tensor& input, const Tensor& weight, const Tensor& bias,
               const Tensor& out, const ops::PackedWeights& kept) {
  const Maps maps(p.geometry);
  const PackedWeight<T> packed(p, weight, true, kept);
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
          add_taps<T>(p, packed,
                      {.at = source + range.begin * y_row,
                       .voxel_step = y_row,
                       .line_step = 0,
                       .height_step = 0,
                       .first = maps.tap(kd, kh, kw),
                       .taps = 1,
                       .heights = 1},
                      {.at = target + (range.begin * maps.w.stride + maps.w.shift(kw)) * x_row,
                       .voxel_step = step_of(maps.w.stride, x_row),
                       .line_step = 0,
                       .voxels = range.size(),
                       .lines = 1});
        }
      }
    }
  });
}

}  // namespace

void conv_forward(const ConvProblem& p, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const Tensor& out, const ops::PackedWeights& kept) {
  if (has_patches(p)) return gather_patches(p, x, weight, bias, out, kept);
  out.dtype() == f64 ? forward<double>(p, x, weight, bias, out, kept)
                     : forward<float>(p, x, weight, bias, out, kept);
}

void conv_transpose(const ConvProblem& p, const Tensor& y, const Tensor& weight, const Tensor& bias,
                    const Tensor& out, const ops::PackedWeights& kept) {
  if (has_patches(p)) return scatter_patches(p, y, weight, bias, out, kept);
  out.dtype() == f64 ? transpose<double>(p, y, weight, bias, out, kept)
                     : transpose<float>(p, y, weight, bias, out, kept);
}

}  // namespace lucid::direct
