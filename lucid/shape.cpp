#include "lucid/shape.hpp"

#include "lucid/error.hpp"

namespace lucid {

Shape::Shape(std::span<const std::int64_t> sizes) {
  check(sizes.size() <= kMaxRank, "shape", "rank ", sizes.size(), " is beyond the limit of ", kMaxRank);
  rank_ = static_cast<std::uint32_t>(sizes.size());
  std::copy(sizes.begin(), sizes.end(), sizes_.begin());
}

Shape Shape::filled(std::size_t rank, std::int64_t value) {
  check(rank <= kMaxRank, "shape", "rank ", rank, " is beyond the limit of ", kMaxRank);
  Shape shape;
  shape.rank_ = static_cast<std::uint32_t>(rank);
  std::fill(shape.begin(), shape.end(), value);
  return shape;
}

void Shape::push_back(std::int64_t value) {
  check(rank_ < kMaxRank, "shape", "rank ", rank_ + 1, " is beyond the limit of ", kMaxRank);
  sizes_[rank_++] = value;
}

void Shape::insert(std::size_t position, std::int64_t value) {
  check(rank_ < kMaxRank, "shape", "rank ", rank_ + 1, " is beyond the limit of ", kMaxRank);
  std::copy_backward(sizes_.begin() + position, sizes_.begin() + rank_, sizes_.begin() + rank_ + 1);
  sizes_[position] = value;
  ++rank_;
}

void Shape::erase(std::size_t position) {
  std::copy(sizes_.begin() + position + 1, sizes_.begin() + rank_, sizes_.begin() + position);
  --rank_;
}

std::string Shape::str() const {
  std::string out = "(";
  for (std::size_t i = 0; i < rank_; ++i) {
    if (i) out += ", ";
    detail::append(out, sizes_[i]);
  }
  return out + ")";
}

std::int64_t checked_mul(std::string_view where, std::string_view what, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result))
    raise(where, what, ": ", a, " * ", b, " does not fit in 64 bits");
  return result;
}

std::int64_t checked_add(std::string_view where, std::string_view what, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_add_overflow(a, b, &result))
    raise(where, what, ": ", a, " + ", b, " does not fit in 64 bits");
  return result;
}

std::int64_t checked_numel(std::string_view where, const Shape& shape) {
  std::int64_t numel = 1;
  bool overflow = false, zero = false;
  for (std::int64_t size : shape) {
    check(size >= 0, where, "shape ", shape, " has a negative size");
    zero |= size == 0;
    // Of an empty tensor too, so that strides, which take a size of 0 for 1, always fit.
    overflow |= __builtin_mul_overflow(numel, std::max<std::int64_t>(size, 1), &numel);
  }
  check(!overflow, where, "shape ", shape, " has sizes whose product is more than 2^63 - 1");
  return zero ? 0 : numel;
}

namespace {
// Strides that make the axes named by `order` (outermost first) dense. Axes of size 0 count as 1.
template <class Order>
Strides dense_strides(const Shape& shape, const Order& order) {
  Strides strides = Shape::filled(shape.size(), 1);
  std::uint64_t step = 1;  // wraps for an empty tensor of enormous sizes, whose strides are never used
  for (std::size_t i = shape.size(); i-- > 0;) {
    const std::size_t axis = order(i);
    strides[axis] = static_cast<std::int64_t>(step);
    step *= static_cast<std::uint64_t>(std::max<std::int64_t>(shape[axis], 1));
  }
  return strides;
}

template <class Order>
bool dense_in_order(const Shape& shape, const Strides& strides, const Order& order) {
  std::int64_t step = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    const std::size_t axis = order(i);
    if (shape[axis] == 0) return true;
    if (shape[axis] != 1 && strides[axis] != step) return false;
    step *= shape[axis];
  }
  return true;
}

// Position i of N, spatial..., C.
auto channels_last_order(std::size_t rank) {
  return [rank](std::size_t i) { return i == 0 ? 0 : i + 1 < rank ? i + 1 : std::size_t{1}; };
}
constexpr auto row_major = [](std::size_t i) { return i; };
}  // namespace

Strides contiguous_strides(const Shape& shape) { return dense_strides(shape, row_major); }

Strides channels_last_strides(const Shape& shape) {
  check(shape.size() >= 3, "channels_last_strides", "shape ", shape,
        " has no spatial axes; rank 3 or more is required");
  return dense_strides(shape, channels_last_order(shape.size()));
}

std::array<std::size_t, Shape::kMaxRank> memory_order(const Strides& strides) {
  std::array<std::size_t, Shape::kMaxRank> axes{};
  for (std::size_t i = 0; i < strides.size(); ++i) axes[i] = i;
  std::sort(axes.begin(), axes.begin() + strides.size(), [&](std::size_t a, std::size_t b) {
    return strides[a] != strides[b] ? strides[a] > strides[b] : a < b;
  });
  return axes;
}

Strides strides_in_order(const Shape& shape, const Strides& like) {
  return dense_strides(shape, [axes = memory_order(like)](std::size_t i) { return axes[i]; });
}

bool repeats_elements(const Shape& shape, const Strides& strides) {
  for (std::size_t i = 0; i < shape.size(); ++i)
    if (shape[i] > 1 && strides[i] == 0) return true;
  return false;
}

bool is_contiguous(const Shape& shape, const Strides& strides) {
  return dense_in_order(shape, strides, row_major);
}

bool is_channels_last(const Shape& shape, const Strides& strides) {
  return shape.size() >= 3 && dense_in_order(shape, strides, channels_last_order(shape.size()));
}

bool is_dense(const Shape& shape, const Strides& strides) {
  if (is_contiguous(shape, strides)) return true;  // most are, and need no sorting
  std::array<std::size_t, Shape::kMaxRank> axes{};
  std::size_t count = 0;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1) axes[count++] = i;
  }
  std::sort(axes.begin(), axes.begin() + count, [&](auto a, auto b) { return strides[a] < strides[b]; });
  std::int64_t step = 1;
  for (std::size_t i = 0; i < count; ++i) {
    if (strides[axes[i]] != step) return false;
    step *= shape[axes[i]];
  }
  return true;
}

Shape broadcast_shapes(std::string_view where, const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  const std::size_t skip = longer.size() - shorter.size();
  for (std::size_t i = 0; i < shorter.size(); ++i) {
    const std::int64_t s = shorter[i], l = longer[skip + i];
    if (s == l || s == 1) continue;
    if (l != 1)
      raise(where, "shapes ", a, " and ", b, " do not broadcast: sizes differ on axis ",
            static_cast<std::int64_t>(skip + i) - static_cast<std::int64_t>(longer.size()),
            " and neither is 1");
    out[skip + i] = s;
  }
  return out;
}

std::size_t normalize_axis(std::string_view where, std::int64_t axis, std::size_t rank) {
  const auto limit = static_cast<std::int64_t>(std::max<std::size_t>(rank, 1));
  check(axis >= -limit && axis < limit, where, "dim ", axis, " is out of range for a tensor of rank ", rank,
        "; valid are ", -limit, " to ", limit - 1);
  return static_cast<std::size_t>(axis < 0 ? axis + limit : axis);
}

std::vector<std::size_t> normalize_axes(std::string_view where, std::span<const std::int64_t> axes,
                                        std::size_t rank) {
  std::vector<std::size_t> out;
  if (axes.empty()) {
    for (std::size_t i = 0; i < rank; ++i) out.push_back(i);
    return out;
  }
  for (std::int64_t axis : axes) out.push_back(normalize_axis(where, axis, rank));
  std::sort(out.begin(), out.end());
  const auto twin = std::adjacent_find(out.begin(), out.end());
  check(twin == out.end(), where, "dim ", twin == out.end() ? 0 : *twin, " is given twice");
  if (rank == 0) out.clear();
  return out;
}

}  // namespace lucid
