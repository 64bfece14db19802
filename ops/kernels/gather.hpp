#pragma once
// Slices and elements picked by integer tensors, and the sums that are their adjoints.

#include <vector>

#include "lucid/tensor.hpp"

namespace lucid::kernels {

using Picks = std::vector<std::int64_t>;

/// The slices picks[j] of `input` along `axis`, in input's memory order. The picks lie in [0, size).
Tensor pick_slices(const Tensor& input, std::size_t axis, const Picks& picks);
/// The adjoint: `size` slices along `axis`, slice i the sum of those slices j of `source` with picks[j] = i,
/// kept in double (int64 for integers) while it grows. In source's memory order.
Tensor sum_slices(const Tensor& source, std::size_t axis, const Picks& picks, std::int64_t size);

/// out[.., i, ..] = input[.., index[.., i, ..], ..] along `axis`; `index` is int64 of out's shape, checked.
void gather(const Tensor& out, const Tensor& input, std::size_t axis, const Tensor& index);
/// out[.., index[.., i, ..], ..] += source[.., i, ..]; `index` and `source` have one shape.
void scatter_add(const Tensor& out, std::size_t axis, const Tensor& index, const Tensor& source);

}  // namespace lucid::kernels
