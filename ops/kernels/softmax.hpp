#pragma once
// softmax and log_softmax along one axis, and their gradients from the results. Nothing is recorded.

#include "lucid/tensor.hpp"

namespace lucid::kernels {

/// All of one shape and floating type. `out` is dense.
void softmax(const Tensor& out, const Tensor& input, std::size_t axis, bool logarithm);
/// `grad_input` = y (g - sum(g y)), or g - e^y sum(g) for the logarithm, with y = `result`.
void softmax_backward(const Tensor& grad_input, const Tensor& grad, const Tensor& result, std::size_t axis,
                      bool logarithm);

}  // namespace lucid::kernels
