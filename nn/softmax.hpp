#pragma once
// Softmax and its relatives along an axis `dim`.

#include <string>

#include "nn/module.hpp"

namespace lucid::nn {

struct Softmax : Module {
  explicit Softmax(std::int64_t dim_) : dim(dim_) {}
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  std::int64_t dim;
};

struct LogSoftmax : Module {
  explicit LogSoftmax(std::int64_t dim_) : dim(dim_) {}
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  std::int64_t dim;
};

/// softmax(-input).
struct Softmin : Module {
  explicit Softmin(std::int64_t dim_) : dim(dim_) {}
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  std::int64_t dim;
};

/// Softmax over the channels at every position of (N, C, H, W) or (C, H, W); another rank throws Error.
struct Softmax2d : Module {
  Tensor operator()(const Tensor& input) const;
};

}  // namespace lucid::nn
