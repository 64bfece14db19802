#pragma once
// Integer arithmetic that wraps around on overflow, as PyTorch's does; C++ leaves that of signed integers
// undefined.

#include <cstdint>
#include <type_traits>

namespace lucid::kernels {

/// x without its sign if it is an int32 or int64, to be added, subtracted or multiplied modulo 2^32 or 2^64;
/// any other x as it is (smaller integers are widened to int, which no product of two of them overflows).
template <class T>
auto modular(T x) {
  if constexpr (std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::int32_t>)
    return static_cast<std::make_unsigned_t<T>>(x);
  else
    return x;
}

}  // namespace lucid::kernels
