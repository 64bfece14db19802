#pragma once
// Dropout: in training, sets elements to 0 with probability p and scales the rest by 1 / (1 - p); otherwise
// returns input itself. What is dropped depends on the generator's state alone: not on the thread count, the
// memory layout or the type. Throw Error unless 0 <= p <= 1.

#include "lucid/random.hpp"
#include "lucid/tensor.hpp"

namespace lucid {

/// Each element by itself. `generator`: null means the default one.
Tensor dropout(const Tensor& input, double p = 0.5, bool training = true, Generator* generator = nullptr);
/// Whole channels of an input (N, C, L) or (C, L); another rank throws Error.
Tensor dropout1d(const Tensor& input, double p = 0.5, bool training = true, Generator* generator = nullptr);
/// Whole channels of an input (N, C, H, W) or, as PyTorch reads rank 3, (N, C, L); another rank throws Error.
Tensor dropout2d(const Tensor& input, double p = 0.5, bool training = true, Generator* generator = nullptr);
/// Whole channels of an input (N, C, D, H, W) or (C, D, H, W); another rank throws Error.
Tensor dropout3d(const Tensor& input, double p = 0.5, bool training = true, Generator* generator = nullptr);

}  // namespace lucid
