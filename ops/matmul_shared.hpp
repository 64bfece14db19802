#pragma once
// What matmul, addmm and linear share: checks of their operands and the gradient of a weight.

#include "ops/matmul.hpp"
#include "ops/registry.hpp"
#include "ops/view.hpp"

namespace lucid::ops {

/// Throws Error unless both are defined and of one floating type.
void require_matrices(std::string_view op, const Tensor& a, const Tensor& b);
/// Throws Error naming both shapes unless `left`, the columns of `a`, equals `right`, the rows of `b`.
void require_inner(std::string_view op, const Tensor& a, const Tensor& b, std::int64_t left,
                   std::int64_t right);

/// The last two axes swapped.
inline Tensor flipped(const Tensor& matrices) { return matrices.transpose(-2, -1); }
/// All leading axes in one: (..., n) to (rows, n).
inline Tensor as_rows(const Tensor& tensor) {
  if (tensor.dim() == 2) return tensor;
  return tensor.dim() == 1 ? tensor.unsqueeze(0) : tensor.flatten(0, -2);
}
/// The gradient of the (k, m) matrix that each row of `rows` (..., k) was multiplied with: rows^T @ grad.
inline Tensor weight_gradient(const Tensor& rows, const Tensor& grad) {
  return matmul(flipped(as_rows(rows)), as_rows(grad));
}

/// Of in[first] @ in[first + 1]: 2 k operations for each element of the result; each tensor touched once.
Cost product_cost(const Tensors& in, std::size_t first);

}  // namespace lucid::ops
