#pragma once
// Comparisons and logic, element by element. Shapes broadcast; the result is bool and has no gradient.

#include "lucid/tensor.hpp"

namespace lucid {

Tensor eq(const Tensor& input, const Tensor& other);
Tensor ne(const Tensor& input, const Tensor& other);
Tensor lt(const Tensor& input, const Tensor& other);
Tensor le(const Tensor& input, const Tensor& other);
Tensor gt(const Tensor& input, const Tensor& other);
Tensor ge(const Tensor& input, const Tensor& other);

/// Of any types; every element but 0 counts as true, NaN too.
Tensor logical_and(const Tensor& input, const Tensor& other);
Tensor logical_or(const Tensor& input, const Tensor& other);
Tensor logical_xor(const Tensor& input, const Tensor& other);
Tensor logical_not(const Tensor& input);

}  // namespace lucid
