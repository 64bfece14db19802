#pragma once
// Normalisation of each row of a row-major (rows, columns) block: a row is read into the cache once.

#include <array>
#include <vector>

#include "ops/kernels/binary.hpp"

namespace lucid::kernels {

struct RowNorm {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  bool centred = true;  ///< subtract the mean; else divide by the root mean square alone
  double eps = 0;
};

/// (input - mean) * rstd * weight + bias. `input` is contiguous; weight and bias hold `columns` elements of
/// any floating type or are undefined; mean and rstd, (rows) float64, are written. Not recorded.
Tensor normalize_rows(const RowNorm& norm, const Tensor& input, const Tensor& weight, const Tensor& bias,
                      const Tensor& mean, const Tensor& rstd);

struct RowGradients {
  Tensor input;
  std::vector<double> weight, bias;  ///< `columns` sums over all rows
};

/// Those gradients that `wants` (input, weight, bias) asks for. `grad` and `input` are contiguous and of one
/// type.
RowGradients normalize_rows_backward(const RowNorm& norm, const Tensor& grad, const Tensor& input,
                                     const Tensor& weight, const Tensor& mean, const Tensor& rstd,
                                     std::array<bool, 3> wants);

}  // namespace lucid::kernels
