#pragma once
// Handing the module path of errors to another thread.

#include <string>

namespace lucid::detail {

/// What the innermost ErrorScope of this thread names; null outside of all.
const std::string* current_error_path();

}  // namespace lucid::detail
