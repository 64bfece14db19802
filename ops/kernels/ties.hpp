#pragma once
// Constants that gradients of piecewise functions need: which elements a maximum chose, where zeros are. None
// of these is recorded.

#include "ops/kernels/reduce.hpp"

namespace lucid::kernels {

/// 1 / (number of equal elements) where `input` equals `reduced` (keepdim shape over `axes`), 0 elsewhere; of
/// `input`'s floating type.
Tensor tie_weights(const Tensor& input, const Tensor& reduced, const Axes& axes);

/// 1 where the position along `axis` is the one in `indices` (int64, of `like`'s shape with 1 at `axis`),
/// else 0; of the shape, layout and floating type of `like`.
Tensor one_hot_along(const Tensor& indices, const Tensor& like, std::size_t axis);

/// 1 where `input` is 0, else 0; and -1, 0 or 1, its sign. Of `input`'s shape and floating type.
Tensor zero_mask(const Tensor& input);
Tensor signs(const Tensor& input);

}  // namespace lucid::kernels
