#pragma once
// Choosing between values, element by element: by a condition, or by size.

#include <optional>

#include "lucid/tensor.hpp"

namespace lucid {

/// input where `condition` (bool) holds, else other. All three shapes broadcast, the two types promote.
/// Throws Error when `condition` is not bool.
Tensor where(const Tensor& condition, const Tensor& input, const Tensor& other);
Tensor where(const Tensor& condition, const Tensor& input, const Scalar& other);
Tensor where(const Tensor& condition, const Scalar& input, const Tensor& other);

/// `value` where `mask` (bool) holds, else input; shapes broadcast, the type stays input's. Throws Error when
/// `mask` is not bool or input's type can't hold `value`.
Tensor masked_fill(const Tensor& input, const Tensor& mask, const Scalar& value);
/// The same with `value` in a tensor of rank 0, which receives the gradient of the places filled.
Tensor masked_fill(const Tensor& input, const Tensor& mask, const Tensor& value);

/// The larger; NaN if either is. Where both are equal the gradient goes half to each.
Tensor maximum(const Tensor& input, const Tensor& other);
/// The smaller; NaN if either is. Where both are equal the gradient goes half to each.
Tensor minimum(const Tensor& input, const Tensor& other);

/// PyTorch's other names of maximum and minimum.
inline Tensor max(const Tensor& input, const Tensor& other) { return maximum(input, other); }
inline Tensor min(const Tensor& input, const Tensor& other) { return minimum(input, other); }

/// min(max(input, min), max), so `max` where the bounds cross; the gradient passes at the bounds. Throws
/// Error when both bounds are missing, or when input's integer type does not hold one.
Tensor clamp(const Tensor& input, const std::optional<Scalar>& min,
             const std::optional<Scalar>& max = std::nullopt);
/// Bounds that broadcast with input and have gradients of their own; an undefined one is no bound.
Tensor clamp(const Tensor& input, const Tensor& min, const Tensor& max = {});

}  // namespace lucid
