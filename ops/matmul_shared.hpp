#pragma once
// What matmul, addmm and linear share: checks of their operands and products in their gradients.

#include "ops/kernels/matmul.hpp"
#include "ops/matmul.hpp"
#include "ops/registry.hpp"
#include "ops/view.hpp"

namespace lucid::ops {

/// Throws Error unless both are defined and of one floating type.
void require_matrices(std::string_view op, const Tensor& a, const Tensor& b);
/// Throws Error naming both shapes unless `left`, the columns of `a`, equals `right`, the rows of `b`.
void require_inner(std::string_view op, const Tensor& a, const Tensor& b, std::int64_t left,
                   std::int64_t right);

/// a @ b, recorded as matmul while recording is on; of matrices it makes no views otherwise.
Tensor multiplied(const kernels::Factor& a, const kernels::Factor& b);
/// All leading axes in one: (..., n) to (rows, n).
inline Tensor as_rows(const Tensor& tensor) {
  if (tensor.dim() == 2) return tensor;
  return tensor.dim() == 1 ? tensor.unsqueeze(0) : tensor.flatten(0, -2);
}
/// a^T @ b of the rows of a (..., k) and b (..., m): the gradient of a (k, m) matrix from what it was
/// multiplied with and from its product's gradient.
inline Tensor product_of_rows(const Tensor& a, const Tensor& b) {
  return multiplied({as_rows(a), true}, {as_rows(b)});
}

/// Of in[first] @ in[first + 1]: 2 k operations for each element of the result; each tensor touched once.
Cost product_cost(const Tensors& in, std::size_t first);

}  // namespace lucid::ops
