#pragma once
// What was measured, as a table, as JSON, and in geometric means.

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "bench/case.hpp"

namespace bench {

/// One pass of one shape; times in ms. A peer that has no such operation has no time.
struct Row {
  ConvCase shape;
  Pass pass = Pass::forward;
  double ms = 0, limit_ms = 0;
  std::optional<double> torch_ms{}, onednn_ms{};
  std::string impl{};
};

void print_table(std::FILE* out, const std::vector<Row>& rows);

/// For each group and op: the geometric means over its shapes of PyTorch's, oneDNN's and the limit's time
/// over lucid's, each summed over the three passes, and the
/// number of passes in which lucid has less than 0.97 times the speed of the better peer.
void print_means(std::FILE* out, const std::vector<Row>& rows);

/// A list of objects {op, shape, pass, ms, torch_ms, onednn_ms, limit_ms, impl}; a missing time is null.
/// Throws lucid::Error when the file cannot be written.
void write_json(const std::string& path, const std::vector<Row>& rows);

}  // namespace bench
