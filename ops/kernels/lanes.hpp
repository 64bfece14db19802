#pragma once
// Eight doubles at a time, for sums in double over narrower elements: held in registers where a compiler
// would keep an array of accumulators in memory. For .cpp files whose functions are LUCID_VECTORIZED; values
// go by reference since the width of a register is not known outside of such a function.

#include <cstdint>
#include <cstring>

#include "lucid/dtype.hpp"

namespace lucid::kernels {

inline constexpr std::int64_t kLanes = 8;
typedef double Lanes __attribute__((vector_size(8 * sizeof(double))));

template <class T>
[[gnu::always_inline]] inline void load(const T* from, Lanes& out) {
  if constexpr (std::is_same_v<T, double>) {
    std::memcpy(&out, from, sizeof(Lanes));
  } else if constexpr (std::is_same_v<T, float>) {
    typedef float Floats __attribute__((vector_size(8 * sizeof(float))));
    Floats narrow;
    std::memcpy(&narrow, from, sizeof(Floats));
    out = __builtin_convertvector(narrow, Lanes);
  } else {
    static_assert(std::is_same_v<T, bfloat16>);
    typedef std::uint16_t Halves __attribute__((vector_size(8 * sizeof(std::uint16_t))));
    typedef std::uint32_t Words __attribute__((vector_size(8 * sizeof(std::uint32_t))));
    typedef float Floats __attribute__((vector_size(8 * sizeof(float))));
    Halves halves;
    std::memcpy(&halves, from, sizeof(Halves));
    const Words words = __builtin_convertvector(halves, Words) << 16;
    Floats narrow;
    std::memcpy(&narrow, &words, sizeof(Floats));
    out = __builtin_convertvector(narrow, Lanes);
  }
}

[[gnu::always_inline]] inline void store(const Lanes& lanes, double* to) {
  std::memcpy(to, &lanes, sizeof(Lanes));
}

}  // namespace lucid::kernels
