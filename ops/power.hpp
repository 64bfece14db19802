#pragma once
// Powers, differentiable in base and exponent.

#include "lucid/tensor.hpp"

namespace lucid {

/// input^exponent. Of integers with an integer exponent the result is an integer. Throws Error on integers
/// with a negative integer exponent.
Tensor pow(const Tensor& input, const Scalar& exponent);
/// Shapes broadcast, types promote. An integer raised to a negative integer is rounded towards 0.
Tensor pow(const Tensor& input, const Tensor& exponent);
Tensor pow(const Scalar& input, const Tensor& exponent);

}  // namespace lucid
