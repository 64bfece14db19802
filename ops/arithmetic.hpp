#pragma once
// add, sub, mul, div, neg: broadcast, promote as PyTorch's, differentiable in both operands.

#include "lucid/tensor.hpp"

namespace lucid {

/// input + alpha * other.
Tensor add(const Tensor& input, const Tensor& other, double alpha = 1.0);
/// input - alpha * other.
Tensor sub(const Tensor& input, const Tensor& other, double alpha = 1.0);
Tensor mul(const Tensor& input, const Tensor& other);
/// True division: of integers too the result is floating (float32).
Tensor div(const Tensor& input, const Tensor& other);
/// The quotient rounded towards 0 ("trunc") or down ("floor"); of integers an integer. Its gradient is 0.
/// Throws Error on another mode and on an integer divisor of 0.
Tensor div(const Tensor& input, const Tensor& other, std::string_view rounding_mode);
Tensor neg(const Tensor& input);

}  // namespace lucid
