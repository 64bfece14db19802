#pragma once
// Per-axis arguments of layers: their check and their text.

#include <algorithm>
#include <string>

#include "ops/dims.hpp"

namespace lucid::nn::detail {

/// "(3, 3, 3)"; one value reads "(3,)".
template <std::size_t N>
std::string tuple(const Dims<N>& dims) {
  return N == 1 ? str("(", dims[0], ",)") : dims.str();
}

template <std::size_t N>
void check_at_least(std::string_view layer, const char* what, const Dims<N>& dims, std::int64_t least) {
  check(std::all_of(dims.begin(), dims.end(), [&](std::int64_t value) { return value >= least; }), layer,
        what, " is ", dims, "; at least ", least, " is required on every axis");
}

}  // namespace lucid::nn::detail
