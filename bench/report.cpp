#include "bench/report.hpp"

#include <cmath>
#include <fstream>
#include <map>

#include <nlohmann/json.hpp>

namespace bench {
namespace {

std::string ratio(const std::optional<double>& theirs, double ours) {
  if (!theirs) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", *theirs / ours);
  return text;
}

nlohmann::json or_null(const std::optional<double>& ms) {
  return ms ? nlohmann::json(*ms) : nlohmann::json();
}

// The sums over the passes of one shape.
struct Sums {
  double ms = 0, limit_ms = 0, torch_ms = 0, onednn_ms = 0;
  bool has_torch = true, has_onednn = true;
  int passes = 0, behind = 0;
};

// Noise alone makes equals differ by a few percent.
constexpr double kAsFast = 0.97;

bool is_behind(const Row& row) {
  return row.torch_ms.value_or(row.ms) < kAsFast * row.ms ||
         row.onednn_ms.value_or(row.ms) < kAsFast * row.ms;
}

class GeometricMean {
 public:
  void add(double value) { sum_ += std::log(value), ++count_; }
  std::string text() const {
    char out[32] = "-";
    if (count_ > 0) std::snprintf(out, sizeof out, "%.3f", std::exp(sum_ / count_));
    return out;
  }

 private:
  double sum_ = 0;
  int count_ = 0;
};

}  // namespace

void print_table(std::FILE* out, const std::vector<Row>& rows) {
  std::fprintf(out, "%-16s  %-56s  %-16s  %9s  %8s  %7s  %8s  %8s  %s\n", "op", "shape", "pass", "ms",
               "GFLOP/s", "limit/", "PyTorch/", "oneDNN/", "implementation");
  for (const Row& row : rows)
    std::fprintf(out, "%-16s  %-56s  %-16s  %9.3f  %8.1f  %6.1f%%  %8s  %8s  %s\n", row.shape.op.c_str(),
                 row.shape.name().c_str(), name_of(row.pass), row.ms, row.shape.flops() / row.ms * 1e-6,
                 100 * row.limit_ms / row.ms, ratio(row.torch_ms, row.ms).c_str(),
                 ratio(row.onednn_ms, row.ms).c_str(), row.impl.c_str());
}

void print_means(std::FILE* out, const std::vector<Row>& rows) {
  std::map<std::string, std::map<std::string, Sums>> groups;
  for (const Row& row : rows) {
    Sums& sums = groups[row.shape.group + ", " + row.shape.op][row.shape.name()];
    sums.ms += row.ms, sums.limit_ms += row.limit_ms;
    ++sums.passes, sums.behind += is_behind(row);
    sums.torch_ms += row.torch_ms.value_or(0), sums.has_torch &= row.torch_ms.has_value();
    sums.onednn_ms += row.onednn_ms.value_or(0), sums.has_onednn &= row.onednn_ms.has_value();
  }
  std::fprintf(out, "\ngeometric means over the shapes, three passes summed:\n");
  for (const auto& [group, shapes] : groups) {
    GeometricMean limit, torch, onednn;
    int passes = 0, behind = 0;
    for (const auto& [name, sums] : shapes) {
      limit.add(sums.limit_ms / sums.ms);
      passes += sums.passes, behind += sums.behind;
      if (sums.has_torch) torch.add(sums.torch_ms / sums.ms);
      if (sums.has_onednn) onednn.add(sums.onednn_ms / sums.ms);
    }
    std::fprintf(out, "%-26s  %3zu shapes  PyTorch / lucid %s  oneDNN / lucid %s  limit / lucid %s  ",
                 group.c_str(), shapes.size(), torch.text().c_str(), onednn.text().c_str(),
                 limit.text().c_str());
    std::fprintf(out, "behind a peer: %d of %d passes\n", behind, passes);
  }
}

void write_json(const std::string& path, const std::vector<Row>& rows) {
  std::ofstream file(path);
  file << "[";
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    const nlohmann::ordered_json object = {{"op", row.shape.op},
                                           {"shape", row.shape.name()},
                                           {"pass", name_of(row.pass)},
                                           {"ms", row.ms},
                                           {"torch_ms", or_null(row.torch_ms)},
                                           {"onednn_ms", or_null(row.onednn_ms)},
                                           {"limit_ms", row.limit_ms},
                                           {"impl", row.impl}};
    file << (i ? ",\n " : "\n ") << object.dump();
  }
  file << "\n]\n";
  file.close();
  lucid::check(!file.fail(), "bench", "cannot write ", path);
}

}  // namespace bench
