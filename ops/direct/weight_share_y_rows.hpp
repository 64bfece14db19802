#pragma once
// A share of the weight's gradient whose columns are x channels.

#include "ops/direct/weight_share.hpp"

namespace lucid::direct {

/// For few y channels, which would leave vectors idle. Every stride-th voxel of a line of x meets the same
/// taps, which are neighbours: with the y channels of their voxels, which follow each other from the last tap
/// to the first, they are the rows of one product. Lines of y are copied with zeros around them.
template <class T>
class YRowsShare final : public WeightShare<T> {
 public:
  static bool fits(const ConvProblem& p) {
    constexpr std::int64_t kMostTaps = 64;
    return p.geometry.groups == 1 && p.y_channels < register_lanes<T>() && p.x_channels > p.y_channels &&
           p.x_channels % register_lanes<T>() == 0 && p.geometry.kernel[2] <= kMostTaps &&
           AxisMap(p.geometry, 2).taps_are_neighbours();
  }

  YRowsShare(const ConvProblem& p, const T* x, const T* y, Range tap_lines)
      : Base(p, x, y, tap_lines, tap_lines.size() * p.geometry.kernel[2] * p.y_channels * p.x_channels),
        margin_(taps_of(0) - 1),
        padded_line_((maps_.w.y + 2 * margin_) * p.y_channels),
        padded_(static_cast<std::size_t>(lines_at_once_ * padded_line_)) {}

 private:
  using Base = WeightShare<T>;
  using Base::lines_at_once_, Base::maps_, Base::p_, Base::sums_;

  // Of taps first, first + stride, ... : those that one voxel of x meets.
  std::int64_t taps_of(std::int64_t first) const { return (maps_.w.kernel - first - 1) / maps_.w.stride + 1; }
  // Sums are [line of taps][first tap][its taps, the last one first][y channel][x channel].
  std::int64_t row(std::int64_t tap_line, std::int64_t first) const {
    std::int64_t taps = 0;
    for (std::int64_t before = 0; before < first; ++before) taps += taps_of(before);
    return (tap_line * maps_.w.kernel + taps) * p_.y_channels * p_.x_channels;
  }
  typename Base::Places places_of(std::int64_t, std::int64_t tap, std::int64_t x) const override {
    const std::int64_t kw = tap % maps_.w.kernel, first = kw % maps_.w.stride;
    const std::int64_t from_last = taps_of(first) - 1 - kw / maps_.w.stride;
    return {row(tap / maps_.w.kernel, first) + from_last * p_.y_channels * p_.x_channels + x, p_.x_channels};
  }

  void set_lines(const T* y, std::int64_t lines) override {
    const std::int64_t line = maps_.w.y * p_.y_channels;
    for (std::int64_t i = 0; i < lines; ++i)
      std::copy_n(y + i * line, line, padded_.begin() + i * padded_line_ + margin_ * p_.y_channels);
  }
  void multiply(const T* x, std::int64_t first_line, std::int64_t lines, std::int64_t tap_line,
                std::int64_t) override {
    for (std::int64_t first = 0; first < std::min(maps_.w.stride, maps_.w.kernel); ++first) {
      const std::int64_t taps = taps_of(first), shift = maps_.w.shift(first);
      // Position j meets y position j at the first tap, j - 1 at the next.
      const Range met = positions(maps_.w.y + taps - 1, maps_.w.stride, shift, maps_.w.x);
      if (met.empty()) continue;
      add_product(RowsProduct<T>{.a = padded_.data() + first_line * padded_line_ +
                                      (margin_ + met.begin - (taps - 1)) * p_.y_channels,
                                 .a_row = 1,
                                 .a_step = p_.y_channels,
                                 .b = x + (met.begin * maps_.w.stride + shift) * p_.x_step(),
                                 .b_row = step_of(maps_.w.stride, p_.x_step()),
                                 .c = sums_.data() + row(tap_line, first),
                                 .c_row = p_.x_channels,
                                 .rows = taps * p_.y_channels,
                                 .depth = met.size(),
                                 .columns = p_.x_channels,
                                 .outer = lines,
                                 .a_outer = padded_line_,
                                 .b_outer = this->x_line_step()});
    }
  }

  std::int64_t margin_;  // voxels of zeros on each side of a line of y
  std::int64_t padded_line_;
  std::vector<T> padded_;
};

}  // namespace lucid::direct
