#pragma once
// Products of few columns: each element of the result is a dot product along the vectors of its terms, where
// columns would leave most of a vector idle.

#include "ops/conv_problem.hpp"
#include "ops/direct/rows.hpp"

namespace lucid::direct {

/// Columns of such a product. With more, sums along vectors cost more than idle lanes.
inline constexpr std::int64_t kMostDots = 4;
/// Floats of a narrow register, along which it sums: wide ones, 16 channels are common, would be fewer.
inline constexpr std::int64_t kDotLanes = 8;

/// Whether a direct convolution, from y to x where `transposed`, is such products: in float32, of one group.
bool has_dots(const ops::ConvProblem& problem, bool transposed);

/// Outputs for which the weight has room: 1, 2 or 4.
constexpr std::int64_t padded_dots(std::int64_t columns) { return columns <= 2 ? columns : kMostDots; }

/// store_product() of at most kMostDots columns, with a_step 1 and depth a multiple of kDotLanes. b lies at
/// each term as [depth / kDotLanes][padded_dots(columns)][kDotLanes], zeros for columns that are not there.
void store_dots(const RowsProduct<float>& product);

}  // namespace lucid::direct
