#pragma once
// Products of rows of channels-last voxels that lie anywhere.

#include "ops/direct/rows.hpp"

namespace lucid::direct {

/// Where a row lies, from a and from c.
struct RowPlace {
  std::int64_t a, c;
};

/// For m < rows and j < columns, with b(j) = b + j / kPanel * b_panel + j % kPanel:
///   c[places[m].c + j] += sum over k < depth of a[places[m].a + k] * b(j)[k * kPanel].
/// No two rows of c overlap; b must be readable up to columns rounded up to whole panels.
struct ScatteredRows {
  const float *a, *b;
  float* c;
  const RowPlace* places;
  std::int64_t rows, depth, columns, b_panel;
};

void add_scattered_rows(const ScatteredRows& p);

}  // namespace lucid::direct
