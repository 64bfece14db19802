#pragma once
// add, sub, mul, div, neg: broadcast, promote as PyTorch's, differentiable in both operands.

#include <string_view>

#include "lucid/tensor.hpp"

namespace lucid {

/// input + alpha * other.
Tensor add(const Tensor& input, const Tensor& other, double alpha = 1.0);
/// input - alpha * other.
Tensor sub(const Tensor& input, const Tensor& other, double alpha = 1.0);
Tensor mul(const Tensor& input, const Tensor& other);
/// True division: of integers too the result is floating (float32).
Tensor div(const Tensor& input, const Tensor& other);
/// The quotient rounded towards 0 ("trunc") or down ("floor"), in the type of the operands; its gradient is
/// 0. Throws Error on another rounding_mode and on integers divided by 0.
Tensor div(const Tensor& input, const Tensor& other, std::string_view rounding_mode);
Tensor neg(const Tensor& input);

}  // namespace lucid
