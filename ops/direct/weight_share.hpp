#pragma once
// What one thread adds to the gradient of a convolution's weight (ops/direct/conv_weight.cpp).

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "ops/direct/conv_maps.hpp"
#include "ops/direct/rows.hpp"

namespace lucid::direct {

using ops::ConvProblem;

/// to[i] = the sum over all parts of their i-th total; each part has `sums` of them, one behind the other.
template <class T>
void write_totals(const std::vector<double>& totals, std::int64_t sums, T* to) {
  const std::int64_t size = std::ssize(totals);
  parallel_for(sums, grain_of_copies(size, sums), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      double total = 0;
      for (std::int64_t at = i; at < size; at += sums) total += totals[static_cast<std::size_t>(at)];
      to[i] = static_cast<T>(total);
    }
  });
}

/// One thread's share of the weight's gradient: the sums over some planes of y, for some lines of taps (kd,
/// kh). A few lines of y at a time meet all taps, so that x and y are read from memory once. Some thousand
/// products are summed in T, then added in double. Which operand's channels are the columns of the products,
/// whole vectors, is up to a derived class: XRowsShare, YRowsShare.
template <class T>
class WeightShare {
 public:
  /// Voxels of a piece, unless its one line has more.
  static constexpr std::int64_t kCachedVoxels = 128;

  virtual ~WeightShare() = default;

  /// y in pieces of a few neighbouring lines of a plane (n, d).
  static std::int64_t pieces(const ConvProblem& p) { return p.batch * p.geometry.y[0] * pieces_of_plane(p); }
  /// Adds pieces [begin, end). Each meets all lines of taps at once, or, where the sums would not stay in a
  /// core's cache, one line after the other.
  void add(std::int64_t begin, std::int64_t end) {
    const std::int64_t step = sums_.size() * sizeof(T) <= kCachedBytes ? tap_lines_.size() : 1;
    const std::int64_t of_plane = pieces_of_plane(p_);
    for (std::int64_t line = tap_lines_.begin; line < tap_lines_.end; line += step) {
      voxels_ = 0;  // since what these lines summed last
      for (std::int64_t piece = begin; piece < end; ++piece) {
        const std::int64_t plane = piece / of_plane, h = piece % of_plane * lines_at_once_;
        const Range lines{h, std::min(h + lines_at_once_, maps_.h.y)};
        add_lines(plane / maps_.d.y, plane % maps_.d.y, lines, {line, line + step});
        voxels_ += lines.size() * maps_.w.y;
        if (voxels_ > kSummedInT) flush({line, line + step});
      }
    }
  }

  /// sums[j] += the gradients of y channels first + j, j < count, if the share has this tap. In T where no
  /// other share has it, else in double.
  template <class Sum>
  void add_to(Sum* sums, std::int64_t group, std::int64_t tap, std::int64_t x, std::int64_t first,
              std::int64_t count) const {
    const std::int64_t line = tap / maps_.w.kernel;
    if (line < tap_lines_.begin || line >= tap_lines_.end) return;
    const Places places = places_of(group, tap - tap_lines_.begin * maps_.w.kernel, x);
    const auto begin = static_cast<std::size_t>(places.first + first * places.step);
    if (total_.empty() && places.step == 1) {
      add_vectors(sums, sums_.data() + begin, count);
    } else {
      for (std::int64_t j = 0; j < count; ++j) {
        const std::size_t at = begin + static_cast<std::size_t>(j * places.step);
        const double total = total_.empty() ? 0.0 : total_[at];
        sums[j] += static_cast<Sum>(static_cast<double>(sums_[at]) + total);
      }
    }
  }

 protected:
  /// Where the sums of a tap and an x channel lie: that of the first y channel, and the steps to the others.
  struct Places {
    std::int64_t first, step;
  };

  WeightShare(const ConvProblem& p, const T* x, const T* y, Range tap_lines, std::int64_t sums)
      : p_(p),
        maps_(p.geometry),
        tap_lines_(tap_lines),
        lines_at_once_(lines_at_once(p)),
        sums_(static_cast<std::size_t>(sums)),
        x_(x),
        y_(y) {}

  /// `tap` counts from the share's first.
  virtual Places places_of(std::int64_t group, std::int64_t tap, std::int64_t x) const = 0;
  /// What follows is about these lines of y, which lie together.
  virtual void set_lines(const T* y, std::int64_t lines) = 0;
  /// Adds what `lines` of them from `first` on and the lines of x that they meet, the first at `x`, give to a
  /// line of taps, counted from the share's first. `ahead` of x lies what is multiplied next.
  virtual void multiply(const T* x, std::int64_t first, std::int64_t lines, std::int64_t tap_line,
                        std::int64_t ahead) = 0;

  /// From one line of x that is met to the next.
  std::int64_t x_line_step() const { return step_of(maps_.h.stride, maps_.w.x * p_.x_step()); }

  const ConvProblem& p_;
  Maps maps_;
  Range tap_lines_;
  std::int64_t lines_at_once_;
  std::vector<T> sums_;

 private:
  static constexpr std::int64_t kSummedInT = 4096;
  static constexpr std::size_t kCachedBytes = 1 << 19;

  static std::int64_t lines_at_once(const ConvProblem& p) {
    return std::max<std::int64_t>(1, kCachedVoxels / p.geometry.y[2]);
  }
  static std::int64_t pieces_of_plane(const ConvProblem& p) {
    return (p.geometry.y[1] + lines_at_once(p) - 1) / lines_at_once(p);
  }

  template <class Sum>
  static void add_vectors(Sum* to, const T* from, std::int64_t count) {
    std::int64_t j = 0;
    if constexpr (!std::is_same_v<Sum, T>) {  // two at a time: of four floats GCC converts two through memory
      typedef T Pair __attribute__((vector_size(2 * sizeof(T))));
      typedef Sum Sums __attribute__((vector_size(2 * sizeof(Sum))));
      for (; j + 1 < count; j += 2) {
        Pair pair;
        Sums sums;
        std::memcpy(&pair, from + j, sizeof(pair));
        std::memcpy(&sums, to + j, sizeof(sums));
        sums += __builtin_convertvector(pair, Sums);
        std::memcpy(to + j, &sums, sizeof(sums));
      }
    }
    for (; j < count; ++j) to[j] += static_cast<Sum>(from[j]);
  }

  // Adds the sums of some lines of taps in double.
  void flush(Range tap_lines) {
    total_.resize(sums_.size());
    const std::int64_t lines = tap_lines_.size(),
                       size = std::ssize(sums_) / (p_.geometry.groups * std::max<std::int64_t>(1, lines));
    for (std::int64_t group = 0; group < p_.geometry.groups; ++group) {
      const std::int64_t first = (group * lines + tap_lines.begin - tap_lines_.begin) * size;
      T* from = sums_.data() + first;
      double* to = total_.data() + first;
      for (std::int64_t i = 0; i < tap_lines.size() * size; ++i) {
        to[i] += static_cast<double>(from[i]);
        from[i] = T(0);
      }
    }
    voxels_ = 0;
  }

  // What lines of y at (n, d) add.
  void add_lines(std::int64_t n, std::int64_t d, Range lines, Range tap_lines) {
    set_lines(y_ + ((n * maps_.d.y + d) * maps_.h.y + lines.begin) * maps_.w.y * p_.y_row(), lines.size());
    for (std::int64_t line = tap_lines.begin; line < tap_lines.end; ++line) {
      const Range met = lines_met(lines, line);
      const T* const x = met.empty() ? nullptr : x_line(n, d, line, met.begin);
      if (x)
        multiply(x, met.begin - lines.begin, met.size(), line - tap_lines_.begin,
                 ahead(x, n, d, lines, tap_lines, line + 1));
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

  const T* x_;
  const T* y_;
  std::int64_t voxels_ = 0;
  std::vector<double> total_;
};

}  // namespace lucid::direct
