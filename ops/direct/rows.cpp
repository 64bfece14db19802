#include "ops/direct/rows.hpp"

#include <cstring>
#include <type_traits>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "lucid/cpu.hpp"

namespace lucid::direct {
namespace {

// Elements of T in a register.
template <class T, int Bytes>
constexpr std::int64_t kIn = Bytes / static_cast<std::int64_t>(sizeof(T));

// Copies `count` < 2 * Step elements: whole powers of two, which compile to single moves.
template <std::int64_t Step, class T>
[[gnu::always_inline]] inline void copy_some(T* to, const T* from, std::int64_t count) {
  if (count & Step) {
    std::memcpy(to, from, Step * sizeof(T));
    to += Step, from += Step;
  }
  if constexpr (Step > 1) copy_some<Step / 2>(to, from, count);
}

// Writes past the caches, where the processor can.
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
// Makes what was written so visible before what is written later.
void finish_past_caches() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

// R rows at `a` and V registers at `b` of the product, whose sums are held in registers; the last register
// has `tail` columns when that is not 0. The first block of columns fetches what the others find in a cache:
// the next rows of a, and what lies `ahead`.
template <bool Add, int Bytes, int R, int V, class T>
[[gnu::always_inline]] inline void block(const RowsProduct<T>& p, const T* a, const T* b, const T* start,
                                         T* c, std::int64_t tail, bool is_first, std::int64_t ahead) {
  typedef T Lanes __attribute__((vector_size(Bytes)));
  constexpr std::int64_t lanes = kIn<T, Bytes>;
  Lanes sums[R][V];
#pragma GCC unroll 12  // else the sums lie in memory
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) std::memcpy(&sums[r][v], start + v * lanes, sizeof(Lanes));
  const std::int64_t a_row = p.a_row, a_step = p.a_step, b_row = p.b_row, depth = p.depth;
  for (std::int64_t i = 0; i < p.outer; ++i) {
    const std::int64_t a_term = p.terms ? p.terms[i].a : i * p.a_outer;
    const T* from = b + (p.terms ? p.terms[i].b : i * p.b_outer);
    if (is_first && a_step == 1 && p.rows > R)
      for (int r = R; r < 2 * R; ++r)
        for (std::int64_t k = 0; k < depth; k += kLanes<T>) __builtin_prefetch(a + a_term + r * a_row + k);
    const T* at = a + a_term;
#pragma GCC unroll 4  // beside a busy neighbour on the core every instruction counts
    for (std::int64_t k = 0; k < depth; ++k, from += b_row, at += a_step) {
      if (ahead) __builtin_prefetch(at + ahead);
      const auto load = [&](int v, Lanes& row) {
        std::memcpy(&row, from + v * lanes / kPanel<T> * p.b_panel + v * lanes % kPanel<T>, sizeof(Lanes));
      };
      if constexpr (V > R) {  // hold the factors, of which there are fewer
        T factors[R];
        for (int r = 0; r < R; ++r) factors[r] = at[r * a_row];
        for (int v = 0; v < V; ++v) {
          Lanes row;
          load(v, row);
          for (int r = 0; r < R; ++r) sums[r][v] += factors[r] * row;
        }
      } else {
        Lanes row[V];
        for (int v = 0; v < V; ++v) load(v, row[v]);
        for (int r = 0; r < R; ++r) {
          const T factor = at[r * a_row];
          for (int v = 0; v < V; ++v) sums[r][v] += factor * row[v];
        }
      }
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) {
    T* at = c + r * p.c_row;
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v, at += lanes) {
      Lanes before = {};
      const bool partial = v + 1 == V && tail;
      if constexpr (Add) {
        if (partial)
          copy_some<lanes / 2>(reinterpret_cast<T*>(&before), at, tail);
        else
          std::memcpy(&before, at, sizeof(Lanes));
      }
      before += sums[r][v];
      if (partial)
        copy_some<lanes / 2>(at, reinterpret_cast<const T*>(&before), tail);
      else if (!Add && p.past_caches)
        store_past_caches(before, at);
      else
        std::memcpy(at, &before, sizeof(Lanes));
    }
  }
}

// All rows and lines of V registers of columns.
template <bool Add, int Bytes, int V, class T>
[[gnu::always_inline]] inline void column_block(const RowsProduct<T>& p, const T* b, const T* start, T* c,
                                                std::int64_t tail, bool is_first) {
  // Eight sums in flight hide the latency of a multiplication; twelve narrow ones read b less often, but of
  // three registers leave none for the factors.
  constexpr int kRows = V == 3 ? 3 : (Bytes == kWideRegister ? 8 : 12) / V;
  const std::int64_t a_ahead = is_first ? p.a_ahead : 0;
  for (std::int64_t l = 0; l < p.lines; ++l) {
    const T* a = p.a + l * p.a_line;
    T* to = c + l * p.c_line;
    std::int64_t m = 0;
    // Rows that lie side by side share what is fetched: the line of the last one, where a line begins.
    const auto rows = [&]<int R>(std::integral_constant<int, R>) __attribute__((always_inline)) {
      block<Add, Bytes, R, V>(
          p, a + m * p.a_row, b, start, to + m * p.c_row, tail, is_first,
          a_ahead && (m % kLanes<T> == 0 || m % kLanes<T> + R > kLanes<T>) ? a_ahead + (R - 1) * p.a_row : 0);
      m += R;
    };
    const auto left = [&] { return p.rows - m; };
    // Fewer than four rows take as long as four.
    while (left() >= kRows && (kRows != 6 || (left() != 7 && left() != 8 && left() != 11)))
      rows(std::integral_constant<int, kRows>{});
    if constexpr (kRows > 4)
      while (left() >= 4) rows(std::integral_constant<int, 4>{});
    switch (left()) {
      case 3: rows(std::integral_constant<int, 3>{}); break;
      case 2: rows(std::integral_constant<int, 2>{}); break;
      case 1: rows(std::integral_constant<int, 1>{}); break;
    }
  }
}

// Two registers of columns at a time, and three narrow ones at the end; of few rows four, so that enough sums
// are in flight.
template <bool Add>
struct Product {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const RowsProduct<T>& p) {
    constexpr std::int64_t lanes = kIn<T, Bytes>;
    constexpr std::int64_t kFewRows = 3;
    std::int64_t first = 0;
    if constexpr (Bytes == kNarrowRegister)
      for (; p.rows <= kFewRows && first + 4 * lanes <= p.columns; first += 4 * lanes)
        column_block<Add, Bytes, 4>(p, p.b + first / kPanel<T> * p.b_panel,
                                    p.start ? p.start + first : kZeros<T>, p.c + first, 0, false);
    for (std::int64_t column = first; column < p.columns; column += 2 * lanes) {
      const T* const b = p.b + column / kPanel<T> * p.b_panel + column % kPanel<T>;
      const T* const start = p.start ? p.start + column : kZeros<T>;
      const std::int64_t rest = p.columns - column;
      if constexpr (Bytes == kNarrowRegister)
        if (rest > 2 * lanes && rest <= 3 * lanes) {
          column_block<Add, Bytes, 3>(p, b, start, p.c + column, rest % lanes, column == 0);
          break;
        }
      if (rest > lanes)
        column_block<Add, Bytes, 2>(p, b, start, p.c + column, rest >= 2 * lanes ? 0 : rest - lanes,
                                    column == 0);
      else
        column_block<Add, Bytes, 1>(p, b, start, p.c + column, rest == lanes ? 0 : rest, column == 0);
    }
  }
};

}  // namespace

void add_product(const RowsProduct<float>& p) { run_for_registers<Product<true>>(p); }
void add_product(const RowsProduct<double>& p) { run_for_registers<Product<true>>(p); }
void store_product(const RowsProduct<float>& p) {
  run_for_registers<Product<false>>(p);
  if (p.past_caches) finish_past_caches();
}
void store_product(const RowsProduct<double>& p) {
  run_for_registers<Product<false>>(p);
  if (p.past_caches) finish_past_caches();
}

}  // namespace lucid::direct
