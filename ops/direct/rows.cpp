#include "ops/direct/rows.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "lucid/cpu.hpp"
#include "lucid/error.hpp"
#include "ops/direct/past_caches.hpp"

namespace lucid::direct {
namespace {

// Elements of T in a register.
template <class T, int Bytes>
constexpr std::int64_t kIn = Bytes / static_cast<std::int64_t>(sizeof(T));

// How the factors of a block's rows lie: side by side, those of the next term a_step further, or along each
// row. Both leave few addresses to compute, of which there are more than registers otherwise.
enum class Factors { side_by_side, along_rows };

template <Factors F, class T>
class RowFactors {
 public:
  [[gnu::always_inline]] RowFactors(const T* at, std::int64_t row, std::int64_t step)
      : at_(reinterpret_cast<std::uintptr_t>(at)),
        far_(at_ + static_cast<std::uintptr_t>(row) * kSize * 8),
        one_(static_cast<std::uintptr_t>(row) * kSize),
        three_(3 * one_),
        five_(5 * one_),
        seven_(7 * one_),
        step_(static_cast<std::uintptr_t>(step) * kSize) {}
  const T* address() const { return reinterpret_cast<const T*>(at_); }
  // Of row r < 16. An address on x86 is a sum of one register and 1, 2, 4 or 8 times another.
  [[gnu::always_inline]] T operator()(int r) const {
    if constexpr (F == Factors::side_by_side) return reinterpret_cast<const T*>(at_)[r];
    const std::uintptr_t base = r < 8 ? at_ : far_;
    switch (r % 8) {
      case 0: return *reinterpret_cast<const T*>(base);
      case 1: return *reinterpret_cast<const T*>(base + one_);
      case 2: return *reinterpret_cast<const T*>(base + 2 * one_);
      case 3: return *reinterpret_cast<const T*>(base + three_);
      case 4: return *reinterpret_cast<const T*>(base + 4 * one_);
      case 5: return *reinterpret_cast<const T*>(base + five_);
      case 6: return *reinterpret_cast<const T*>(base + 2 * three_);
      default: return *reinterpret_cast<const T*>(base + seven_);
    }
  }
  [[gnu::always_inline]] void advance() {
    at_ += F == Factors::along_rows ? kSize : step_;
    far_ += F == Factors::along_rows ? kSize : step_;
  }

 private:
  // Numbers, since the last steps may lead beyond the array, or around: what lies there is not read.
  static constexpr std::uintptr_t kSize = sizeof(T);
  std::uintptr_t at_, far_, one_, three_, five_, seven_, step_;
};

// Fetches R rows of term i, which lie at `at`, but for what the term before fetched: the rows of a neighbour,
// or most of a span without gaps.
template <int R, class T>
[[gnu::always_inline]] inline void fetch_rows(const RowsProduct<T>& p, std::int64_t i, const T* at) {
  constexpr int kToRead = 0, kSecondLevel = 2;
  const bool is_span = p.a_row <= std::max(kLanes<T>, p.depth);
  const std::int64_t moved = i > 0 && p.terms ? std::abs(p.terms[i].a - p.terms[i - 1].a) : 0;
  if (moved != 0 && (is_span ? moved < R * p.a_row : moved == p.a_row)) return;
  if (is_span)
    for (std::int64_t k = 0; k < R * p.a_row; k += kLanes<T>)
      __builtin_prefetch(at + k, kToRead, kSecondLevel);
  else
    for (int r = 0; r < R; ++r)
      for (std::int64_t k = p.depth - 1; k >= 0; k -= kLanes<T>)
        __builtin_prefetch(at + r * p.a_row + k, kToRead, kSecondLevel);
}

// Adds a block's sums to c or writes them there: with no test for each register, which take as long as a
// short sum.
template <bool Add, class Lanes, int R, int V, class T>
[[gnu::always_inline]] inline void write_whole(Lanes (&sums)[R][V], T* c, std::int64_t c_row) {
  constexpr std::int64_t lanes = sizeof(Lanes) / sizeof(T);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r, c += c_row)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      if constexpr (Add) {
        Lanes before;
        std::memcpy(&before, c + v * lanes, sizeof(Lanes));
        sums[r][v] += before;
      }
      std::memcpy(c + v * lanes, &sums[r][v], sizeof(Lanes));
    }
}

// The same of a last register of `tail` columns when that is not 0, or past the caches.
template <bool Add, class Lanes, int R, int V, class T>
[[gnu::always_inline]] inline void write_some(const Lanes (&sums)[R][V], T* c, std::int64_t c_row,
                                              std::int64_t tail, bool past_caches) {
  constexpr std::int64_t lanes = sizeof(Lanes) / sizeof(T);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r, c += c_row) {
    T* at = c;
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v, at += lanes) {
      const std::int64_t part = v + 1 == V ? tail : 0;
      Lanes sum = sums[r][v];
      if constexpr (Add) {
        Lanes before = {};
        copy_register<sizeof(Lanes)>(reinterpret_cast<T*>(&before), at, part);
        sum += before;
      }
      keep_whole(sum);
      if (!Add && past_caches && !part)
        store_past_caches(sum, at);
      else
        copy_register<sizeof(Lanes)>(at, reinterpret_cast<const T*>(&sum), part);
    }
  }
}

// R rows at `a` and V registers at `b` of the product, whose sums are held in registers; the last register
// has `tail` columns when that is not 0. The first block of columns fetches what the others find in a cache:
// the rows of a that lie `reach` further (processors with wide registers do so themselves), or what lies
// `ahead` of side by side factors; 0 fetches nothing.
template <bool Add, Factors F, int Bytes, int R, int V, class T>
[[gnu::always_inline]] inline void block(const RowsProduct<T>& p, const T* a, const T* b, const T* start,
                                         T* c, std::int64_t tail, std::int64_t reach, std::int64_t ahead) {
  typedef T Lanes __attribute__((vector_size(Bytes)));
  constexpr std::int64_t lanes = kIn<T, Bytes>;
  constexpr bool is_along = F == Factors::along_rows;
  Lanes sums[R][V];
#pragma GCC unroll 16  // else the sums lie in memory
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) std::memcpy(&sums[r][v], start + v * lanes, sizeof(Lanes));
  const std::int64_t b_row = is_along ? kPanel<T> : p.b_row, depth = p.depth;
  for (std::int64_t i = 0; i < p.outer; ++i) {
    const T* const at = a + (p.terms ? p.terms[i].a : i * p.a_outer);
    const T* from = b + (p.terms ? p.terms[i].b : i * p.b_outer);
    if (is_along && reach) fetch_rows<R>(p, i, at + reach);
    RowFactors<F, T> factors(at, p.a_row, p.a_step);
#pragma GCC unroll 4  // beside a busy neighbour on the core every instruction counts
    for (std::int64_t k = 0; k < depth; ++k, from += b_row, factors.advance()) {
      if (Add && !is_along && ahead) __builtin_prefetch(factors.address() + ahead);
      const auto load = [&](int v, Lanes& row) __attribute__((always_inline)) {
        std::memcpy(&row, from + v * lanes / kPanel<T> * p.b_panel + v * lanes % kPanel<T>, sizeof(Lanes));
      };
      if constexpr (V > R) {  // hold the factors, of which there are fewer
        T factor[R];
        for (int r = 0; r < R; ++r) factor[r] = factors(r);
        for (int v = 0; v < V; ++v) {
          Lanes row;
          load(v, row);
          for (int r = 0; r < R; ++r) sums[r][v] += factor[r] * row;
        }
      } else {
        Lanes row[V];
        for (int v = 0; v < V; ++v) load(v, row[v]);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          const T factor = factors(r);
          for (int v = 0; v < V; ++v) sums[r][v] += factor * row[v];
        }
      }
    }
  }
  if (tail || (!Add && p.past_caches))
    write_some<Add>(sums, c, p.c_row, tail, p.past_caches);
  else
    write_whole<Add>(sums, c, p.c_row);
}

// Rows of a block of V registers of columns. Eight sums in flight hide the latency of a multiplication, and
// the more there are, the fewer loads each takes. 16 to 24 of the 32 wide registers are sums, and 12 to 16 of
// aarch64's, which hold the factors too; of 16 registers 12, but where V is 3 only 9, else none is left for
// the factors. Of doubles, which nets are rarely trained in, four will do: every height takes seconds to
// compile.
template <class T, int Bytes, int V>
constexpr int kBlockRows = std::is_same_v<T, double> ? 4
                           : Bytes == kWideRegister  ? (V == 4 ? 6 : 16 / V)
                           : has_32_registers(Bytes) ? std::min(12, 16 / V)
                           : V == 3                  ? 3
                                                     : 12 / V;

// All rows and lines of V registers of columns.
template <bool Add, Factors F, int Bytes, int V, class T>
[[gnu::always_inline]] inline void column_block(const RowsProduct<T>& p, const T* b, const T* start, T* c,
                                                std::int64_t tail, bool is_first) {
  constexpr int kRows = kBlockRows<T, Bytes, V>;
  const std::int64_t a_ahead = is_first ? p.a_ahead : 0;
  // The same rows of the next line, which the processor does not see coming; of one line the next block of
  // rows, or of short terms those about kReach bytes further. Not worth it for a few factors.
  constexpr std::int64_t kReach = 1536, kLeastDepth = 4;
  std::int64_t reach = 0;
  if (F == Factors::along_rows && !has_32_registers(Bytes) && is_first && p.rows > kRows && p.a_row > 0 &&
      p.depth >= kLeastDepth && p.fetches) {
    const std::int64_t taken = kRows * p.a_row, bytes = taken * static_cast<std::int64_t>(sizeof(T));
    reach = p.lines > 1 ? p.a_line : p.depth >= kLanes<T> ? taken : (kReach + bytes - 1) / bytes * taken;
  }
  for (std::int64_t l = 0; l < p.lines; ++l) {
    const T* a = p.a + l * p.a_line;
    T* to = c + l * p.c_line;
    std::int64_t m = 0;
    // Rows that lie side by side share what is fetched: the line of the last one, where a line begins.
    const auto rows = [&]<int R>(std::integral_constant<int, R>) __attribute__((always_inline)) {
      block<Add, F, Bytes, R, V>(
          p, a + m * p.a_row, b, start, to + m * p.c_row, tail, reach,
          a_ahead && (m % kLanes<T> == 0 || m % kLanes<T> + R > kLanes<T>) ? a_ahead + (R - 1) * p.a_row : 0);
      m += R;
    };
    const auto left = [&] { return p.rows - m; };
    // Fewer than four rows take as long as four.
    while (left() >= kRows && (kRows != 6 || (left() != 7 && left() != 8 && left() != 11)))
      rows(std::integral_constant<int, kRows>{});
    if constexpr (kRows == 12)  // twice four are too few sums in flight
      if (left() >= 8) rows(std::integral_constant<int, 8>{});
    if constexpr (kRows == 16) {
      constexpr int kHalf = 8;
      if (left() >= kHalf) rows(std::integral_constant<int, kHalf>{});
      if (!Add && left() > 0 && p.rows >= kHalf) {  // which takes as long as fewer: some are computed again
        m = p.rows - kHalf;
        rows(std::integral_constant<int, kHalf>{});
      }
    }
    if constexpr (kRows > 4)
      while (left() >= 4) rows(std::integral_constant<int, 4>{});
    switch (left()) {
      case 3: rows(std::integral_constant<int, 3>{}); break;
      case 2: rows(std::integral_constant<int, 2>{}); break;
      case 1: rows(std::integral_constant<int, 1>{}); break;
    }
  }
}

// Two registers of columns at a time, four of 32 registers where there are as many, and three narrow ones at
// the end; of few rows four of 16 registers, so that enough sums are in flight.
template <bool Add, Factors F>
struct Product {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const RowsProduct<T>& p) {
    constexpr std::int64_t lanes = kIn<T, Bytes>;
    constexpr std::int64_t kFewRows = 3;
    std::int64_t first = 0;
    if constexpr (std::is_same_v<T, float>)  // of doubles two at a time will do
      for (; (has_32_registers(Bytes) || p.rows <= kFewRows) && first + 4 * lanes <= p.columns;
           first += 4 * lanes)
        column_block<Add, F, Bytes, 4>(p, p.b + first / kPanel<T> * p.b_panel,
                                       p.start ? p.start + first : kZeros<T>, p.c + first, 0, first == 0);
    for (std::int64_t column = first; column < p.columns; column += 2 * lanes) {
      const T* const b = p.b + column / kPanel<T> * p.b_panel + column % kPanel<T>;
      const T* const start = p.start ? p.start + column : kZeros<T>;
      const std::int64_t rest = p.columns - column;
      if constexpr (Bytes == kNarrowRegister && std::is_same_v<T, float>)
        if (rest > 2 * lanes && rest <= 3 * lanes) {
          column_block<Add, F, Bytes, 3>(p, b, start, p.c + column, rest % lanes, column == 0);
          break;
        }
      if (rest > lanes)
        column_block<Add, F, Bytes, 2>(p, b, start, p.c + column, rest >= 2 * lanes ? 0 : rest - lanes,
                                       column == 0);
      else
        column_block<Add, F, Bytes, 1>(p, b, start, p.c + column, rest == lanes ? 0 : rest, column == 0);
    }
  }
};

template <bool Add, class T>
void multiply(const RowsProduct<T>& p) {
  if (p.a_row == 1) return run_for_registers<Product<Add, Factors::side_by_side>>(p);
  check(p.a_step == 1 && p.b_row == kPanel<T>, "rows product", "factors that lie apart along rows and terms");
  run_for_registers<Product<Add, Factors::along_rows>>(p);
}

}  // namespace

void add_product(const RowsProduct<float>& p) { multiply<true>(p); }
void add_product(const RowsProduct<double>& p) { multiply<true>(p); }
void store_product(const RowsProduct<float>& p) {
  multiply<false>(p);
  if (p.past_caches) finish_past_caches();
}
void store_product(const RowsProduct<double>& p) {
  multiply<false>(p);
  if (p.past_caches) finish_past_caches();
}

}  // namespace lucid::direct
