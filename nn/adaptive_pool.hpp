#pragma once
// Pooling to a given size, and of everything.

#include <utility>

#include "nn/module.hpp"
#include "ops/pool.hpp"

namespace lucid::nn {

/// To `output_size` elements on each axis; empty keeps the input's. Throws Error on a negative size.
template <std::size_t N>
struct AdaptiveAvgPool : Module {
  explicit AdaptiveAvgPool(const OutputSize<N>& output_size);
  Tensor operator()(const Tensor& input) const;
  std::string type_name() const override;
  std::string extra_repr() const override;
  OutputSize<N> output_size;
};

/// Where PyTorch's layer gives the indices with return_indices, call with_indices().
template <std::size_t N>
struct AdaptiveMaxPool : Module {
  explicit AdaptiveMaxPool(const OutputSize<N>& output_size);
  Tensor operator()(const Tensor& input) const;
  /// The maxima and their int64 positions, which MaxUnpool takes.
  std::pair<Tensor, Tensor> with_indices(const Tensor& input) const;
  std::string type_name() const override;
  std::string extra_repr() const override;
  OutputSize<N> output_size;
};

struct GlobalPoolOptions {
  bool keepdim = true;  ///< keep the spatial axes, with size 1
};

/// The mean over all spatial axes of (N, C, spatial...), as many as there are.
struct GlobalAvgPool : Module {
  explicit GlobalAvgPool(const GlobalPoolOptions& options_ = {}) : options(options_) {}
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  GlobalPoolOptions options;
};

/// The largest element over all spatial axes of (N, C, spatial...); ties share the gradient.
struct GlobalMaxPool : Module {
  explicit GlobalMaxPool(const GlobalPoolOptions& options_ = {}) : options(options_) {}
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  GlobalPoolOptions options;
};

using AdaptiveAvgPool1d = AdaptiveAvgPool<1>;
using AdaptiveAvgPool2d = AdaptiveAvgPool<2>;
using AdaptiveAvgPool3d = AdaptiveAvgPool<3>;
using AdaptiveMaxPool1d = AdaptiveMaxPool<1>;
using AdaptiveMaxPool2d = AdaptiveMaxPool<2>;
using AdaptiveMaxPool3d = AdaptiveMaxPool<3>;

extern template struct AdaptiveAvgPool<1>;
extern template struct AdaptiveAvgPool<2>;
extern template struct AdaptiveAvgPool<3>;
extern template struct AdaptiveMaxPool<1>;
extern template struct AdaptiveMaxPool<2>;
extern template struct AdaptiveMaxPool<3>;

}  // namespace lucid::nn
