#pragma once

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

}  // namespace lucid::nn
