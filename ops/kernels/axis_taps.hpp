#pragma once
// Which input positions each output position of one axis reads, and with what weights. Pooling and
// interpolation along an axis are such a sparse matrix, and their adjoints its transpose.

#include <array>
#include <cstdint>
#include <vector>

namespace lucid::kernels {

/// Output position o reads index[k] with weight[k] for k in [begin[o], begin[o + 1]), in ascending order of
/// index.
struct AxisTaps {
  std::int64_t inputs = 0;
  std::vector<std::int64_t> begin = {0};
  std::vector<std::int64_t> index = {};
  std::vector<double> weight = {};

  std::int64_t outputs() const { return static_cast<std::int64_t>(begin.size()) - 1; }
  void add(std::int64_t input, double factor) {
    index.push_back(input);
    weight.push_back(factor);
  }
  void finish_output() { begin.push_back(static_cast<std::int64_t>(index.size())); }
  /// The most positions that one output reads.
  std::int64_t widest() const;
  AxisTaps transposed() const;
};

/// Axes D, H, W.
using SpatialTaps = std::array<AxisTaps, 3>;
SpatialTaps transposed(const SpatialTaps& taps);

}  // namespace lucid::kernels
