#pragma once
// Integer tensors as positions along an axis.

#include "ops/kernels/gather.hpp"

namespace lucid::ops {

/// The elements of an integer tensor in row-major order, each in [0, size); throws Error naming one that is
/// not. `what` is the tensor's name in messages.
kernels::Picks read_picks(std::string_view op, std::string_view what, const Tensor& index, std::int64_t size);

/// Throws Error unless `index` is an int64 or int32 tensor; as int64.
Tensor as_positions(std::string_view op, std::string_view what, const Tensor& index);

/// The adjoint of index_select from an axis of `size`; recorded as "index_select_backward".
Tensor sum_selected(const Tensor& grad, std::int64_t dim, const Tensor& index, std::int64_t size);

}  // namespace lucid::ops
