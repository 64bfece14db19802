#pragma once
// Mathematical functions of each element. The result has input's shape and layout; of integers and bool it is
// float32, but for abs, square and sign, which keep the type. Throw Error on an undefined tensor.

#include "lucid/tensor.hpp"

namespace lucid {

Tensor abs(const Tensor& input);   ///< derivative 0 at 0
Tensor sign(const Tensor& input);  ///< -1, 0 or 1; derivative 0
Tensor square(const Tensor& input);
Tensor exp(const Tensor& input);
Tensor expm1(const Tensor& input);  ///< e^x - 1, exact near 0
Tensor log(const Tensor& input);    ///< natural; -inf at 0, NaN below
Tensor log1p(const Tensor& input);  ///< log(1 + x), exact near 0
Tensor sqrt(const Tensor& input);
Tensor rsqrt(const Tensor& input);  ///< 1 / sqrt(x)
Tensor sin(const Tensor& input);
Tensor cos(const Tensor& input);
Tensor erf(const Tensor& input);
Tensor sigmoid(const Tensor& input);  ///< 1 / (1 + e^-x)
Tensor tanh(const Tensor& input);

}  // namespace lucid
