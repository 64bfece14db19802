#pragma once
// JSON values inside error messages.

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace lucid::ops {

/// The value as JSON; only the beginning of a long one, and a description of one that is nested deeply.
std::string quote(const nlohmann::json& value);

}  // namespace lucid::ops
