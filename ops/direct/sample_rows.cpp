// Sums over few samples, or of whole rows of the weight.

#include <algorithm>
#include <cstring>

#include "ops/direct/conv_maps.hpp"
#include "ops/direct/rows.hpp"
#include "ops/direct/sample_products.hpp"

namespace lucid::direct {
namespace {

// A matrix in memory: element (i, k) at data[i * row + k * step].
template <class T>
struct Strided {
  const T* data;
  std::int64_t row, step;
};

// c (rows, columns) = a @ b + start for a (rows, depth) and b (depth, columns). b is read once, a part of its
// columns at a time. `start` is of one row, empty for zeros.
template <class T>
void multiply_parts(const Strided<T>& a, const T* b, T* c, std::int64_t rows, std::int64_t depth,
                    std::int64_t columns, const std::vector<T>& start = {}) {
  // Elements of b in a part, rows that are computed together, and rows of b that are fetched meanwhile.
  constexpr std::int64_t kCached = 1 << 15, kRows = 6, kRowsAhead = 4;
  const std::int64_t panel = depth * kPanel<T>, panels = (columns + kPanel<T> - 1) / kPanel<T>;
  const std::int64_t fair = (panels + num_threads() - 1) / num_threads(),
                     step = std::clamp<std::int64_t>(kCached / panel, 1, fair),
                     parts = (panels + step - 1) / step;
  parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<T> packed(static_cast<std::size_t>(step * panel));
    for (std::int64_t part = begin; part < end; ++part) {
      const std::int64_t first = part * step * kPanel<T>, count = std::min(step * kPanel<T>, columns - first);
      for (std::int64_t k = 0; k < depth; ++k) {
        // A row is too short, and too far from the one before, for the processor to see it coming.
        const T* const ahead = b + std::min(k + kRowsAhead, depth - 1) * columns + first;
        for (std::int64_t i = 0; i < count; i += kLanes<T>) __builtin_prefetch(ahead + i);
        copy_panels(b + k * columns + first, count, packed.data() + k * kPanel<T>, panel);
      }
      for (std::int64_t m = 0; m < rows; m += kRows)
        store_product(RowsProduct<T>{.a = a.data + m * a.row,
                                     .a_row = a.row,
                                     .a_step = a.step,
                                     .b = packed.data(),
                                     .b_row = kPanel<T>,
                                     .c = c + m * columns + first,
                                     .c_row = columns,
                                     .rows = std::min(kRows, rows - m),
                                     .depth = depth,
                                     .columns = count,
                                     .b_panel = panel,
                                     .start = start.empty() ? nullptr : start.data() + first});
    }
  });
}

// c += a @ b for some rows of c and kTerms or fewer of b, whose registers serve every row.
struct AddTerms {
  static constexpr std::int64_t kTerms = 4;

  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const T* a, std::int64_t a_row, const T* b, std::int64_t b_row, T* c,
                                         std::int64_t c_row, std::int64_t rows, std::int64_t terms,
                                         std::int64_t columns) {
    if (terms == kTerms) return add<Bytes, kTerms>(a, a_row, b, b_row, c, c_row, rows, columns);
    for (std::int64_t k = 0; k < terms; ++k)
      add<Bytes, 1>(a + k, a_row, b + k * b_row, b_row, c, c_row, rows, columns);
  }

 private:
  template <int Bytes, int Terms, class T>
  [[gnu::always_inline]] static void add(const T* a, std::int64_t a_row, const T* b, std::int64_t b_row, T* c,
                                         std::int64_t c_row, std::int64_t rows, std::int64_t columns) {
    typedef T Lanes __attribute__((vector_size(Bytes)));
    constexpr int kRegisters = 2;
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(T)), step = kRegisters * lanes;
    std::int64_t j = 0;
    for (; j + step <= columns; j += step) {
      Lanes terms[Terms][kRegisters];
#pragma GCC unroll 4
      for (int k = 0; k < Terms; ++k)
#pragma GCC unroll 4
        for (int v = 0; v < kRegisters; ++v)
          std::memcpy(&terms[k][v], b + k * b_row + j + v * lanes, sizeof(Lanes));
      for (std::int64_t r = 0; r < rows; ++r) {
        Lanes sums[kRegisters];
#pragma GCC unroll 4
        for (int v = 0; v < kRegisters; ++v)
          std::memcpy(&sums[v], c + r * c_row + j + v * lanes, sizeof(Lanes));
#pragma GCC unroll 4
        for (int k = 0; k < Terms; ++k)
#pragma GCC unroll 4
          for (int v = 0; v < kRegisters; ++v) sums[v] += a[r * a_row + k] * terms[k][v];
#pragma GCC unroll 4
        for (int v = 0; v < kRegisters; ++v)
          std::memcpy(c + r * c_row + j + v * lanes, &sums[v], sizeof(Lanes));
      }
    }
    for (; j < columns; ++j)
      for (std::int64_t r = 0; r < rows; ++r)
        for (int k = 0; k < Terms; ++k) c[r * c_row + j] += a[r * a_row + k] * b[k * b_row + j];
  }
};

// c (rows, columns) = a @ b for few terms: a row of c is written along its whole length, where the lines of a
// block of rows that lie a power of two apart would displace each other.
struct StoreRows {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const Strided<T>& a, const T* b, std::int64_t b_row, T* c,
                                         std::int64_t c_row, std::int64_t rows, std::int64_t depth,
                                         std::int64_t columns) {
    for (std::int64_t m = 0; m < rows; m += kRows) {
      const std::int64_t left = std::min(kRows, rows - m);  // at the end the last row again
      const T* from[kRows];
      T* to[kRows];
      for (std::int64_t r = 0; r < kRows; ++r) {
        const std::int64_t row = m + std::min(r, left - 1);
        from[r] = a.data + row * a.row;
        to[r] = c + row * c_row;
      }
      store<Bytes>(from, a.step, b, b_row, to, depth, columns);
    }
  }

 private:
  static constexpr std::int64_t kRows = 2;

  template <int Bytes, class T>
  [[gnu::always_inline]] static void store(const T* const (&a)[kRows], std::int64_t a_step, const T* b,
                                           std::int64_t b_row, T* const (&c)[kRows], std::int64_t depth,
                                           std::int64_t columns) {
    typedef T Lanes __attribute__((vector_size(Bytes)));
    constexpr int kRegisters = 4;
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(T)), step = kRegisters * lanes;
    std::int64_t j = 0;
    for (; j + step <= columns; j += step) {
      Lanes sums[kRows][kRegisters] = {};
      for (std::int64_t k = 0; k < depth; ++k)
#pragma GCC unroll 4
        for (int v = 0; v < kRegisters; ++v) {
          Lanes row;
          std::memcpy(&row, b + k * b_row + j + v * lanes, sizeof(row));
          for (int r = 0; r < kRows; ++r) sums[r][v] += a[r][k * a_step] * row;
        }
      for (int r = 0; r < kRows; ++r) std::memcpy(c[r] + j, sums[r], sizeof(sums[r]));
    }
    for (; j < columns; ++j)
      for (int r = 0; r < kRows; ++r) {
        T sum(0);
        for (std::int64_t k = 0; k < depth; ++k) sum += a[r][k * a_step] * b[k * b_row + j];
        c[r][j] = sum;
      }
  }
};

}  // namespace

// Of so few samples reading the weight takes the time: some whole lines of the cache of each row in turn,
// while the sums stay in the first-level cache.
template <class T>
void multiply_few(const T* a, const T* b, T* c, std::int64_t rows, std::int64_t depth, std::int64_t columns,
                  const std::vector<T>& start) {
  constexpr std::int64_t kCached = 3 << 10;  // sums
  const std::int64_t fair = (columns + num_threads() - 1) / num_threads(),
                     part = padded_to_lanes(std::min(kCached / rows, fair), kLanes<T>),
                     parts = (columns + part - 1) / part;
  const double work = static_cast<double>(rows * depth) * static_cast<double>(columns);
  parallel_for(parts, grain_of(work, parts), [&](std::int64_t begin, std::int64_t end) {
    // Rows of c and of b that are a power of two apart would displace each other.
    std::vector<T> sums(static_cast<std::size_t>(rows * part));
    for (std::int64_t first = begin * part; first < std::min(end * part, columns); first += part) {
      const std::int64_t count = std::min(part, columns - first);
      for (std::int64_t r = 0; r < rows; ++r) {
        T* const to = sums.data() + r * part;
        start.empty() ? std::fill_n(to, count, T(0)) : std::copy_n(start.data() + first, count, to);
      }
      for (std::int64_t k = 0; k < depth; k += AddTerms::kTerms)
        run_for_registers<AddTerms>(a + k, depth, b + k * columns + first, columns, sums.data(), part, rows,
                                    std::min(AddTerms::kTerms, depth - k), count);
      for (std::int64_t r = 0; r < rows; ++r)
        std::copy_n(sums.data() + r * part, count, c + r * columns + first);
    }
  });
}

template <class T>
void multiply_short(const T* y, const T* weight, T* rows, std::int64_t samples, std::int64_t channels,
                    std::int64_t n, const std::vector<T>& start) {
  multiply_parts<T>({y, channels, 1}, weight, rows, samples, channels, n, start);
}

template <class T>
void multiply_samples(const T* y, const T* rows, T* weight, std::int64_t samples, std::int64_t channels,
                      std::int64_t n) {
  constexpr std::int64_t kFew = 4, kCached = 1 << 12;  // elements of rows that stay in a cache
  if (samples > kFew) return multiply_parts<T>({y, 1, channels}, rows, weight, channels, samples, n);
  const std::int64_t part = kCached / samples / kPanel<T> * kPanel<T>;
  parallel_for(channels, grain_of(static_cast<double>(samples * channels * n), channels),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t j = 0; j < n; j += part)
                   run_for_registers<StoreRows>(Strided<T>{y + begin, 1, channels}, rows + j, n,
                                                weight + begin * n + j, n, end - begin, samples,
                                                std::min(part, n - j));
               });
}

template void multiply_few(const float*, const float*, float*, std::int64_t, std::int64_t, std::int64_t,
                           const std::vector<float>&);
template void multiply_short(const float*, const float*, float*, std::int64_t, std::int64_t, std::int64_t,
                             const std::vector<float>&);
template void multiply_samples(const float*, const float*, float*, std::int64_t, std::int64_t, std::int64_t);
template void multiply_few(const double*, const double*, double*, std::int64_t, std::int64_t, std::int64_t,
                           const std::vector<double>&);
template void multiply_short(const double*, const double*, double*, std::int64_t, std::int64_t, std::int64_t,
                             const std::vector<double>&);
template void multiply_samples(const double*, const double*, double*, std::int64_t, std::int64_t,
                               std::int64_t);

}  // namespace lucid::direct
