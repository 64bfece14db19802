// A summary as text.

#include <array>
#include <cstdio>
#include <vector>

#include "lucid/columns.hpp"
#include "nn/summary.hpp"

namespace lucid::nn {
namespace {

using Cells = std::vector<std::string>;

// "1,234,567"
std::string grouped(std::int64_t value) {
  std::string digits = lucid::str(value);
  for (std::int64_t at = static_cast<std::int64_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

// With three significant digits and the largest of the units that leaves a number above 1.
std::string scaled(double value, double step, const std::array<const char*, 5>& units) {
  std::size_t unit = 0;
  for (; value >= step && unit + 1 < units.size(); ++unit) value /= step;
  char text[32];
  std::snprintf(text, sizeof text,
                unit == 0     ? "%.0f"
                : value < 10  ? "%.2f"
                : value < 100 ? "%.1f"
                              : "%.0f",
                value);
  return lucid::str(text, " ", units[unit]);
}
std::string bytes_text(std::int64_t bytes) {
  return scaled(static_cast<double>(bytes), 1024, {"B", "KiB", "MiB", "GiB", "TiB"});
}
std::string flops_text(double flops) { return scaled(flops, 1000, {"", "k", "M", "G", "T"}); }

constexpr bool kIsNumber[] = {false, false, false, false, true, true, true};

}  // namespace

std::string Summary::str() const {
  std::vector<Cells> lines{{"path", "type", "input", "output", "parameters", "flops", "kept"}};
  for (const SummaryRow& row : rows)
    lines.push_back({row.path, row.type, row.input.str(), row.output.str(), grouped(row.parameters),
                     flops_text(row.flops), bytes_text(row.kept_bytes)});
  lines.push_back({"total", "", "", "", grouped(parameters), flops_text(flops), bytes_text(kept_bytes)});
  std::string out = in_columns(lines, kIsNumber);
  for (const std::string& path : uncalled) out += lucid::str("not called: ", path, "\n");
  out += lucid::str("parameters ", grouped(parameters), ", of which ", grouped(trainable_parameters),
                    " are trained; with buffers ", bytes_text(model_bytes), "\n");
  out += lucid::str("input ", bytes_text(input_bytes), "; peak of inference ",
                    bytes_text(inference_peak_bytes), ", of a training step ",
                    bytes_text(training_peak_bytes), " (without the loss and the optimiser's state)\n");
  return out;
}

}  // namespace lucid::nn
