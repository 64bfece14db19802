#include "lucid/columns.hpp"

#include <algorithm>

namespace lucid {

std::string in_columns(const std::vector<std::vector<std::string>>& lines, std::span<const bool> is_number) {
  std::vector<std::size_t> width(is_number.size());
  for (const auto& cells : lines)
    for (std::size_t i = 0; i < cells.size(); ++i) width[i] = std::max(width[i], cells[i].size());
  std::string out;
  for (const auto& cells : lines) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string gap(width[i] - cells[i].size(), ' ');
      line += (i ? "  " : "") + (is_number[i] ? gap + cells[i] : cells[i] + gap);
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

}  // namespace lucid
