#pragma once
// The inner loops of the direct convolutions: small matrix products over rows of channels-last voxels.

#include <cstdint>
#include <cstring>

#include "lucid/parallel.hpp"

namespace lucid::direct {

/// Elements of T in one 64-byte vector. Processors with narrower registers use several for it.
template <class T>
inline constexpr std::int64_t kLanes = 64 / static_cast<std::int64_t>(sizeof(T));

inline std::int64_t padded_to_lanes(std::int64_t count, std::int64_t lanes) {
  return (count + lanes - 1) / lanes * lanes;
}

/// The product p[m][j] = sum over k of a[m * a_row + k * a_step] * b[k * b_row + j], for m < rows, k < depth,
/// j < columns, that add_product() adds to c[m * c_row + j] and store_product() writes there. `b` must be
/// readable up to columns rounded up to whole vectors.
template <class T>
struct RowsProduct {
  const T* a;
  std::int64_t a_row, a_step;
  const T* b;
  std::int64_t b_row;
  T* c;
  std::int64_t c_row;
  std::int64_t rows, depth, columns;
};

namespace detail {

// R rows and V vectors of the product, held in registers; the last `tail` columns are partial when it is not
// 0.
template <bool Add, class T, int R, int V>
[[gnu::always_inline]] inline void block(const T* a, std::int64_t a_row, std::int64_t a_step, const T* b,
                                         std::int64_t b_row, T* c, std::int64_t c_row, std::int64_t depth,
                                         std::int64_t tail) {
  typedef T Lanes __attribute__((vector_size(64)));
  constexpr std::int64_t lanes = kLanes<T>;
  Lanes sums[R][V] = {};
  for (std::int64_t k = 0; k < depth; ++k) {
    Lanes row[V];
    for (int v = 0; v < V; ++v) std::memcpy(&row[v], b + k * b_row + v * lanes, sizeof(Lanes));
    for (int r = 0; r < R; ++r) {
      const T factor = a[r * a_row + k * a_step];
      for (int v = 0; v < V; ++v) sums[r][v] += factor * row[v];
    }
  }
  for (int r = 0; r < R; ++r) {
    T* at = c + r * c_row;
    for (int v = 0; v < V; ++v, at += lanes) {
      if (v + 1 == V && tail) {
        T rest[lanes];
        std::memcpy(rest, &sums[r][v], sizeof(Lanes));
        for (std::int64_t j = 0; j < tail; ++j) at[j] = Add ? at[j] + rest[j] : rest[j];
      } else {
        Lanes before = {};
        if constexpr (Add) std::memcpy(&before, at, sizeof(Lanes));
        before += sums[r][v];
        std::memcpy(at, &before, sizeof(Lanes));
      }
    }
  }
}

template <bool Add, class T, int V>
[[gnu::always_inline]] inline void column_block(const RowsProduct<T>& p, std::int64_t column,
                                                std::int64_t tail) {
  constexpr int kRows = 8 / V;  // eight sums in flight hide the latency of a multiplication
  std::int64_t m = 0;
  for (; m + kRows <= p.rows; m += kRows)
    block<Add, T, kRows, V>(p.a + m * p.a_row, p.a_row, p.a_step, p.b + column, p.b_row,
                            p.c + m * p.c_row + column, p.c_row, p.depth, tail);
  for (; V == 1 && m + 4 <= p.rows; m += 4)
    block<Add, T, 4, V>(p.a + m * p.a_row, p.a_row, p.a_step, p.b + column, p.b_row,
                        p.c + m * p.c_row + column, p.c_row, p.depth, tail);
  for (; m < p.rows; ++m)
    block<Add, T, 1, V>(p.a + m * p.a_row, p.a_row, p.a_step, p.b + column, p.b_row,
                        p.c + m * p.c_row + column, p.c_row, p.depth, tail);
}

template <bool Add, class T>
[[gnu::always_inline]] inline void product(const RowsProduct<T>& p) {
  constexpr std::int64_t lanes = kLanes<T>;
  std::int64_t column = 0;
  for (; column + 2 * lanes <= p.columns; column += 2 * lanes) column_block<Add, T, 2>(p, column, 0);
  const std::int64_t rest = p.columns - column;
  if (rest > lanes)
    column_block<Add, T, 2>(p, column, rest - lanes);
  else if (rest > 0)
    column_block<Add, T, 1>(p, column, rest == lanes ? 0 : rest);
}

}  // namespace detail

template <class T>
LUCID_VECTORIZED void add_product(const RowsProduct<T>& p) {
  detail::product<true>(p);
}
template <class T>
LUCID_VECTORIZED void store_product(const RowsProduct<T>& p) {
  detail::product<false>(p);
}

}  // namespace lucid::direct
