#pragma once
// Copies of a tensor with its elements in another order, or several times.

#include "lucid/tensor.hpp"

namespace lucid {

/// The elements in reverse along each axis of `dims`. A copy. Throws Error on a repeated axis.
Tensor flip(const Tensor& input, const Shape& dims);
/// The elements moved by shifts[i] along dims[i]; those that leave at one end come in at the other. Without
/// `dims` the flattened tensor is rolled by the one shift.
Tensor roll(const Tensor& input, const Shape& shifts, const Shape& dims = {});
/// The tensor repeats[i] times along axis i; axes may be added in front. A copy.
Tensor repeat(const Tensor& input, const Shape& repeats);

}  // namespace lucid
