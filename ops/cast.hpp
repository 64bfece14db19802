#pragma once
// Copies: to another type, to another memory layout.

#include "lucid/tensor.hpp"

namespace lucid {

/// `input`'s values in `dtype`; itself when it already has it.
Tensor to(const Tensor& input, DType dtype);

enum class Layout { preserve, contiguous, channels_last };

/// A copy. `preserve` keeps the strides of a dense tensor. Throws Error for channels_last below rank 3.
Tensor clone(const Tensor& input, Layout layout = Layout::preserve);

}  // namespace lucid
