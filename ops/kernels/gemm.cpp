// Blocks of op(b) are packed into panels of kCols columns and blocks of op(a) into panels of kRows rows, so
// that the innermost kernel reads both in order, whatever the transposition, and keeps a kRows x kCols tile
// of c in registers.

#include "ops/kernels/gemm.hpp"

#include <algorithm>
#include <memory>

#include "lucid/parallel.hpp"
#include "ops/kernels/lanes.hpp"
#include "ops/onednn/gemm.hpp"

namespace lucid::kernels {
namespace {

using Index = std::int64_t;

constexpr Index kRows = 6;  // of the register tile: 6 x 8 doubles fill 12 of the 16 AVX2 registers
constexpr Index kCols = 8;
constexpr Index kDepth = 256;     // of a block: panels of 256 x 8 doubles stay in the first-level cache
constexpr Index kBlockRows = 96;  // of op(a) packed at once: 96 x 256 doubles stay in the second-level cache
constexpr Index kBlockCols = 1024;  // of op(b) packed at once
constexpr Index kSmall = 4096;      // products with fewer multiplications are not worth packing

template <class T>
struct Matrix {
  const T* data;
  Index row, col;  // strides
};

template <class T>
Matrix<T> as_matrix(bool transposed, const T* data, Index ld) {
  return transposed ? Matrix<T>{data, 1, ld} : Matrix<T>{data, ld, 1};
}

template <class T>
std::unique_ptr<T[]> buffer(Index count) {
  return std::make_unique_for_overwrite<T[]>(static_cast<std::size_t>(count));
}

// Copies `lanes` of width `Width` along `across`, `depth` steps along `down`; missing lanes become 0.
template <Index Width, class T>
void pack_panel(T* out, const T* from, Index across, Index down, Index lanes, Index depth) {
  for (Index p = 0; p < depth; ++p, from += down)
    for (Index i = 0; i < Width; ++i) *out++ = i < lanes ? from[i * across] : T(0);
}

template <Index Width, class T>
void pack(T* out, const T* from, Index across, Index down, Index count, Index depth) {
  for (Index i = 0; i < count; i += Width, out += Width * depth)
    pack_panel<Width>(out, from + i * across, across, down, std::min(Width, count - i), depth);
}

// tile = sum over depth of (column of a's panel) x (row of b's panel).
struct MultiplyTile {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(T* tile, const T* a, const T* b, Index depth) {
    using Row = Lanes<T, std::min<int>(Bytes, kCols * sizeof(T)), kCols>;
    Row sum[kRows], row;
    for (Index p = 0; p < depth; ++p, a += kRows, b += kCols) {
      row.load(b);
      for (Index i = 0; i < kRows; ++i) sum[i].add_product(a[i], row);
    }
    for (Index i = 0; i < kRows; ++i) sum[i].store(tile + i * kCols);
  }
};

// Where a finished tile goes: c = alpha * tile + beta * c.
template <class T>
struct Target {
  T* c;
  Index ld;
  T alpha, beta;

  void add(const T* tile, Index rows, Index cols) const {
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < cols; ++j) {
        const T value = alpha * tile[i * kCols + j];
        c[i * ld + j] = beta == T(0) ? value : value + beta * c[i * ld + j];
      }
  }
};

template <class T>
void multiply_block(const T* a, const T* b, Index rows, Index cols, Index depth, Target<T> target) {
  T tile[kRows * kCols];
  for (Index j = 0; j < cols; j += kCols)
    for (Index i = 0; i < rows; i += kRows) {
      run_for_registers<MultiplyTile>(&tile[0], a + i * depth, b + j * depth, depth);
      Target<T> at = target;
      at.c += i * target.ld + j;
      at.add(tile, std::min(kRows, rows - i), std::min(kCols, cols - j));
    }
}

Index round_up(Index value, Index step) { return (value + step - 1) / step * step; }

template <class T>
void blocked(Matrix<T> a, Matrix<T> b, Index m, Index n, Index k, T alpha, T beta, T* c, Index ldc) {
  const Index width = std::min(kBlockCols, round_up(n, kCols)), depth_max = std::min(kDepth, k);
  const auto packed_b = buffer<T>(width * depth_max);
  for (Index j = 0; j < n; j += width)
    for (Index p = 0; p < k; p += kDepth) {
      const Index cols = std::min(width, n - j), depth = std::min(kDepth, k - p);
      const T* from_b = b.data + p * b.row + j * b.col;
      parallel_for((cols + kCols - 1) / kCols, 16, [&](Index begin, Index end) {
        pack<kCols>(packed_b.get() + begin * kCols * depth, from_b + begin * kCols * b.col, b.col, b.row,
                    std::min(end * kCols, cols) - begin * kCols, depth);
      });
      parallel_for((m + kRows - 1) / kRows, 1, [&](Index begin, Index end) {
        const auto packed_a = buffer<T>(kBlockRows * depth);
        const Index last = std::min(end * kRows, m);
        for (Index i = begin * kRows; i < last; i += kBlockRows) {
          const Index rows = std::min(kBlockRows, last - i);
          pack<kRows>(packed_a.get(), a.data + i * a.row + p * a.col, a.row, a.col, rows, depth);
          multiply_block(packed_a.get(), packed_b.get(), rows, cols, depth,
                         Target<T>{c + i * ldc + j, ldc, alpha, p == 0 ? beta : T(1)});
        }
      });
    }
}

// The sums over k of one row of a with `Columns` of b, in double, beside each other: one waits for its last
// addition.
template <Index Columns, class T>
void sum_columns(const T* a, Index a_step, const T* b, Index b_step, Index b_col, Index k, double* sums) {
  double parts[Columns] = {};
  for (Index p = 0; p < k; ++p, a += a_step, b += b_step)
    for (Index j = 0; j < Columns; ++j) parts[j] += static_cast<double>(*a) * b[j * b_col];
  std::copy_n(parts, Columns, sums);
}

template <class T>
void small(Matrix<T> a, Matrix<T> b, Index m, Index n, Index k, T alpha, T beta, T* c, Index ldc) {
  constexpr Index kAtOnce = 4;
  double sums[kAtOnce];
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; j += kAtOnce) {
      const Index columns = std::min(kAtOnce, n - j);
      const T *row = a.data + i * a.row, *column = b.data + j * b.col;
      if (columns == kAtOnce)
        sum_columns<kAtOnce>(row, a.col, column, b.row, b.col, k, sums);
      else
        for (Index at = 0; at < columns; ++at)
          sum_columns<1>(row, a.col, column + at * b.col, b.row, b.col, k, sums + at);
      for (Index at = 0; at < columns; ++at) {
        T& out = c[i * ldc + j + at];
        out = static_cast<T>(beta == T(0) ? alpha * sums[at] : alpha * sums[at] + beta * out);
      }
    }
}

}  // namespace

template <class T>
void gemm(bool trans_a, bool trans_b, Index m, Index n, Index k, T alpha, const T* a, Index lda, const T* b,
          Index ldb, T beta, T* c, Index ldc) {
  if (m == 0 || n == 0) return;
  const Matrix<T> left = as_matrix(trans_a, a, lda), right = as_matrix(trans_b, b, ldb);
  if (static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) < kSmall)
    small(left, right, m, n, k, alpha, beta, c, ldc);
  else if constexpr (std::is_same_v<T, float>)
    onednn::gemm(trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  else
    blocked(left, right, m, n, k, alpha, beta, c, ldc);
}

template void gemm(bool, bool, Index, Index, Index, float, const float*, Index, const float*, Index, float,
                   float*, Index);
template void gemm(bool, bool, Index, Index, Index, double, const double*, Index, const double*, Index,
                   double, double*, Index);

}  // namespace lucid::kernels
