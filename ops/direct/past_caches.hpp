#pragma once
// Stores of results that are too large to be found in a cache later.

#include <cstddef>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace lucid::direct {

/// Writes a register to `to`, a multiple of 16 bytes, past the caches, where the processor can.
template <class Lanes>
[[gnu::always_inline]] inline void store_past_caches(const Lanes& from, void* to) {
#if defined(__SSE2__)
  for (std::size_t i = 0; i < sizeof(Lanes) / sizeof(__m128i); ++i) {
    __m128i part;
    std::memcpy(&part, reinterpret_cast<const __m128i*>(&from) + i, sizeof(part));
    _mm_stream_si128(static_cast<__m128i*>(to) + i, part);
  }
#else
  std::memcpy(to, &from, sizeof(Lanes));
#endif
}
/// Makes what was written so visible before what is written later.
inline void finish_past_caches() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

}  // namespace lucid::direct
