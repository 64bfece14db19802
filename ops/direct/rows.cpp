#include "ops/direct/rows.hpp"

#include <cstring>

#include "lucid/parallel.hpp"

namespace lucid::direct {
namespace {

// Copies `count` < kLanes elements: whole powers of two, which compile to single moves.
template <class T, std::int64_t Step = kLanes<T> / 2>
[[gnu::always_inline]] inline void copy_some(T* to, const T* from, std::int64_t count) {
  if (count & Step) {
    std::memcpy(to, from, Step * sizeof(T));
    to += Step, from += Step;
  }
  if constexpr (Step > 1) copy_some<T, Step / 2>(to, from, count);
}

// R rows at `a` and V vectors at `b` of the product, held in registers; the last vector has `tail` columns
// when that is not 0.
template <bool Add, class T, int R, int V>
[[gnu::always_inline]] inline void block(const RowsProduct<T>& p, const T* a, const T* b, const T* start,
                                         T* c, std::int64_t tail, std::int64_t ahead) {
  typedef T Lanes __attribute__((vector_size(64)));
  constexpr std::int64_t lanes = kLanes<T>;
  Lanes sums[R][V] = {};
  if (start)
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < V; ++v) std::memcpy(&sums[r][v], start + v * lanes, sizeof(Lanes));
  const std::int64_t a_row = p.a_row, a_step = p.a_step, b_row = p.b_row, depth = p.depth;
  for (std::int64_t i = 0; i < p.outer; ++i) {
    const T* from = b + i * p.b_outer;
    if (a_step == 1 && p.rows > R)  // the rows of the next block are on their way while these are multiplied
      for (int r = R; r < 2 * R; ++r)
        for (std::int64_t k = 0; k < depth; k += lanes) __builtin_prefetch(a + i * p.a_outer + r * a_row + k);
    for (std::int64_t k = 0; k < depth; ++k, from += b_row) {
      const T* at = a + i * p.a_outer + k * a_step;
      if (ahead) __builtin_prefetch(at + ahead);
      Lanes row[V];
      for (int v = 0; v < V; ++v) std::memcpy(&row[v], from + v * lanes, sizeof(Lanes));
      for (int r = 0; r < R; ++r) {
        const T factor = at[r * a_row];
        for (int v = 0; v < V; ++v) sums[r][v] += factor * row[v];
      }
    }
  }
  for (int r = 0; r < R; ++r) {
    T* at = c + r * p.c_row;
    for (int v = 0; v < V; ++v, at += lanes) {
      Lanes before = {};
      const bool partial = v + 1 == V && tail;
      if constexpr (Add) {
        if (partial)
          copy_some(reinterpret_cast<T*>(&before), at, tail);
        else
          std::memcpy(&before, at, sizeof(Lanes));
      }
      before += sums[r][v];
      if (partial)
        copy_some(at, reinterpret_cast<const T*>(&before), tail);
      else
        std::memcpy(at, &before, sizeof(Lanes));
    }
  }
}

// All rows and lines of V vectors of columns.
template <bool Add, class T, int V>
[[gnu::always_inline]] inline void column_block(const RowsProduct<T>& p, const T* b, const T* start, T* c,
                                                std::int64_t tail, std::int64_t a_ahead) {
  constexpr int kRows = 8 / V;  // eight sums in flight hide the latency of a multiplication
  for (std::int64_t l = 0; l < p.lines; ++l) {
    const T* a = p.a + l * p.a_line;
    T* to = c + l * p.c_line;
    std::int64_t m = 0;
    // Rows that lie side by side share what is fetched.
    const auto ahead = [&] { return m % kLanes<T> == 0 ? a_ahead : 0; };
    for (; m + kRows <= p.rows; m += kRows)
      block<Add, T, kRows, V>(p, a + m * p.a_row, b, start, to + m * p.c_row, tail, ahead());
    for (; V == 1 && m + 4 <= p.rows; m += 4)
      block<Add, T, 4, V>(p, a + m * p.a_row, b, start, to + m * p.c_row, tail, ahead());
    for (; m < p.rows; ++m)
      block<Add, T, 1, V>(p, a + m * p.a_row, b, start, to + m * p.c_row, tail, ahead());
  }
}

template <bool Add, class T>
[[gnu::always_inline]] inline void product(const RowsProduct<T>& p) {
  constexpr std::int64_t lanes = kLanes<T>;
  const T *b = p.b, *start = p.start;
  for (std::int64_t column = 0; column < p.columns; column += kPanel<T>, b += p.b_panel) {
    const std::int64_t rest = p.columns - column, ahead = column == 0 ? p.a_ahead : 0;
    if (rest > lanes)
      column_block<Add, T, 2>(p, b, start, p.c + column, rest >= kPanel<T> ? 0 : rest - lanes, ahead);
    else
      column_block<Add, T, 1>(p, b, start, p.c + column, rest == lanes ? 0 : rest, ahead);
    if (start) start += kPanel<T>;
  }
}

}  // namespace

LUCID_VECTORIZED void add_product(const RowsProduct<float>& p) { product<true>(p); }
LUCID_VECTORIZED void add_product(const RowsProduct<double>& p) { product<true>(p); }
LUCID_VECTORIZED void store_product(const RowsProduct<float>& p) { product<false>(p); }
LUCID_VECTORIZED void store_product(const RowsProduct<double>& p) { product<false>(p); }

}  // namespace lucid::direct
