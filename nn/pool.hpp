#pragma once
// Pooling layers; their options are those of the functions (ops/pool.hpp). Constructors throw Error naming
// the option that is out of range.

#include <concepts>

#include "nn/module.hpp"
#include "ops/pool.hpp"

namespace lucid::nn {

/// `nn::MaxPool3d pool(2);` or `nn::MaxPool3d pool({.kernel_size = 3, .stride = 2, .padding = 1});`
template <std::size_t N>
struct MaxPool : Module {
  template <std::integral Size>  // a template, so that braces always mean options
  explicit MaxPool(Size kernel_size) : MaxPool(MaxPoolOptions<N>{.kernel_size = std::int64_t{kernel_size}}) {}
  explicit MaxPool(const MaxPoolOptions<N>& options);
  Tensor operator()(const Tensor& input) const;
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

/// To `output_size` elements on each axis.
template <std::size_t N>
struct AdaptiveAvgPool : Module {
  explicit AdaptiveAvgPool(const OutputSize<N>& output_size);
  Tensor operator()(const Tensor& input) const;
  std::string type_name() const override;
  std::string extra_repr() const override;
  OutputSize<N> output_size;
};

using MaxPool1d = MaxPool<1>;
using MaxPool2d = MaxPool<2>;
using MaxPool3d = MaxPool<3>;
using AvgPool1d = AvgPool<1>;
using AvgPool2d = AvgPool<2>;
using AvgPool3d = AvgPool<3>;
using AdaptiveAvgPool1d = AdaptiveAvgPool<1>;
using AdaptiveAvgPool2d = AdaptiveAvgPool<2>;
using AdaptiveAvgPool3d = AdaptiveAvgPool<3>;

extern template struct MaxPool<1>;
extern template struct MaxPool<2>;
extern template struct MaxPool<3>;
extern template struct AvgPool<1>;
extern template struct AvgPool<2>;
extern template struct AvgPool<3>;
extern template struct AdaptiveAvgPool<1>;
extern template struct AdaptiveAvgPool<2>;
extern template struct AdaptiveAvgPool<3>;

}  // namespace lucid::nn
