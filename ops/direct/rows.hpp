#pragma once
// The inner loops of the direct convolutions: small matrix products over rows of channels-last voxels.

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "lucid/cpu.hpp"

namespace lucid::direct {

/// Elements of T in one vector of 64 bytes, a wide register or two narrow ones.
template <class T>
inline constexpr std::int64_t kLanes = 64 / static_cast<std::int64_t>(sizeof(T));

/// Columns of a product that lie together in memory: one line of the cache, so that those read together do
/// not leave every other set of it unused.
template <class T>
inline constexpr std::int64_t kPanel = kLanes<T>;

/// What sums in registers are loaded from to start at 0: an array of registers that a compiler fills with
/// zeros it first fills in memory, which takes longer than a short sum.
template <class T>
inline constexpr T kZeros[4 * kLanes<T>] = {};

/// Elements of T in a register of this processor.
template <class T>
std::int64_t register_lanes() {
  return register_bytes() / static_cast<std::int64_t>(sizeof(T));
}

inline std::int64_t padded_to_lanes(std::int64_t count, std::int64_t lanes) {
  return (count + lanes - 1) / lanes * lanes;
}

/// Copies `count` elements, kPanel at a time, to places `step` apart: by moves of a fixed size, where a size
/// that varies is a call.
template <class T>
void copy_panels(const T* from, std::int64_t count, T* to, std::int64_t step = kPanel<T>) {
  for (; count >= kPanel<T>; count -= kPanel<T>, from += kPanel<T>, to += step)
    std::memcpy(to, from, kPanel<T> * sizeof(T));
  std::copy(from, from + count, to);
}

/// Copies `count` < 2 * Step elements: whole powers of two, which compile to single moves.
template <std::int64_t Step, class T>
[[gnu::always_inline]] inline void copy_some(T* to, const T* from, std::int64_t count) {
  if (count & Step) {
    std::memcpy(to, from, Step * sizeof(T));
    to += Step, from += Step;
  }
  if constexpr (Step > 1) copy_some<Step / 2>(to, from, count);
}

/// Copies a register of `Bytes`, or where `tail` is not 0 the first so many elements of it.
template <int Bytes, class T>
[[gnu::always_inline]] inline void copy_register(T* to, const T* from, std::int64_t tail) {
  if (tail)
    copy_some<Bytes / static_cast<std::int64_t>(sizeof(T)) / 2>(to, from, tail);
  else
    std::memcpy(to, from, Bytes);
}

/// Where one of the outer terms of a product lies, from a and from b.
struct RowsTerm {
  std::int64_t a, b;
};

/// The product, for l < lines, m < rows and j < columns,
///   p[l][m][j] = start[j] + sum over i < outer and k < depth of
///                a[l * a_line + m * a_row + i * a_outer + k * a_step] * b(j)[i * b_outer + k * b_row + j %
///                kPanel],
/// where b(j) = b + j / kPanel * b_panel. add_product() adds it to c[l * c_line + m * c_row + j] and
/// store_product() writes it there. Either a_row is 1, or a_step is 1 and b_row is kPanel. `b` and `start`
/// (null for zeros) must be readable up to columns rounded up to whole vectors.
template <class T>
struct RowsProduct {
  const T* a;
  std::int64_t a_row, a_step;
  const T* b;
  std::int64_t b_row;
  T* c;
  std::int64_t c_row;
  std::int64_t rows, depth, columns;
  std::int64_t b_panel = kPanel<T>;
  std::int64_t outer = 1, a_outer = 0, b_outer = 0;
  const RowsTerm* terms = nullptr;  ///< instead of i * a_outer and i * b_outer
  std::int64_t lines = 1, a_line = 0, c_line = 0;
  const T* start = nullptr;
  /// store_product() and add_product() fetch factors along rows before they are needed; false where they lie
  /// in a cache, or another product fetches them.
  bool fetches = true;
  /// store_product() writes past the caches: for a result too large to be found there later. As many columns
  /// as takes_past_caches() takes; c, its rows and its lines begin at multiples of 16 bytes.
  bool past_caches = false;
  /// What lies there from a is fetched from memory meanwhile: by add_product() where a_row is 1.
  std::int64_t a_ahead = 0;
};

/// Whole panels of columns, or half of one.
template <class T>
bool takes_past_caches(std::int64_t columns) {
  return columns % kPanel<T> == 0 || columns == kPanel<T> / 2;
}

/// Whether a result of `bytes` at `to` is so large that it is better written past the caches: measured from 8
/// MB on, where it takes up to a fifth less time. Its rows, `row_bytes` apart, must begin where that is
/// allowed.
inline bool goes_past_caches(const void* to, std::int64_t bytes, std::int64_t row_bytes) {
  constexpr std::int64_t kLeastBytes = 1 << 23, kAligned = 16;
  return bytes >= kLeastBytes && row_bytes % kAligned == 0 &&
         reinterpret_cast<std::uintptr_t>(to) % kAligned == 0;
}

void add_product(const RowsProduct<float>& product);
void add_product(const RowsProduct<double>& product);
void store_product(const RowsProduct<float>& product);
void store_product(const RowsProduct<double>& product);

}  // namespace lucid::direct
