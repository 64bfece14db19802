#pragma once
// Memory order of results that are not laid out exactly like an input.

#include "lucid/tensor.hpp"

namespace lucid::kernels {

/// Dense strides for `shape` whose axes lie in memory in the order that `like` (strides of the same rank)
/// gives them; axes of equal stride keep their order.
Strides strides_in_order(const Shape& shape, const Strides& like);

/// The uninitialised tensor with those strides.
inline Tensor empty_in_order(const Shape& shape, const Strides& like, DType dtype) {
  return empty_strided(shape, strides_in_order(shape, like), dtype);
}

/// Sets every byte of a tensor that owns its whole storage to 0.
void zero_bytes(const Tensor& tensor);

}  // namespace lucid::kernels
