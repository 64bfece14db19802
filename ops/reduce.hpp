#pragma once
// Reductions. `dim` lists axes, negative ones from the end; empty means all. The result drops them, or keeps
// them with size 1 when `keepdim`. Sums are kept in double (int64 for integers), whatever the input's type.

#include <optional>
#include <utility>
#include <vector>

#include "lucid/tensor.hpp"

namespace lucid {

using DimList = std::vector<std::int64_t>;

/// Integers and bool sum to int64. `dtype`, when given, is what the input is converted to first.
Tensor sum(const Tensor& input, const DimList& dim = {}, bool keepdim = false,
           std::optional<DType> dtype = {});
/// Of a floating type; that of no elements is NaN.
Tensor mean(const Tensor& input, const DimList& dim = {}, bool keepdim = false,
            std::optional<DType> dtype = {});
/// Sums over broadcast axes until the shape is `shape`: the adjoint of expand. Throws Error when `shape` does
/// not broadcast to the input's.
Tensor sum_to(const Tensor& input, const Shape& shape);

}  // namespace lucid
