#pragma once
// Positions of the largest or smallest values along an axis.

#include "lucid/tensor.hpp"

namespace lucid::kernels {

/// Of each run of `input` (floating) along `axis` the position of its largest value, else its smallest, into
/// `indices` (int64), and that value into `values` unless it is undefined; both have size 1 at `axis`. The
/// first of equal values counts, or the first NaN. Returns false and does nothing where the runs are so few
/// that the arithmetic had better go along them.
bool find_extrema(const Tensor& values, const Tensor& indices, const Tensor& input, std::size_t axis,
                  bool largest);

/// Zeros of the shape and layout of `like`, with the elements of `source` (size 1 at `axis`) at the positions
/// `indices` along it.
Tensor placed_along(const Tensor& source, const Tensor& indices, const Tensor& like, std::size_t axis);

}  // namespace lucid::kernels
