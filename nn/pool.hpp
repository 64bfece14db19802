#pragma once
// Pooling by windows, and its inverse; the options are those of the functions (ops/pool.hpp). Constructors
// throw Error naming the option that is out of range.

#include <concepts>
#include <utility>

#include "nn/module.hpp"
#include "ops/pool.hpp"

namespace lucid::nn {

/// `nn::MaxPool3d pool(2);` or `nn::MaxPool3d pool({.kernel_size = 3, .stride = 2, .padding = 1});`
/// Where PyTorch's layer gives the indices with return_indices, call with_indices().
template <std::size_t N>
struct MaxPool : Module {
  template <std::integral Size>  // a template, so that braces always mean options
  explicit MaxPool(Size kernel_size) : MaxPool(MaxPoolOptions<N>{.kernel_size = std::int64_t{kernel_size}}) {}
  explicit MaxPool(const MaxPoolOptions<N>& options);
  Tensor operator()(const Tensor& input) const;
  /// The maxima and their int64 positions, which MaxUnpool takes.
  std::pair<Tensor, Tensor> with_indices(const Tensor& input) const;
  std::string type_name() const override;
  std::string extra_repr() const override;
  MaxPoolOptions<N> options;
};

template <std::size_t N>
struct AvgPool : Module {
  template <std::integral Size>  // a template, so that braces always mean options
  explicit AvgPool(Size kernel_size) : AvgPool(AvgPoolOptions<N>{.kernel_size = std::int64_t{kernel_size}}) {}
  explicit AvgPool(const AvgPoolOptions<N>& options);
  Tensor operator()(const Tensor& input) const;
  std::string type_name() const override;
  std::string extra_repr() const override;
  AvgPoolOptions<N> options;
};

/// `unpool(maxima, indices)` puts maxima back where MaxPool::with_indices found them, zeros elsewhere. An
/// output_size may be a layer's option or belong to one call.
template <std::size_t N>
struct MaxUnpool : Module {
  template <std::integral Size>  // a template, so that braces always mean options
  explicit MaxUnpool(Size kernel_size)
      : MaxUnpool(MaxUnpoolOptions<N>{.kernel_size = std::int64_t{kernel_size}}) {}
  explicit MaxUnpool(const MaxUnpoolOptions<N>& options);
  Tensor operator()(const Tensor& input, const Tensor& indices) const;
  Tensor operator()(const Tensor& input, const Tensor& indices, const Shape& output_size) const;
  std::string type_name() const override;
  std::string extra_repr() const override;
  MaxUnpoolOptions<N> options;
};

using MaxPool1d = MaxPool<1>;
using MaxPool2d = MaxPool<2>;
using MaxPool3d = MaxPool<3>;
using AvgPool1d = AvgPool<1>;
using AvgPool2d = AvgPool<2>;
using AvgPool3d = AvgPool<3>;
using MaxUnpool1d = MaxUnpool<1>;
using MaxUnpool2d = MaxUnpool<2>;
using MaxUnpool3d = MaxUnpool<3>;

extern template struct MaxPool<1>;
extern template struct MaxPool<2>;
extern template struct MaxPool<3>;
extern template struct AvgPool<1>;
extern template struct AvgPool<2>;
extern template struct AvgPool<3>;
extern template struct MaxUnpool<1>;
extern template struct MaxUnpool<2>;
extern template struct MaxUnpool<3>;

}  // namespace lucid::nn
