#pragma once
// Matrix products.

#include "lucid/tensor.hpp"

namespace lucid {

/// (n, k) @ (k, m) -> (n, m), over batch axes in front, which broadcast. A vector counts as a row on the left
/// and as a column on the right, and its axis is dropped from the result. Throws Error naming both shapes
/// when the inner sizes differ, and both types when those differ.
Tensor matmul(const Tensor& input, const Tensor& other);
/// (n, k) @ (k, m) -> (n, m); rank 2 only.
Tensor mm(const Tensor& input, const Tensor& other);
/// (b, n, k) @ (b, k, m) -> (b, n, m); rank 3 only.
Tensor bmm(const Tensor& input, const Tensor& other);
/// beta * input + alpha * (mat1 @ mat2); `input` broadcasts to (n, m).
Tensor addmm(const Tensor& input, const Tensor& mat1, const Tensor& mat2, double beta = 1.0,
             double alpha = 1.0);
/// input (..., in) @ weight (out, in)^T + bias (out) -> (..., out). `bias` may be undefined.
Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias = {});

}  // namespace lucid
