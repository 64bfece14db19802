// store_dots(): products of few columns, where vectors run along the sums.

#include <cstring>

#include "lucid/cpu.hpp"
#include "ops/direct/rows.hpp"

namespace lucid::direct {
namespace {

struct Dots {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const RowsProduct<T>& p) {
    std::int64_t column = 0;
    for (; column + 2 <= p.columns; column += 2) columns<Bytes, 2>(p, column);
    if (column < p.columns) columns<Bytes, 1>(p, column);
  }

 private:
  // All rows and lines of J columns; eight sums in flight hide the latency of a multiplication.
  template <int Bytes, int J, class T>
  [[gnu::always_inline]] static void columns(const RowsProduct<T>& p, std::int64_t column) {
    constexpr int kRows = 8 / J;
    const T* const b = p.b + column * p.b_panel;
    for (std::int64_t l = 0; l < p.lines; ++l) {
      const T* const a = p.a + l * p.a_line;
      T* const c = p.c + l * p.c_line + column;
      const T* const start = p.start ? p.start + column : nullptr;
      std::int64_t m = 0;
      for (; m + kRows <= p.rows; m += kRows)
        block<Bytes, kRows, J>(p, a + m * p.a_row, b, start, c + m * p.c_row);
      for (; m + 2 <= p.rows; m += 2) block<Bytes, 2, J>(p, a + m * p.a_row, b, start, c + m * p.c_row);
      if (m < p.rows) block<Bytes, 1, J>(p, a + m * p.a_row, b, start, c + m * p.c_row);
    }
  }

  template <int Bytes, int R, int J, class T>
  [[gnu::always_inline]] static void block(const RowsProduct<T>& p, const T* a, const T* b, const T* start,
                                           T* c) {
    typedef T Lanes __attribute__((vector_size(Bytes)));
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(T));
    Lanes sums[R][J] = {};
    const std::int64_t a_row = p.a_row, b_panel = p.b_panel, depth = p.depth;
    for (std::int64_t i = 0; i < p.outer; ++i) {
      const T* const from = a + p.terms[i].a;
      const T* const weight = b + p.terms[i].b;
      for (std::int64_t k = 0; k < depth; k += lanes) {
        Lanes w[J], x;
        for (int j = 0; j < J; ++j) std::memcpy(&w[j], weight + j * b_panel + k, sizeof(Lanes));
        for (int r = 0; r < R; ++r) {
          std::memcpy(&x, from + r * a_row + k, sizeof(Lanes));
          for (int j = 0; j < J; ++j) sums[r][j] += x * w[j];
        }
      }
    }
    for (int r = 0; r < R; ++r)
      for (int j = 0; j < J; ++j) c[r * p.c_row + j] = (start ? start[j] : T(0)) + sum_of<T>(sums[r][j]);
  }

  template <class T, class Lanes>
  [[gnu::always_inline]] static T sum_of(const Lanes& values) {
    constexpr int lanes = sizeof(Lanes) / sizeof(T);
    T part[lanes];
    std::memcpy(part, &values, sizeof(Lanes));
    for (int half = lanes / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) part[i] += part[half + i];
    return part[0];
  }
};

}  // namespace

void store_dots(const RowsProduct<float>& product) { run_for_registers<Dots>(product); }
void store_dots(const RowsProduct<double>& product) { run_for_registers<Dots>(product); }

}  // namespace lucid::direct
