#pragma once
// Padding.

#include <vector>

#include "lucid/tensor.hpp"

namespace lucid {

enum class PadMode : std::uint8_t { constant, reflect, replicate, circular };

/// `pad` holds (before, after) pairs, the last axis first, for as many axes as wanted: {1, 2, 0, 3} adds 1 +
/// 2 columns and 0 + 3 rows. Negative counts crop. `value` fills in constant mode. Throws Error on an odd
/// number of counts, more pairs than axes, a size that falls below 0, a reflection of size or more, a turn of
/// more than size.
Tensor pad(const Tensor& input, const std::vector<std::int64_t>& pad, PadMode mode = PadMode::constant,
           double value = 0.0);

}  // namespace lucid
