#pragma once
// PyTorch's names for what lucid's records know under one name: prefixes, synonyms, aliases of arguments.

#include <nlohmann/json.hpp>
#include <string>

#include "ops/registry.hpp"

namespace run_cases {

using nlohmann::json;

/// The record that PyTorch's `name` stands for: "nn.functional.pad", "torch.add", "Tensor.view",
/// "special.erf", "relu_", "subtract". `arguments` decides where one name has two meanings (max of two
/// tensors is maximum). Throws lucid::Error when there is none.
const lucid::ops::Op& find_op(const std::string& name, const json& arguments = json::object());

/// `arguments` (an object) under the record's names: self is input, axis is dim, mat2 is other, and so on.
/// What has no bearing on a result (inplace, out = null, sparse gradients that are off) is left out.
json named_arguments(const lucid::ops::Op& op, const json& arguments);

/// The name without what PyTorch puts before it: "nn.functional.pad" is "pad", "optim.SGD" is "SGD".
std::string short_name(const std::string& name);

}  // namespace run_cases
