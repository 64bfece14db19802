#pragma once
// Arguments of layers: their checks, and their text as Python would print it.

#include <algorithm>
#include <string>

#include "ops/dims.hpp"

namespace lucid::nn::detail {

/// "True" or "False".
inline const char* python(bool value) { return value ? "True" : "False"; }
/// "0.5", "1.0", "1e-05": a number that Python would print as a float.
std::string python(double value);

/// "(3, 3, 3)"; one value reads "(3,)". `values` is a range of integers.
template <class Values>
std::string tuple(const Values& values) {
  std::string out;
  for (const std::int64_t value : values) out += str(out.empty() ? "" : ", ", value);
  return str("(", out, values.size() == 1 ? ",)" : ")");
}

/// "2" where the axes agree, else "(1, 2, 2)".
template <std::size_t N>
std::string one_or_tuple(const Dims<N>& dims) {
  return dims == Dims<N>(dims[0]) ? str(dims[0]) : tuple(dims);
}

template <std::size_t N>
void check_at_least(std::string_view layer, const char* what, const Dims<N>& dims, std::int64_t least) {
  check(std::all_of(dims.begin(), dims.end(), [&](std::int64_t value) { return value >= least; }), layer,
        what, " is ", dims, "; at least ", least, " is required on every axis");
}

inline void check_at_least(std::string_view layer, const char* what, std::int64_t value, std::int64_t least) {
  check(value >= least, layer, what, " is ", value, "; at least ", least, " is required");
}

}  // namespace lucid::nn::detail
