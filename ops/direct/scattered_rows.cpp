#include "ops/direct/scattered_rows.hpp"

#include <type_traits>

namespace lucid::direct {
namespace {

// A block of rows and V registers of columns, whose sums are held in registers; the last register has `tail`
// columns when that is not 0.
template <int Bytes, int V, int Rows>
[[gnu::always_inline]] inline void block(const ScatteredRows& p, const RowPlace* places, const float* b,
                                         std::int64_t column, std::int64_t tail) {
  typedef float Lanes __attribute__((vector_size(Bytes)));
  constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(float));
  Lanes sums[Rows][V];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) std::memcpy(&sums[r][v], kZeros<float>, sizeof(Lanes));
  const float* a[Rows];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) a[r] = p.a + places[r].a;
  const std::int64_t depth = p.depth;
#pragma GCC unroll 4
  for (std::int64_t k = 0; k < depth; ++k, b += kPanel<float>) {
    Lanes row[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      std::memcpy(&row[v], b + v * lanes / kPanel<float> * p.b_panel + v * lanes % kPanel<float>,
                  sizeof(Lanes));
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const float factor = a[r][k];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[r][v] += factor * row[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
    float* to = p.c + places[r].c + column;
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v, to += lanes) {
      const std::int64_t part = v + 1 == V ? tail : 0;
      Lanes sum = {};
      copy_register<Bytes>(reinterpret_cast<float*>(&sum), to, part);
      sum += sums[r][v];
      copy_register<Bytes>(to, reinterpret_cast<const float*>(&sum), part);
    }
  }
}

// All rows of V registers of columns, in blocks of nearly equal height: few rows wait for each other.
template <int Bytes, int V, int Most>
[[gnu::always_inline]] inline void columns(const ScatteredRows& p, std::int64_t column, std::int64_t tail) {
  const float* const b = p.b + column / kPanel<float> * p.b_panel + column % kPanel<float>;
  std::int64_t blocks = (p.rows + Most - 1) / Most;
  for (std::int64_t m = 0; m < p.rows; --blocks) {
    const std::int64_t rows = (p.rows - m + blocks - 1) / blocks;
    const auto run = [&]<int Rows>(std::integral_constant<int, Rows>) __attribute__((always_inline)) {
      if constexpr (Rows <= Most) block<Bytes, V, Rows>(p, p.places + m, b, column, tail);
    };
    switch (rows) {
      case 6: run(std::integral_constant<int, 6>{}); break;
      case 5: run(std::integral_constant<int, 5>{}); break;
      case 4: run(std::integral_constant<int, 4>{}); break;
      case 3: run(std::integral_constant<int, 3>{}); break;
      case 2: run(std::integral_constant<int, 2>{}); break;
      default: run(std::integral_constant<int, 1>{}); break;
    }
    m += rows;
  }
}

struct Scattered {
  template <int Bytes>
  [[gnu::always_inline]] static void run(const ScatteredRows& p) {
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(float));
    // Of 16 registers 12 are sums.
    constexpr int kMost = 6, kMostOfFour = has_32_registers(Bytes) ? kMost : 3;
    std::int64_t column = 0;
    if (p.rows <= kMostOfFour || has_32_registers(Bytes))
      for (; column + 4 * lanes <= p.columns; column += 4 * lanes)
        columns<Bytes, 4, kMostOfFour>(p, column, 0);
    for (; column < p.columns; column += 2 * lanes) {
      const std::int64_t rest = p.columns - column;
      if (rest > lanes)
        columns<Bytes, 2, kMost>(p, column, rest >= 2 * lanes ? 0 : rest - lanes);
      else
        columns<Bytes, 1, kMost>(p, column, rest == lanes ? 0 : rest);
    }
  }
};

}  // namespace

void add_scattered_rows(const ScatteredRows& p) { run_for_registers<Scattered>(p); }

}  // namespace lucid::direct
