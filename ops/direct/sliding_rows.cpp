#include "ops/direct/sliding_rows.hpp"

#include <type_traits>

#include "ops/direct/past_caches.hpp"

namespace lucid::direct {
namespace {

// Rows of a block of V registers of columns: of 16 registers 8 are sums and 6 weights.
template <int Bytes, int V>
constexpr int kRows = has_32_registers(Bytes) ? 8 : 8 / V;

// A block of rows and V registers of columns, whose sums are held in registers; the last register has `tail`
// columns when that is not 0. `Single`: of one channel, whose rows are neighbours, so that all addresses are
// constants. Loops that run at least once say so: else the sums lie in memory where they may not.
template <bool Single, bool Pairs, int Bytes, int V, int Rows>
[[gnu::always_inline]] inline void block(const RowsProduct<float>& p, std::int64_t pairs, std::int64_t b_tap,
                                         const float* a, const float* b, const float* start, float* c,
                                         std::int64_t tail) {
  typedef float Lanes __attribute__((vector_size(Bytes)));
  constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(float));
  Lanes sums[Rows][V];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) std::memcpy(&sums[r][v], start + v * lanes, sizeof(Lanes));
  const auto add = [&]<int Taps>(std::int64_t i, std::int64_t end, std::integral_constant<int, Taps>)
      __attribute__((always_inline)) {
    do {
      const float* at = a + p.terms[i].a;
      const float* from = b + p.terms[i].b;
      if constexpr (Single) asm("" : "+r"(at));  // else each factor's address takes a register of its own
      std::int64_t k = 0;
      do {
        Lanes taps[Taps][V];
#pragma GCC unroll 4
        for (int t = 0; t < Taps; ++t)
#pragma GCC unroll 4
          for (int v = 0; v < V; ++v)
            std::memcpy(&taps[t][v],
                        from + t * b_tap + v * lanes / kPanel<float> * p.b_panel + v * lanes % kPanel<float>,
                        sizeof(Lanes));
#pragma GCC unroll 16
        for (int j = 0; j < Rows + Taps - 1; ++j) {  // row j - t meets factor j at tap t
          const float factor = at[j * (Single ? 1 : p.a_row)];
#pragma GCC unroll 4
          for (int t = 0; t < Taps; ++t)
            if (j >= t && j - t < Rows)
#pragma GCC unroll 4
              for (int v = 0; v < V; ++v) sums[j - t][v] += factor * taps[t][v];
        }
        ++at, from += kPanel<float>;
      } while (++k < (Single ? 1 : p.depth));
    } while (++i < end);
  };
  if constexpr (Pairs) {
    const std::int64_t threes = p.outer - pairs;
    if (threes > 0) add(0, threes, std::integral_constant<int, 3>{});
    add(threes, p.outer, std::integral_constant<int, 2>{});
  } else {
    add(0, p.outer, std::integral_constant<int, 3>{});
  }
  const auto store = [&](bool has_tail, bool past_caches) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        float* const to = c + r * p.c_row + v * lanes;
        if (past_caches)
          store_past_caches(sums[r][v], to);
        else
          copy_register<Bytes>(to, reinterpret_cast<const float*>(&sums[r][v]),
                               has_tail && v + 1 == V ? tail : 0);
      }
  };
  p.past_caches ? store(false, true) : tail ? store(true, false) : store(false, false);
}

// A line of V registers of columns. The last rows are computed again where that takes as long as fewer.
template <bool Single, bool Pairs, int Bytes, int V>
[[gnu::always_inline]] inline void columns(const RowsProduct<float>& p, std::int64_t pairs,
                                           std::int64_t b_tap, const float* a, const float* b,
                                           const float* start, float* c, std::int64_t tail) {
  constexpr int kMost = kRows<Bytes, V>, kHalf = kMost / 2;
  static_assert(kMost <= kLeastSlidingRows);
  const auto rows = [&]<int Rows>(std::int64_t first, std::integral_constant<int, Rows>)
      __attribute__((always_inline)) {
    block<Single, Pairs, Bytes, V, Rows>(p, pairs, b_tap, a + first * p.a_row, b, start, c + first * p.c_row,
                                         tail);
  };
  std::int64_t m = 0;
  for (; m + kHalf < p.rows; m += kMost)
    rows(std::min(m, p.rows - kMost), std::integral_constant<int, kMost>{});
  if (m < p.rows) rows(p.rows - kHalf, std::integral_constant<int, kHalf>{});
}

template <bool Single, bool Pairs>
struct SlidingRows {
  template <int Bytes>
  [[gnu::always_inline]] static void run(const RowsProduct<float>& p, const std::int64_t& pairs,
                                         const std::int64_t& b_tap) {
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(float));
    for (std::int64_t l = 0; l < p.lines; ++l)
      for (std::int64_t column = 0; column < p.columns; column += 2 * lanes) {
        const float* const a = p.a + l * p.a_line;
        const float* const b = p.b + column / kPanel<float> * p.b_panel + column % kPanel<float>;
        const float* const start = p.start ? p.start + column : kZeros<float>;
        float* const c = p.c + l * p.c_line + column;
        const std::int64_t rest = p.columns - column;
        if (rest > lanes)
          columns<Single, Pairs, Bytes, 2>(p, pairs, b_tap, a, b, start, c,
                                           rest >= 2 * lanes ? 0 : rest - lanes);
        else
          columns<Single, Pairs, Bytes, 1>(p, pairs, b_tap, a, b, start, c, rest == lanes ? 0 : rest);
      }
  }
};

}  // namespace

void store_sliding_rows(const RowsProduct<float>& p, std::int64_t pairs, std::int64_t b_tap) {
  if (p.outer == 0) return store_product(p);
  const bool is_single = p.depth == 1 && p.a_row == 1;
  if (pairs > 0)
    is_single ? run_for_registers<SlidingRows<true, true>>(p, pairs, b_tap)
              : run_for_registers<SlidingRows<false, true>>(p, pairs, b_tap);
  else
    is_single ? run_for_registers<SlidingRows<true, false>>(p, pairs, b_tap)
              : run_for_registers<SlidingRows<false, false>>(p, pairs, b_tap);
  if (p.past_caches) finish_past_caches();
}

}  // namespace lucid::direct
