#pragma once

#include <string>
#include <vector>

#include "examples/segmentation/config.hpp"

namespace segment {

/// The first key whose values differ, as `net.channels is [8, 16] there and [16, 32] here`; empty when none
/// does. Looks at the top-level `keys`.
std::string config_difference(const Config& there, const Config& here, const std::vector<std::string>& keys);

/// The keys that decide which net a config makes and what its output means.
const std::vector<std::string>& model_keys();

/// The keys that decide which numbers training gives.
const std::vector<std::string>& training_keys();

}  // namespace segment
