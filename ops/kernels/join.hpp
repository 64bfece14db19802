#pragma once
// Tensors laid side by side along an axis.

#include <span>

#include "lucid/tensor.hpp"

namespace lucid::kernels {

/// Writes `parts`, one after the other along `axis`, into `out`, whose size there is the sum of theirs. Parts
/// in out's type and memory order are copied in runs, others element by element.
void concatenate(const Tensor& out, std::span<const Tensor> parts, std::size_t axis);

}  // namespace lucid::kernels
