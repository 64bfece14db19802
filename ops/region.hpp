#pragma once
// The regular part of a tensor that basic indexing picks, and its adjoint.

#include "lucid/tensor.hpp"

namespace lucid::ops {

/// Per axis: `lengths` elements, `steps` apart, from `starts`.
struct Region {
  Shape starts, steps, lengths;

  /// All of a tensor of `shape`.
  static Region all(const Shape& shape);
  /// Restricts an axis that is whole so far. Bounds as in lucid::slice.
  void slice(std::string_view op, std::size_t axis, std::int64_t start, std::int64_t end, std::int64_t step);
  /// The view of `tensor`, whose axes are all kept. Not recorded.
  Tensor of(const Tensor& tensor) const;
};

/// index in [-size, size) to [0, size); throws Error naming both.
std::int64_t wrap_index(std::string_view op, std::int64_t index, std::size_t axis, std::int64_t size);

/// The adjoint of picking `region` from a tensor of shape `sizes`: zeros of that shape with `grad` in the
/// region. Recorded as "slice_backward". The result's axes lie in memory as those of `like` (strides).
Tensor scatter_region(const Tensor& grad, const Shape& sizes, const Region& region, const Strides& like);

}  // namespace lucid::ops
