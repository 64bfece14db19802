#pragma once

#include <span>
#include <string>
#include <vector>

namespace lucid {

/// Lines of cells as text, two spaces between the columns, each as wide as its widest cell: text to the left,
/// numbers to the right as `is_number` says, one entry a column. No line has more cells than that.
std::string in_columns(const std::vector<std::vector<std::string>>& lines, std::span<const bool> is_number);

}  // namespace lucid
