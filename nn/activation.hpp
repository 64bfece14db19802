#pragma once
// Activations as layers. Each applies the function of the same name (ops/activation.hpp) to every element;
// the arguments are PyTorch's, and constructors throw Error naming one that is out of range.

#include <string>

#include "nn/function_layer.hpp"
#include "ops/activation.hpp"
#include "ops/unary.hpp"

namespace lucid::nn {

struct ReLU : FunctionLayer<&relu> {};
struct ReLU6 : FunctionLayer<&relu6> {};
struct SELU : FunctionLayer<&selu> {};
struct SiLU : FunctionLayer<&silu> {};
struct Mish : FunctionLayer<&mish> {};
struct Sigmoid : FunctionLayer<&sigmoid> {};
struct LogSigmoid : FunctionLayer<&logsigmoid> {};
struct Tanh : FunctionLayer<&tanh> {};
struct Softsign : FunctionLayer<&softsign> {};
struct Hardsigmoid : FunctionLayer<&hardsigmoid> {};
struct Hardswish : FunctionLayer<&hardswish> {};

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

/// Throws Error when alpha is 0.
struct CELU : Module {
  explicit CELU(double alpha = 1.0);
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

/// Throws Error when beta is 0.
struct Softplus : Module {
  explicit Softplus(double beta = 1.0, double threshold = 20.0);
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  double beta, threshold;
};

/// Throws Error unless min_val < max_val.
struct Hardtanh : Module {
  explicit Hardtanh(double min_val = -1.0, double max_val = 1.0);
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  double min_val, max_val;
};

struct Threshold : Module {
  Threshold(double threshold_, double value_) : threshold(threshold_), value(value_) {}
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  double threshold, value;
};

}  // namespace lucid::nn
