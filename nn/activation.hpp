#pragma once
// Activations as layers. Each applies the function of the same name (ops/activation.hpp) to every element.

#include <string>

#include "nn/module.hpp"

namespace lucid::nn {

struct ReLU : Module {
  Tensor operator()(const Tensor& input) const;
};

struct LeakyReLU : Module {
  explicit LeakyReLU(double negative_slope_ = 0.01) : negative_slope(negative_slope_) {}
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  double negative_slope;
};

struct ELU : Module {
  explicit ELU(double alpha_ = 1.0) : alpha(alpha_) {}
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  double alpha;
};

/// x where x > 0, else weight * x, with one weight, or one for each channel. The weights start at `init`.
/// Throws Error unless num_parameters >= 1.
struct PReLU : Module {
  explicit PReLU(std::int64_t num_parameters = 1, double init = 0.25);
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  Parameter weight;  // (num_parameters)
  LUCID_FIELDS(weight)
};

struct GELU : Module {
  /// `approximate`: "none" or "tanh"; throws Error on another text.
  explicit GELU(std::string approximate = "none");
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  std::string approximate;
};

struct SiLU : Module {
  Tensor operator()(const Tensor& input) const;
};

struct Sigmoid : Module {
  Tensor operator()(const Tensor& input) const;
};

struct Tanh : Module {
  Tensor operator()(const Tensor& input) const;
};

}  // namespace lucid::nn
