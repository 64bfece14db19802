#pragma once
// Products of rows of channels-last voxels with two or three neighbouring taps at once.

#include "ops/direct/rows.hpp"

namespace lucid::direct {

/// The least rows of store_sliding_rows().
inline constexpr std::int64_t kLeastSlidingRows = 8;

/// The product of `p` for each tap t of its terms, summed: for l < lines, m < rows and j < columns,
///   c[l * c_line + m * c_row + j] = start[j] + sum over i < outer, k < depth and t of
///     a[l * a_line + (m + t) * a_row + terms[i].a + k] * b(j)[terms[i].b + t * b_tap + k * kPanel + j %
///     kPanel],
/// with b(j) as in RowsProduct. Of the terms the last `pairs` have two taps, all others three. Each factor is
/// loaded once for the taps that meet it. At least kLeastSlidingRows rows, and a_step is 1; past the caches
/// go whole panels of columns only; `fetches` and `a_ahead` change nothing.
void store_sliding_rows(const RowsProduct<float>& p, std::int64_t pairs, std::int64_t b_tap);

}  // namespace lucid::direct
