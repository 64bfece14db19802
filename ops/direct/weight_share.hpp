#pragma once
// What one thread adds to the gradient of a convolution's weight (ops/direct/conv_weight.cpp).

#include <algorithm>
#include <vector>

#include "ops/direct/conv_maps.hpp"
#include "ops/direct/rows.hpp"

namespace lucid::direct {

using ops::ConvProblem;

/// One thread's share of the weight's gradient: the sums over some planes of y, for some lines of taps (kd,
// kh). A few lines of y at a time meet all taps, so that x and y are read from memory once. Some thousand
// products are summed in T, then added in double.
template <class T>
class WeightShare {
 public:
  WeightShare(const ConvProblem& p, const T* x, const T* y, Range tap_lines)
      : p_(p),
        maps_(p.geometry),
        x_(x),
        y_(y),
        tap_lines_(tap_lines),
        columns_(padded_to_lanes(p.y_channels, kLanes<T>)),
        panels_((p.y_channels + kPanel<T> - 1) / kPanel<T>),
        packs_(p.y_channels % kPanel<T> != 0 || p.y_row() > kMostPanels * kPanel<T>),
        runs_(p.geometry.groups == 1 && maps_.w.taps_are_neighbours() && fits_padded(p)),
        copies_(runs_ && (p.x_gap != 0 || maps_.w.common_range().size() < maps_.w.y)),
        padded_line_(runs_ ? ((maps_.w.y - 1) * maps_.w.stride + maps_.w.kernel) * p.x_channels : 0),
        lines_at_once_(lines_at_once(p)),
        sums_(static_cast<std::size_t>(p.geometry.groups * tap_lines.size() * maps_.w.kernel * p.x_channels *
                                       columns_)) {
    if (packs_) packed_.resize(static_cast<std::size_t>(p.geometry.groups * panels_ * panel_size()));
    if (copies_) padded_.resize(static_cast<std::size_t>(lines_at_once_ * padded_line_));
  }

  /// y in pieces of a few neighbouring lines of a plane (n, d).
  static std::int64_t pieces(const ConvProblem& p) { return p.batch * p.geometry.y[0] * pieces_of_plane(p); }
  /// Adds pieces [begin, end). Each meets all lines of taps at once, or, where the sums would not stay in a
  /// core's cache, one line after the other.
  void add(std::int64_t begin, std::int64_t end) {
    const std::int64_t step = sums_.size() * sizeof(T) <= kCachedBytes ? tap_lines_.size() : 1;
    const std::int64_t of_plane = pieces_of_plane(p_);
    for (std::int64_t line = tap_lines_.begin; line < tap_lines_.end; line += step)
      for (std::int64_t piece = begin; piece < end; ++piece) {
        const std::int64_t plane = piece / of_plane, h = piece % of_plane * lines_at_once_;
        const Range lines{h, std::min(h + lines_at_once_, maps_.h.y)};
        add_lines(plane / maps_.d.y, plane % maps_.d.y, lines, {line, line + step});
        voxels_ += lines.size() * maps_.w.y;
        if (voxels_ > kSummedInT) flush();
      }
  }

  /// sums[j] += the gradients of y channels first + j, j < count, if the share has this tap.
  void add_to(double* sums, std::int64_t group, std::int64_t tap, std::int64_t x, std::int64_t first,
              std::int64_t count) const {
    const std::int64_t line = tap / maps_.w.kernel;
    if (line < tap_lines_.begin || line >= tap_lines_.end) return;
    const std::int64_t at = row(group, tap - tap_lines_.begin * maps_.w.kernel, x) + first;
    for (std::int64_t j = 0; j < count; ++j) sums[j] += static_cast<double>(sums_[at_(at + j)]);
    if (!total_.empty())
      for (std::int64_t j = 0; j < count; ++j) sums[j] += total_[at_(at + j)];
  }

 private:
  static constexpr std::int64_t kCachedVoxels = 128, kSummedInT = 4096;
  static constexpr std::size_t kCachedBytes = 1 << 19;
  static constexpr std::int64_t kMostPanels = 2;
  // Whether the positions that a line of y meets are hardly more than x has, and most of them in x.
  static bool fits_padded(const ConvProblem& p) {
    const AxisMap w(p.geometry, 2);
    const std::int64_t most = 2 * w.x + 64;
    if (w.kernel > most || w.y - 1 > most / w.stride) return false;
    std::int64_t inside = 0;
    for (std::int64_t k = 0; k < w.kernel; ++k) inside += std::max<std::int64_t>(0, w.y_range(k).size());
    return w.kernel * w.y <= 2 * inside;
  }
  static std::int64_t lines_at_once(const ConvProblem& p) {
    return std::max<std::int64_t>(1, kCachedVoxels / p.geometry.y[2]);
  }
  static std::int64_t pieces_of_plane(const ConvProblem& p) {
    return (p.geometry.y[1] + lines_at_once(p) - 1) / lines_at_once(p);
  }
  static std::size_t at_(std::int64_t i) { return static_cast<std::size_t>(i); }

  // Of the sums of one x channel, [group][tap][x channel][y channel, padded].
  std::int64_t row(std::int64_t group, std::int64_t tap, std::int64_t x) const {
    return ((group * tap_lines_.size() * maps_.w.kernel + tap) * p_.x_channels + x) * columns_;
  }

  void flush() {
    total_.resize(sums_.size());
    for (std::size_t i = 0; i < total_.size(); ++i) {
      total_[i] += static_cast<double>(sums_[i]);
      sums_[i] = T(0);
    }
    voxels_ = 0;
  }

  // What lines of y at (n, d) add.
  void add_lines(std::int64_t n, std::int64_t d, Range lines, Range tap_lines) {
    lines_ = y_ + ((n * maps_.d.y + d) * maps_.h.y + lines.begin) * maps_.w.y * p_.y_row();
    if (packs_) pack(lines.size() * maps_.w.y);
    for (std::int64_t line = tap_lines.begin; line < tap_lines.end; ++line) {
      const Range met = lines_met(lines, line);
      const T* const x = met.empty() ? nullptr : x_line(n, d, line, met.begin);
      if (!x) continue;
      const std::int64_t first = (met.begin - lines.begin) * maps_.w.y, tap_line = line - tap_lines_.begin;
      if (copies_) {
        copy_padded(x, met.size());
        add_run(padded_.data(), padded_line_, first, met.size(), tap_line, 0);
      } else if (runs_) {
        add_run(x, step_of(maps_.h.stride, maps_.w.x * p_.x_channels), first, met.size(), tap_line,
                ahead(x, n, d, lines, tap_lines, line + 1));
      } else {
        for (std::int64_t kw = 0; kw < maps_.w.kernel; ++kw)
          if (const Range voxels = maps_.w.y_range(kw); !voxels.empty())
            add_tap(x, first + voxels.begin, met.size(), voxels, tap_line, kw);
      }
    }
  }

  // Of `lines` of y, those that meet a line of x at tap line (kd, kh).
  Range lines_met(Range lines, std::int64_t tap_line) const {
    const Range range = maps_.h.y_range(tap_line % maps_.h.kernel);
    return {std::max(range.begin, lines.begin), std::min(range.end, lines.end)};
  }
  // The line of x that line h of y at (n, d) meets there; null outside.
  const T* x_line(std::int64_t n, std::int64_t d, std::int64_t tap_line, std::int64_t h) const {
    const std::int64_t xd = maps_.d.x_of(d, tap_line / maps_.h.kernel),
                       xh = maps_.h.x_of(h, tap_line % maps_.h.kernel);
    if (xd < 0 || xh < 0) return nullptr;
    return x_ + ((n * maps_.d.x + xd) * maps_.h.x + xh) * maps_.w.x * p_.x_step();
  }
  // How far behind x lie the lines that are multiplied next, those of one tap line, or the next lines' first.
  std::int64_t ahead(const T* x, std::int64_t n, std::int64_t d, Range lines, Range tap_lines,
                     std::int64_t tap_line) const {
    if (tap_line == tap_lines.end) {
      tap_line = tap_lines.begin;
      lines = {lines.end, std::min(lines.end + lines.size(), maps_.h.y)};
    }
    const Range met = lines_met(lines, tap_line);
    const T* const next = met.empty() ? nullptr : x_line(n, d, tap_line, met.begin);
    return next ? next - x : 0;
  }

  std::int64_t panel_size() const { return packs_ ? lines_at_once_ * maps_.w.y * kPanel<T> : kPanel<T>; }
  // From one voxel of the lines of y to the next, and of a group's voxel.
  std::int64_t y_step() const { return packs_ ? kPanel<T> : p_.y_row(); }
  const T* y_at(std::int64_t group, std::int64_t voxel) const {
    return lines_ + group * panels_ * panel_size() + voxel * y_step();
  }

  // Neighbouring voxels of y as [group][panel of channels][voxel][kPanel]: at steps of many channels a few
  // voxels would displace each other from the first-level cache.
  void pack(std::int64_t voxels) {
    for (std::int64_t panel = 0; panel < p_.geometry.groups * panels_; ++panel) {
      const std::int64_t group = panel / panels_, first = panel % panels_ * kPanel<T>;
      const std::int64_t count = std::min(kPanel<T>, p_.y_channels - first);
      const T* from = lines_ + group * p_.y_channels + first;
      T* to = packed_.data() + panel * panel_size();
      for (std::int64_t i = 0; i < voxels; ++i, from += p_.y_row(), to += kPanel<T>)
        copy_panels(from, count, to);
    }
    lines_ = packed_.data();
  }

  // Copies lines of x with zeros where taps fall outside: the first tap of the first voxel lies in front.
  void copy_padded(const T* x, std::int64_t lines) {
    const std::int64_t channels = p_.x_channels, left = maps_.w.padding, voxels = padded_line_ / channels;
    const Range inside{std::min(left, voxels), std::min(left + maps_.w.x, voxels)};
    for (std::int64_t i = 0; i < lines; ++i) {
      const T* from = x + i * step_of(maps_.h.stride, maps_.w.x * p_.x_step());
      T* to = padded_.data() + i * padded_line_;
      std::fill(to, to + inside.begin * channels, T(0));
      std::fill(to + inside.end * channels, to + padded_line_, T(0));
      to += inside.begin * channels;
      if (p_.x_gap == 0)
        std::copy(from, from + inside.size() * channels, to);
      else
        for (std::int64_t w = 0; w < inside.size(); ++w, from += p_.x_step(), to += channels)
          copy_panels(from, channels, to);
    }
  }
  // All taps of a line, whose channels are one run: of lines whose taps all lie inside, `x_line` apart.
  void add_run(const T* x, std::int64_t x_line, std::int64_t y_voxel, std::int64_t lines,
               std::int64_t tap_line, std::int64_t fetched) {
    add_product(RowsProduct<T>{.a = x,
                               .a_row = 1,
                               .a_step = step_of(maps_.w.stride, p_.x_channels),
                               .b = y_at(0, y_voxel),
                               .b_row = y_step(),
                               .c = sums_.data() + row(0, tap_line * maps_.w.kernel, 0),
                               .c_row = columns_,
                               .rows = maps_.w.kernel * p_.x_channels,
                               .depth = maps_.w.y,
                               .columns = columns_,
                               .b_panel = panel_size(),
                               .outer = lines,
                               .a_outer = x_line,
                               .b_outer = maps_.w.y * y_step(),
                               .a_ahead = fetched});
  }

  // One tap, for the voxels of each line that meet it.
  void add_tap(const T* x, std::int64_t y_voxel, std::int64_t lines, Range voxels, std::int64_t tap_line,
               std::int64_t kw) {
    const std::int64_t first = voxels.begin * maps_.w.stride + maps_.w.shift(kw);
    for (std::int64_t group = 0; group < p_.geometry.groups; ++group)
      add_product(RowsProduct<T>{.a = x + first * p_.x_step() + group * p_.x_channels,
                                 .a_row = 1,
                                 .a_step = step_of(maps_.w.stride, p_.x_step()),
                                 .b = y_at(group, y_voxel),
                                 .b_row = y_step(),
                                 .c = sums_.data() + row(group, tap_line * maps_.w.kernel + kw, 0),
                                 .c_row = columns_,
                                 .rows = p_.x_channels,
                                 .depth = voxels.size(),
                                 .columns = columns_,
                                 .b_panel = panel_size(),
                                 .outer = lines,
                                 .a_outer = step_of(maps_.h.stride, maps_.w.x * p_.x_step()),
                                 .b_outer = maps_.w.y * y_step()});
  }

  const ConvProblem& p_;
  Maps maps_;
  const T* x_;
  const T* y_;
  Range tap_lines_;
  std::int64_t columns_, panels_;
  bool packs_;                // panels of y are copied; else they are read where they lie
  const T* lines_ = nullptr;  // of y, that are added
  bool runs_, copies_;        // the taps of a line are one run of channels; of a copy with zeros around it
  std::int64_t padded_line_;
  std::int64_t lines_at_once_, voxels_ = 0;
  std::vector<T> packed_, padded_, sums_;
  std::vector<double> total_;
};

}  // namespace lucid::direct
