#pragma once
// The same inputs in other types and other memory, for proofs. None is recorded.

#include "lucid/tensor.hpp"

namespace lucid::ops {

/// A defined tensor of a floating type.
bool is_real(const Tensor& tensor);

/// Floating tensors converted to `dtype`, others as they are.
Tensors as_type(const Tensors& inputs, DType dtype);
/// Floating tensors replaced by random integers in [-3, 3] of the same shape.
Tensors as_integers(const Tensors& inputs, std::uint64_t seed);
/// Row-major copies.
Tensors plain(const Tensors& inputs);
/// Detached, floating ones requiring a gradient; the memory is kept as it is.
Tensors as_leaves(const Tensors& inputs);
/// `change` applied to every defined tensor.
Tensors in_layout(const Tensors& inputs, Tensor (*change)(const Tensor&));

/// Channels innermost in memory from rank 3 on; else a row-major copy.
Tensor channels_last_copy(const Tensor& tensor);
/// Some channels of a channels-last block from rank 3 on; else a row-major copy.
Tensor sliced_channels_copy(const Tensor& tensor);
/// Every second element of a larger block, starting inside it.
Tensor strided_copy(const Tensor& tensor);
/// Axes in reversed memory order.
Tensor transposed_copy(const Tensor& tensor);
/// A row-major tensor whose values repeat the first entry of its last axis; integers and bools as they are.
Tensor repeat_first(const Tensor& tensor);
/// The same values with stride 0 along the last axis, where they repeat; integers and bools as they are.
Tensor expanded_copy(const Tensor& tensor);

}  // namespace lucid::ops
