#pragma once
// Pooling over the last one, two or three axes of (N, C, spatial...) or (C, spatial...). Results keep the
// input's memory layout.

#include <array>
#include <optional>
#include <utility>

#include "lucid/tensor.hpp"
#include "ops/dims.hpp"

namespace lucid {

/// Windows of `kernel_size` positions `dilation` apart, every `stride` positions (null: kernel_size), over
/// the input with `padding` of minus infinity on both sides. `ceil_mode`: a last window may hang over the
/// end, if it starts inside the input or its left padding. Throws Error on a padding above half the kernel
/// and on an output size below 1.
template <std::size_t N>
struct MaxPoolOptions {
  Dims<N> kernel_size = 1;
  std::optional<Dims<N>> stride = {};
  Dims<N> padding = 0;
  Dims<N> dilation = 1;
  bool ceil_mode = false;
  bool return_indices = false;  ///< read by the record; the functions below have a form of their own
};
using MaxPool3dOptions = MaxPoolOptions<3>;
using MaxPool2dOptions = MaxPoolOptions<2>;
using MaxPool1dOptions = MaxPoolOptions<1>;

/// The largest value of each window; NaN counts as larger than everything.
Tensor max_pool3d(const Tensor& input, const MaxPool3dOptions& options);
Tensor max_pool2d(const Tensor& input, const MaxPool2dOptions& options);
Tensor max_pool1d(const Tensor& input, const MaxPool1dOptions& options);
/// The same with each maximum's int64 row-major position among the input's spatial ones (-1 for a window that
/// lies in the padding alone).
std::pair<Tensor, Tensor> max_pool3d_with_indices(const Tensor& input, const MaxPool3dOptions& options);
std::pair<Tensor, Tensor> max_pool2d_with_indices(const Tensor& input, const MaxPool2dOptions& options);
std::pair<Tensor, Tensor> max_pool1d_with_indices(const Tensor& input, const MaxPool1dOptions& options);

/// Windows as in MaxPoolOptions, with padding of zeros. Each sum is divided by the window's size (without the
/// part beyond the padding), by the number of input elements in it when not `count_include_pad`, or by
/// `divisor_override`. Throws Error as max pooling does, and on a divisor_override of 0.
template <std::size_t N>
struct AvgPoolOptions {
  Dims<N> kernel_size = 1;
  std::optional<Dims<N>> stride = {};
  Dims<N> padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;
  std::optional<std::int64_t> divisor_override = {};
};
using AvgPool3dOptions = AvgPoolOptions<3>;
using AvgPool2dOptions = AvgPoolOptions<2>;
using AvgPool1dOptions = AvgPoolOptions<1>;

Tensor avg_pool3d(const Tensor& input, const AvgPool3dOptions& options);
Tensor avg_pool2d(const Tensor& input, const AvgPool2dOptions& options);
Tensor avg_pool1d(const Tensor& input, const AvgPool1dOptions& options);

/// One output size for each axis: empty keeps the input's, an int stands for N equal ones.
template <std::size_t N>
struct OutputSize : std::array<std::optional<std::int64_t>, N> {
  OutputSize(std::int64_t value = 1) { this->fill(value); }
  OutputSize(int value) { this->fill(value); }
  OutputSize(const std::array<std::optional<std::int64_t>, N>& sizes)
      : std::array<std::optional<std::int64_t>, N>(sizes) {}
};

/// Window o of O along an axis of size I spans floor(o * I / O) to ceil((o + 1) * I / O). Throws Error on a
/// negative size and on an input without elements along an axis.
Tensor adaptive_avg_pool3d(const Tensor& input, const OutputSize<3>& output_size);
Tensor adaptive_avg_pool2d(const Tensor& input, const OutputSize<2>& output_size);
Tensor adaptive_avg_pool1d(const Tensor& input, const OutputSize<1>& output_size);
Tensor adaptive_max_pool3d(const Tensor& input, const OutputSize<3>& output_size);
Tensor adaptive_max_pool2d(const Tensor& input, const OutputSize<2>& output_size);
Tensor adaptive_max_pool1d(const Tensor& input, const OutputSize<1>& output_size);
std::pair<Tensor, Tensor> adaptive_max_pool3d_with_indices(const Tensor& input,
                                                           const OutputSize<3>& output_size);
std::pair<Tensor, Tensor> adaptive_max_pool2d_with_indices(const Tensor& input,
                                                           const OutputSize<2>& output_size);
std::pair<Tensor, Tensor> adaptive_max_pool1d_with_indices(const Tensor& input,
                                                           const OutputSize<1>& output_size);

template <std::size_t N>
struct MaxUnpoolOptions {
  Dims<N> kernel_size = 1;
  std::optional<Dims<N>> stride = {};  ///< null: kernel_size
  Dims<N> padding = 0;
  /// The spatial sizes of the result, or all sizes; null: (input - 1) * stride - 2 * padding + kernel_size.
  std::optional<Shape> output_size = {};
};
using MaxUnpool3dOptions = MaxUnpoolOptions<3>;
using MaxUnpool2dOptions = MaxUnpoolOptions<2>;
using MaxUnpool1dOptions = MaxUnpoolOptions<1>;

/// Zeros with input's values at `indices` (int64, of input's shape), which max_pool3d_with_indices gave.
/// Throws Error on an index outside the result, and on windows and sizes that are out of range.
Tensor max_unpool3d(const Tensor& input, const Tensor& indices, const MaxUnpool3dOptions& options);
Tensor max_unpool2d(const Tensor& input, const Tensor& indices, const MaxUnpool2dOptions& options);
Tensor max_unpool1d(const Tensor& input, const Tensor& indices, const MaxUnpool1dOptions& options);

}  // namespace lucid
