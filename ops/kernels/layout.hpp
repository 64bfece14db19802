#pragma once
// Memory order of results that are not laid out exactly like an input.

#include "lucid/tensor.hpp"

namespace lucid::kernels {

/// The uninitialised tensor with strides_in_order().
inline Tensor empty_in_order(const Shape& shape, const Strides& like, DType dtype) {
  return empty_strided(shape, strides_in_order(shape, like), dtype);
}

/// Sets every byte of a tensor that owns its whole storage to 0.
void zero_bytes(const Tensor& tensor);
/// Sets every element of a tensor that owns its whole storage.
void fill_storage(const Tensor& tensor, const Scalar& value);

/// `tensor` if its elements fill one gapless block, else a copy that does, with the axes in the same order.
Tensor densified(const Tensor& tensor);

/// A dense tensor as (outer, size, inner) around one of its axes, in memory order.
struct AxisBlocks {
  std::int64_t outer = 1, size = 1, inner = 1;
};
/// For a dense tensor of `shape` with the axis order of `like`.
AxisBlocks blocks_around(const Shape& shape, const Strides& like, std::size_t axis);

}  // namespace lucid::kernels
