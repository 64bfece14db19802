#pragma once
// Per-axis arguments of spatial operations: one number for all axes, or one for each.

#include <array>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "lucid/error.hpp"

namespace lucid {

/// N values, one for each spatial axis (D, H, W for N = 3). An int stands for N equal values.
template <std::size_t N>
struct Dims : std::array<std::int64_t, N> {
  Dims(std::int64_t value = 0) { this->fill(value); }
  Dims(int value) : Dims(static_cast<std::int64_t>(value)) {}
  /// One value or exactly N; throws Error otherwise.
  Dims(std::initializer_list<std::int64_t> values) : Dims(values.begin(), values.size()) {}
  Dims(const std::int64_t* values, std::size_t count) {
    check(count == 1 || count == N, "dims", count, " values given; 1 or ", N, " are required");
    for (std::size_t i = 0; i < N; ++i) (*this)[i] = values[count == 1 ? 0 : i];
  }

  /// "(1, 2, 2)"
  std::string str() const {
    std::string out = "(";
    for (std::size_t i = 0; i < N; ++i) out += (i ? ", " : "") + std::to_string((*this)[i]);
    return out + ")";
  }
};

using Dims1 = Dims<1>;
using Dims2 = Dims<2>;
using Dims3 = Dims<3>;

// JSON: an integer, or an array of 1 or N integers.
template <std::size_t N>
void to_json(nlohmann::json& out, const Dims<N>& dims);
template <std::size_t N>
void from_json(const nlohmann::json& in, Dims<N>& dims);

}  // namespace lucid
