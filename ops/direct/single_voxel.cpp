#include "ops/direct/single_voxel.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "ops/direct/rows.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/kernels/gemm.hpp"

namespace lucid::direct {
namespace {

// The same elements in row-major order, where a sample's channels and taps are one row as the weight's are.
Tensor row_major(const Tensor& tensor) {
  if (tensor.is_contiguous()) return tensor;
  const Tensor out = empty(tensor.shape(), tensor.dtype());
  kernels::copy(out, tensor);
  return out;
}

// `bias` in each row of `out`, every value `times` in a row.
template <class T>
void fill_rows(T* out, std::int64_t rows, const Tensor& bias, std::int64_t times) {
  const T* values = bias.data<T>();
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t c = 0; c < bias.numel(); ++c, out += times) std::fill(out, out + times, values[c]);
}

constexpr std::int64_t kBlock =
    2048;                   // of the long sums: a block of each sample stays in the second-level cache
constexpr int kAtOnce = 8;  // samples whose sums are held in registers

// sums[i] += <a, b + i * b_row> over n elements, for i < count <= kAtOnce. Where there are fewer, the last
// row is multiplied again and its sum dropped.
template <class T>
LUCID_VECTORIZED void add_dots(const T* a, const T* b, std::int64_t count, std::int64_t b_row, std::int64_t n,
                               double* sums) {
  typedef T Lanes __attribute__((vector_size(64)));
  const T* row[kAtOnce];
  for (int i = 0; i < kAtOnce; ++i) row[i] = b + std::min<std::int64_t>(i, count - 1) * b_row;
  Lanes parts[kAtOnce] = {};
  std::int64_t k = 0;
  for (; k + kLanes<T> <= n; k += kLanes<T>) {
    Lanes x, y;
    std::memcpy(&x, a + k, sizeof(Lanes));
    for (int i = 0; i < kAtOnce; ++i) {
      std::memcpy(&y, row[i] + k, sizeof(Lanes));
      parts[i] += x * y;
    }
  }
  for (int i = 0; i < count; ++i) {
    double sum = 0;
    for (std::int64_t lane = 0; lane < kLanes<T>; ++lane) sum += static_cast<double>(parts[i][lane]);
    for (std::int64_t j = k; j < n; ++j) sum += static_cast<double>(a[j]) * static_cast<double>(row[i][j]);
    sums[i] += sum;
  }
}

// y (samples, channels) = rows (samples, n) @ weight (channels, n)^T + bias: few long sums, for which a
// general product packs more than it multiplies.
template <class T>
void multiply_long(const T* rows, const T* weight, const T* bias, T* y, std::int64_t samples,
                   std::int64_t channels, std::int64_t n) {
  const std::int64_t padded = (samples + kAtOnce - 1) / kAtOnce * kAtOnce;
  parallel_for(channels, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<double> sums(static_cast<std::size_t>((end - begin) * padded), 0.0);
    for (std::int64_t k = 0; k < n; k += kBlock)
      for (std::int64_t c = begin; c < end; ++c)
        for (std::int64_t s = 0; s < samples; s += kAtOnce)
          add_dots(weight + c * n + k, rows + s * n + k, std::min<std::int64_t>(kAtOnce, samples - s), n,
                   std::min(kBlock, n - k), sums.data() + (c - begin) * padded + s);
    for (std::int64_t c = begin; c < end; ++c)
      for (std::int64_t s = 0; s < samples; ++s)
        y[s * channels + c] = static_cast<T>(sums[static_cast<std::size_t>((c - begin) * padded + s)] +
                                             (bias ? static_cast<double>(bias[c]) : 0.0));
  });
}

template <class T>
void run(const ConvProblem& p, ConvPass pass, const Tensor& x, const Tensor& weight, const Tensor& y,
         const Tensor& bias) {
  const std::int64_t taps = p.taps(), row = p.x_channels * taps;
  const T beta = bias.defined() ? T(1) : T(0);
  switch (pass) {
    case ConvPass::x: {
      const Tensor rows = empty(x.shape(), x.dtype()), w = row_major(weight);
      if (bias.defined()) fill_rows(rows.mutable_data<T>(), p.batch, bias, taps);
      kernels::gemm<T>(false, false, p.batch, row, p.y_channels, T(1), y.data<T>(), p.y_channels, w.data<T>(),
                       row, beta, rows.mutable_data<T>(), row);
      return kernels::copy(x, rows);
    }
    case ConvPass::y: {
      const Tensor rows = row_major(x), w = row_major(weight);
      return multiply_long(rows.data<T>(), w.data<T>(), bias.defined() ? bias.data<T>() : nullptr,
                           y.mutable_data<T>(), p.batch, p.y_channels, row);
    }
    case ConvPass::w: {
      const Tensor rows = row_major(x);
      return kernels::gemm<T>(true, false, p.y_channels, row, p.batch, T(1), y.data<T>(), p.y_channels,
                              rows.data<T>(), row, T(0), weight.mutable_data<T>(), row);
    }
  }
}

}  // namespace

bool is_single_voxel(const ConvProblem& p) {
  const ops::ConvGeometry& g = p.geometry;
  if (g.groups != 1 || p.taps() == 1) return false;
  for (std::size_t i = 0; i < 3; ++i)
    if (g.y[i] != 1 || g.padding[i] != 0 || g.x[i] != g.kernel[i] || (g.dilation[i] != 1 && g.kernel[i] != 1))
      return false;
  return true;
}

void run_single_voxel(const ConvProblem& p, ConvPass pass, const Tensor& x, const Tensor& weight,
                      const Tensor& y, const Tensor& bias) {
  weight.dtype() == f64 ? run<double>(p, pass, x, weight, y, bias) : run<float>(p, pass, x, weight, y, bias);
}

}  // namespace lucid::direct
