#pragma once
// What this machine can do at most, measured between the rounds of the same run.

#include <vector>

#include "bench/case.hpp"

namespace bench {

class Machine {
 public:
  Machine();

  /// Measures both rates once more.
  void measure();
  /// FLOP/s of a float32 matrix product in oneDNN, the median of the measurements.
  double flops() const;
  /// Bytes read and written in a second by a copy between buffers of 256 MB, the median of the measurements.
  double bandwidth() const;
  /// ms that one pass takes at least: max(flops / rate, bytes / bandwidth).
  double limit_ms(const ConvCase& shape) const;

 private:
  std::int64_t side_ = 0;  ///< of the cube that ran fastest
  lucid::Tensor a_, b_, c_, from_, to_;
  std::vector<double> flops_, bandwidth_;
};

}  // namespace bench
