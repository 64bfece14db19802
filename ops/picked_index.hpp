#pragma once
// Indexing by tensors: positions and masks between the brackets of x[...].

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "ops/slice.hpp"

namespace lucid::ops {

/// index() where at least one of `indices` is a tensor.
Tensor index_by_tensors(const Tensor& input, const std::vector<TensorIndex>& indices);

/// [[0, 2], [1, 1]] or [true, false] as a tensor of int64 or bool. Throws Error on other contents, on lists
/// of unequal lengths and on more than Shape::kMaxRank lists in each other.
Tensor read_nested_list(const nlohmann::json& in);

}  // namespace lucid::ops
