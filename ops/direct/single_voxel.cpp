#include "ops/direct/single_voxel.hpp"

#include <algorithm>
#include <vector>

#include "ops/direct/rows.hpp"
#include "ops/direct/sample_products.hpp"
#include "ops/kernels/binary.hpp"

namespace lucid::direct {
namespace {

// The same elements in row-major order, where a sample's channels and taps are one row as the weight's are.
Tensor row_major(const Tensor& tensor) {
  if (tensor.is_contiguous()) return tensor;
  const Tensor out = empty(tensor.shape(), tensor.dtype());
  kernels::copy(out, tensor);
  return out;
}

// The values of `bias`, every one `times` in a row, and whole vectors of them; empty without a bias.
template <class T>
std::vector<T> repeated(const Tensor& bias, std::int64_t times) {
  std::vector<T> out;
  if (!bias.defined()) return out;
  out.resize(static_cast<std::size_t>(padded_to_lanes(bias.numel() * times, kLanes<T>)));
  for (std::int64_t c = 0; c < bias.numel(); ++c)
    std::fill_n(out.begin() + c * times, times, bias.data<T>()[c]);
  return out;
}

template <class T>
void run(const ConvProblem& p, ConvPass pass, const Tensor& x, const Tensor& weight, const Tensor& y,
         const Tensor& bias) {
  const std::int64_t taps = p.taps(), row = p.x_channels * taps;
  switch (pass) {
    case ConvPass::x: {
      const Tensor rows = empty(x.shape(), x.dtype()), w = row_major(weight);
      const T *const from = y.data<T>(), *const b = w.data<T>();
      T* const to = rows.data_to_write<T>();
      const std::vector<T> start = repeated<T>(bias, taps);
      const auto multiply = p.batch <= kFewSamples ? multiply_few<T> : multiply_short<T>;
      multiply(from, b, to, p.batch, p.y_channels, row, start);
      return kernels::copy(x, rows);
    }
    case ConvPass::y: {
      const Tensor w = row_major(weight);
      const T* const b = bias.defined() ? bias.data<T>() : nullptr;
      if (p.batch > kFewSamples)
        return multiply_panels(x, w.data<T>(), b, y.data_to_write<T>(), p.y_channels);
      const Tensor rows = row_major(x);
      return multiply_long(rows.data<T>(), w.data<T>(), b, y.data_to_write<T>(), p.batch, p.y_channels, row);
    }
    case ConvPass::w: {
      const Tensor rows = row_major(x);
      return multiply_samples(y.data<T>(), rows.data<T>(), weight.data_to_write<T>(), p.batch, p.y_channels,
                              row);
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
