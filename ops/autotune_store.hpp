#pragma once
// What autotuning remembers (ops/autotune.hpp).

#include <optional>
#include <string>

#include "ops/conv_algorithm.hpp"

namespace lucid::ops {

/// The choice in the file for a plan's key; nothing when there is none.
std::optional<ConvAlgorithm> remembered_choice(const std::string& key);
/// Adds a choice to the file, if one is set. A file that can't be written is logged, and no more written.
void remember_choice(const std::string& key, ConvAlgorithm algorithm);

}  // namespace lucid::ops
