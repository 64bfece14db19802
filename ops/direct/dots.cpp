#include "ops/direct/dots.hpp"

#include <algorithm>
#include <cstring>

#include "lucid/cpu.hpp"
#include "ops/kernels/lanes.hpp"

namespace lucid::direct {
namespace {

constexpr int kIn = kDotLanes;
using Register = kernels::VectorOf<float, kIn>::Type;

// Sums of the lanes kLow of p and q, those of q counted on from p's, and of those kStep further on.
template <int kStep, int... kLow>
[[gnu::always_inline]] inline void add_lanes(const Register& p, const Register& q, Register& to) {
  to = __builtin_shufflevector(p, q, kLow...) + __builtin_shufflevector(p, q, (kLow + kStep)...);
}

// The sums of eight registers, in their order.
[[gnu::always_inline]] inline void sum_each(const Register (&a)[kIn], Register& out) {
  Register pair[4], four[2];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) add_lanes<2, 0, 8, 1, 9, 4, 12, 5, 13>(a[2 * i], a[2 * i + 1], pair[i]);
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) add_lanes<2, 0, 1, 8, 9, 4, 5, 12, 13>(pair[2 * i], pair[2 * i + 1], four[i]);
  add_lanes<4, 0, 1, 2, 3, 8, 9, 10, 11>(four[0], four[1], out);
}

// Of the rows at `at`, kOutputs columns each: eight sums, as they lie in the result. Registers of Bytes, or
// narrow ones, since a term has kIn numbers.
template <int Bytes, int kOutputs>
[[gnu::always_inline]] inline void sums_at(const RowsProduct<float>& p,
                                           const float* const (&at)[kIn / kOutputs], Register& out) {
  constexpr int kRows = kIn / kOutputs, kPart = std::min<int>(Bytes / sizeof(float), kIn),
                kParts = kIn / kPart;
  using Part = typename kernels::VectorOf<float, kPart>::Type;
  Part sums[kIn][kParts] = {};
  for (std::int64_t i = 0; i < p.outer; ++i) {
    const RowsTerm term = p.terms[i];
    const float* weight = p.b + term.b;
    for (std::int64_t k = term.a; k < term.a + p.depth; k += kIn, weight += kOutputs * kIn)
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
        for (int part = 0; part < kParts; ++part) {
          Part x, w;
          std::memcpy(&x, at[r] + k + part * kPart, sizeof(x));
#pragma GCC unroll 8
          for (int f = 0; f < kOutputs; ++f) {
            std::memcpy(&w, weight + f * kIn + part * kPart, sizeof(w));
            sums[r * kOutputs + f][part] += x * w;
          }
        }
  }
  Register whole[kIn];
#pragma GCC unroll 8
  for (int i = 0; i < kIn; ++i) std::memcpy(&whole[i], sums[i], sizeof(Register));
  sum_each(whole, out);
}

// One line of rows, of kOutputs columns each.
template <int Bytes, int kOutputs>
[[gnu::always_inline]] inline void run_line(const RowsProduct<float>& given, const Register& start,
                                            const float* a, float* c) {
  constexpr int kRows = kIn / kOutputs;
  const RowsProduct<float> p = given;  // which what is written cannot change
  const float* at[kRows];
  std::int64_t left = p.rows;
  for (; left >= kRows; left -= kRows, a += kRows * p.a_row, c += kRows * p.c_row) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) at[r] = a + r * p.a_row;
    Register out;
    sums_at<Bytes, kOutputs>(p, at, out);
    out += start;
    if (p.c_row == kOutputs && p.columns == kOutputs) {
      std::memcpy(c, &out, sizeof(out));
      continue;
    }
    float values[kIn];
    std::memcpy(values, &out, sizeof(out));
    const bool goes_over = p.c_row == p.columns && left > kRows;  // into the next row, written after this
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
      if (goes_over)
        std::memcpy(c + r * p.c_row, values + r * kOutputs, kOutputs * sizeof(float));
      else
        std::copy_n(values + r * kOutputs, p.columns, c + r * p.c_row);
  }
  if (left == 0) return;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) at[r] = a + std::min<std::int64_t>(r, left - 1) * p.a_row;
  Register out;
  sums_at<Bytes, kOutputs>(p, at, out);
  out += start;
  for (std::int64_t r = 0; r < left; ++r)
    for (std::int64_t f = 0; f < p.columns; ++f) c[r * p.c_row + f] = out[r * kOutputs + f];
}

template <int Bytes, int kOutputs>
[[gnu::always_inline]] inline void run_lines(const RowsProduct<float>& p) {
  Register start = {};
  if (p.start)
    for (std::int64_t i = 0; i < kIn; ++i) start[i] = i % kOutputs < p.columns ? p.start[i % kOutputs] : 0;
  for (std::int64_t l = 0; l < p.lines; ++l)
    run_line<Bytes, kOutputs>(p, start, p.a + l * p.a_line, p.c + l * p.c_line);
}

struct RunLines {
  template <int Bytes>
  [[gnu::always_inline]] static void run(const RowsProduct<float>& p) {
    switch (padded_dots(p.columns)) {
      case 1: return run_lines<Bytes, 1>(p);
      case 2: return run_lines<Bytes, 2>(p);
      default: return run_lines<Bytes, 4>(p);
    }
  }
};

}  // namespace

bool has_dots(const ops::ConvProblem& p, bool transposed) {
  const std::int64_t columns = transposed ? p.x_channels : p.y_channels,
                     depth = transposed ? p.y_channels : p.x_channels;
  return p.geometry.groups == 1 && columns <= kMostDots && depth % kDotLanes == 0;
}

void store_dots(const RowsProduct<float>& p) { run_for_registers<RunLines>(p); }

}  // namespace lucid::direct
