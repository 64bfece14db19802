#pragma once
// Sizes and strides: a short inline list of int64, and the arithmetic on it, overflow-checked.

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lucid {

/// A list of at most kMaxRank int64 held inline: sizes of a tensor, or its strides in elements.
class Shape {
 public:
  static constexpr std::size_t kMaxRank = 12;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> sizes) : Shape(std::span(sizes.begin(), sizes.size())) {}
  Shape(std::span<const std::int64_t> sizes);  ///< throws Error beyond kMaxRank sizes
  Shape(const std::vector<std::int64_t>& sizes) : Shape(std::span<const std::int64_t>(sizes)) {}
  /// `rank` copies of `value`.
  static Shape filled(std::size_t rank, std::int64_t value);

  std::size_t size() const { return rank_; }
  bool empty() const { return rank_ == 0; }
  std::int64_t& operator[](std::size_t i) { return sizes_[i]; }
  std::int64_t operator[](std::size_t i) const { return sizes_[i]; }
  std::int64_t* begin() { return sizes_.data(); }
  std::int64_t* end() { return sizes_.data() + rank_; }
  const std::int64_t* begin() const { return sizes_.data(); }
  const std::int64_t* end() const { return sizes_.data() + rank_; }
  std::int64_t front() const { return sizes_[0]; }
  std::int64_t back() const { return sizes_[rank_ - 1]; }

  void push_back(std::int64_t value);                     ///< throws Error beyond kMaxRank
  void insert(std::size_t position, std::int64_t value);  ///< throws Error beyond kMaxRank
  void erase(std::size_t position);

  bool operator==(const Shape& other) const {  // a loop: for so few a call of memcmp takes longer
    if (rank_ != other.rank_) return false;
    for (std::uint32_t i = 0; i < rank_; ++i)
      if (sizes_[i] != other.sizes_[i]) return false;
    return true;
  }

  /// "(2, 3, 4)"; one size reads "(3)", none "()".
  std::string str() const;
  std::vector<std::int64_t> to_vector() const { return {begin(), end()}; }

 private:
  std::array<std::int64_t, kMaxRank> sizes_{};
  std::uint32_t rank_ = 0;
};

using Strides = Shape;

/// Product of the sizes; throws Error when a size is negative or the product of those that are not 0 passes
/// 2^63 - 1.
std::int64_t checked_numel(std::string_view where, const Shape& shape);
/// a * b and a + b in int64; throw Error on overflow, naming `what`.
std::int64_t checked_mul(std::string_view where, std::string_view what, std::int64_t a, std::int64_t b);
std::int64_t checked_add(std::string_view where, std::string_view what, std::int64_t a, std::int64_t b);

/// Row-major strides in elements.
Strides contiguous_strides(const Shape& shape);
/// Strides of (N, C, spatial...) whose channels lie innermost, as in NDHWC; rank 3 or more.
Strides channels_last_strides(const Shape& shape);
/// Axes from the outermost in memory to the innermost; those of equal stride keep their order.
std::array<std::size_t, Shape::kMaxRank> memory_order(const Strides& strides);
/// Dense strides for `shape` whose axes lie in memory in the order that `like` (strides of the same rank)
/// gives them.
Strides strides_in_order(const Shape& shape, const Strides& like);
/// True when several elements along an axis are one in memory, as in an expanded tensor.
bool repeats_elements(const Shape& shape, const Strides& strides);
/// True when the elements fill one gapless, non-overlapping block, in any axis order.
bool is_dense(const Shape& shape, const Strides& strides);
/// True when walking in row-major order walks memory in order (axes of size 1 don't matter).
bool is_contiguous(const Shape& shape, const Strides& strides);
/// True when rank >= 3 and walking (N, spatial..., C) walks memory in order. With C = 1 a contiguous tensor
/// is both.
bool is_channels_last(const Shape& shape, const Strides& strides);

/// NumPy broadcasting of two shapes; throws Error naming both shapes and the axis that differs.
Shape broadcast_shapes(std::string_view where, const Shape& a, const Shape& b);
/// Axis in [-rank, rank) to [0, rank); a scalar counts as rank 1. Throws Error naming the axis and the range.
std::size_t normalize_axis(std::string_view where, std::int64_t axis, std::size_t rank);
/// Several axes, sorted ascending; empty means all. Throws Error on a repeated axis.
std::vector<std::size_t> normalize_axes(std::string_view where, std::span<const std::int64_t> axes,
                                        std::size_t rank);

}  // namespace lucid
