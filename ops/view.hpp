#pragma once
// Views: the same elements under another shape. They share storage, are recorded, and keep the memory order
// of what they look at, so a view of a channels-last volume stays channels-last where that has a meaning.

#include <span>

#include "lucid/tensor.hpp"

namespace lucid {

/// The elements in row-major order under `shape`, of which one size may be -1. A view when the strides allow
/// it, else a copy. Throws Error when the number of elements differs.
Tensor reshape(const Tensor& input, const Shape& shape);
/// Merges the axes start_dim to end_dim (both included) into one.
Tensor flatten(const Tensor& input, std::int64_t start_dim = 0, std::int64_t end_dim = -1);
/// Drops the axes of size 1; the second form only `dim`, and only if its size is 1.
Tensor squeeze(const Tensor& input);
Tensor squeeze(const Tensor& input, std::int64_t dim);
/// Inserts an axis of size 1 before `dim`, which lies in [-rank - 1, rank].
Tensor unsqueeze(const Tensor& input, std::int64_t dim);

/// Axis i of the result is axis dims[i] of the input. Throws Error unless `dims` names each axis once.
Tensor permute(const Tensor& input, std::span<const std::int64_t> dims);
inline Tensor permute(const Tensor& input, std::initializer_list<std::int64_t> dims) {
  return permute(input, std::span(dims.begin(), dims.size()));
}
/// Swaps two axes.
Tensor transpose(const Tensor& input, std::int64_t dim0, std::int64_t dim1);
/// Repeats axes of size 1, and adds axes in front, without copying; -1 keeps a size. The elements of the
/// result overlap in memory, so it is not to be written to.
Tensor expand(const Tensor& input, const Shape& sizes);

}  // namespace lucid
