#pragma once
// A share of the weight's gradient whose columns are y channels.

#include "ops/direct/weight_share.hpp"

namespace lucid::direct {

/// The rows of its products are the x channels of a tap, or of a whole line of taps where their channels lie
/// together.
template <class T>
class XRowsShare final : public WeightShare<T> {
 public:
  XRowsShare(const ConvProblem& p, const T* x, const T* y, Range tap_lines)
      : XRowsShare(p, x, y, tap_lines, padded_to_lanes(p.y_channels, register_lanes<T>())) {}

 private:
  using Base = WeightShare<T>;
  using Base::lines_at_once_, Base::maps_, Base::p_, Base::sums_;
  static constexpr std::int64_t kMostPanels = 2;

  XRowsShare(const ConvProblem& p, const T* x, const T* y, Range tap_lines, std::int64_t columns)
      : Base(p, x, y, tap_lines,
             p.geometry.groups * tap_lines.size() * p.geometry.kernel[2] * p.x_channels * columns),
        tap_lines_(tap_lines.size()),
        columns_(columns),
        panels_((p.y_channels + kPanel<T> - 1) / kPanel<T>),
        packs_(p.y_channels != columns || p.y_row() > kMostPanels * kPanel<T>),
        runs_(p.geometry.groups == 1 && maps_.w.taps_are_neighbours() && fits_padded(p)),
        copies_(runs_ && (p.x_gap != 0 || maps_.w.common_range().size() < maps_.w.y)),
        padded_line_(runs_ ? ((maps_.w.y - 1) * maps_.w.stride + maps_.w.kernel) * p.x_channels : 0) {
    if (packs_) packed_.resize(static_cast<std::size_t>(p.geometry.groups * panels_ * panel_size()));
    if (copies_) padded_.resize(static_cast<std::size_t>(lines_at_once_ * padded_line_));
  }

  // Whether the positions that a line of y meets are hardly more than x has, and most of them in x.
  static bool fits_padded(const ConvProblem& p) {
    const AxisMap w(p.geometry, 2);
    const std::int64_t most = 2 * w.x + 64;
    if (w.kernel > most || w.y - 1 > most / w.stride) return false;
    std::int64_t inside = 0;
    for (std::int64_t k = 0; k < w.kernel; ++k) inside += std::max<std::int64_t>(0, w.y_range(k).size());
    return w.kernel * w.y <= 2 * inside;
  }

  // Of the sums of one x channel, [group][tap][x channel][y channel, padded].
  std::int64_t row(std::int64_t group, std::int64_t tap, std::int64_t x) const {
    return ((group * tap_lines_ * maps_.w.kernel + tap) * p_.x_channels + x) * columns_;
  }
  typename Base::Places places_of(std::int64_t group, std::int64_t tap, std::int64_t x) const override {
    return {row(group, tap, x), 1};
  }

  void set_lines(const T* y, std::int64_t lines) override {
    lines_ = y;
    if (packs_) pack(lines * maps_.w.y);
  }
  void multiply(const T* x, std::int64_t first, std::int64_t lines, std::int64_t tap_line,
                std::int64_t ahead) override {
    const std::int64_t voxel = first * maps_.w.y;
    if (copies_) {
      copy_padded(x, lines);
      add_run(padded_.data(), padded_line_, voxel, lines, tap_line, 0);
    } else if (runs_) {
      add_run(x, this->x_line_step(), voxel, lines, tap_line, ahead);
    } else {
      for (std::int64_t kw = 0; kw < maps_.w.kernel; ++kw)
        if (const Range voxels = maps_.w.y_range(kw); !voxels.empty())
          add_tap(x, voxel + voxels.begin, lines, voxels, tap_line, kw);
    }
  }

  std::int64_t panel_size() const { return packs_ ? lines_at_once_ * maps_.w.y * kPanel<T> : kPanel<T>; }
  // From one voxel of the lines of y to the next, and of a group's voxel.
  std::int64_t y_step() const { return packs_ ? kPanel<T> : p_.y_row(); }
  const T* y_at(std::int64_t group, std::int64_t voxel) const {
    return lines_ + group * (packs_ ? panels_ * panel_size() : p_.y_channels) + voxel * y_step();
  }

  // Neighbouring voxels of y as [group][panel of channels][voxel][kPanel]: at steps of many channels a few
  // voxels would displace each other from the first-level cache.
  void pack(std::int64_t voxels) {
    const T* from = lines_;
    for (std::int64_t i = 0; i < voxels; ++i)
      for (std::int64_t group = 0; group < p_.geometry.groups; ++group, from += p_.y_channels)
        copy_panels(from, p_.y_channels, packed_.data() + group * panels_ * panel_size() + i * kPanel<T>,
                    panel_size());
    lines_ = packed_.data();
  }

  // Copies lines of x with zeros where taps fall outside: the first tap of the first voxel lies in front.
  void copy_padded(const T* x, std::int64_t lines) {
    const std::int64_t channels = p_.x_channels, left = maps_.w.padding, voxels = padded_line_ / channels;
    const Range inside{std::min(left, voxels), std::min(left + maps_.w.x, voxels)};
    for (std::int64_t i = 0; i < lines; ++i) {
      const T* from = x + i * this->x_line_step();
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
    // The next group's lines of the cache, where a stride hides from the processor what comes.
    const bool fetches = maps_.w.stride > 1 && p_.x_channels % kLanes<T> == 0;
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
                                 .a_outer = this->x_line_step(),
                                 .b_outer = maps_.w.y * y_step(),
                                 .a_ahead = fetches && group + 1 < p_.geometry.groups ? p_.x_channels : 0});
  }

  std::int64_t tap_lines_, columns_, panels_;
  bool packs_;                // panels of y are copied; else they are read where they lie
  const T* lines_ = nullptr;  // of y, that are added
  bool runs_, copies_;        // the taps of a line are one run of channels; of a copy with zeros around it
  std::int64_t padded_line_;
  std::vector<T> packed_, padded_;
};

}  // namespace lucid::direct
