#pragma once
// Batched products of strided matrices.

#include "lucid/tensor.hpp"

namespace lucid::kernels {

/// Matrices that are multiplied as they are or, where `flipped`, with their last two axes swapped: that makes
/// no view.
struct Factor {
  const Tensor& matrices;
  bool flipped = false;
  std::int64_t rows() const { return matrices.shape()[matrices.shape().size() - (flipped ? 1 : 2)]; }
  std::int64_t columns() const { return matrices.shape()[matrices.shape().size() - (flipped ? 2 : 1)]; }
};

/// c = alpha * a @ b + beta * c for c of shape (batch..., n, m), contiguous; a is (batch..., n, k) and b
/// (batch..., k, m), each with the batch axes of c (of stride 0 where it is repeated). All of one floating
/// type; matrices whose rows or columns are adjacent in memory are read in place, others are copied.
/// bfloat16 is multiplied in float32.
void matmul(const Tensor& c, const Factor& a, const Factor& b, double alpha, double beta);

}  // namespace lucid::kernels
