#pragma once
// Copies between layouts whose innermost axes differ, such as row-major and channels-last.

#include "lucid/tensor.hpp"

namespace lucid::kernels {

/// Copies `source` to `target`, of one shape and dtype, in square tiles, when the innermost axis of each lies
/// densely and they are different axes; otherwise does nothing and returns false. Element by element such a
/// copy would fetch a cache line for every element.
bool copy_transposed(const Tensor& target, const Tensor& source);

/// out[a * out_step + b] = in[a + b * in_step] for a < count_a and b < count_b, in the caller's thread. For
/// float and double.
template <class T>
void transpose(T* out, const T* in, std::int64_t out_step, std::int64_t in_step, std::int64_t count_a,
               std::int64_t count_b);

}  // namespace lucid::kernels
