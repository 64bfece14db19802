#pragma once
// Batched products of strided matrices.

#include "lucid/tensor.hpp"

namespace lucid::kernels {

/// c = alpha * a @ b + beta * c for c of shape (batch..., n, m), contiguous; a is (batch..., n, k) and b
/// (batch..., k, m), each with the batch axes of c (of stride 0 where it is repeated). All of one floating
/// type; matrices whose rows or columns are adjacent in memory are read in place, others are copied.
/// bfloat16 is multiplied in float32.
void matmul(const Tensor& c, const Tensor& a, const Tensor& b, double alpha, double beta);

}  // namespace lucid::kernels
