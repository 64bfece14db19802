#pragma once
// RMSprop, Adagrad and Adadelta: rates adapted to each element. Each update is that of the PyTorch 1.13 class
// of the same name, with g = grad + weight_decay * p.

#include "nn/optim/optimizer.hpp"

namespace lucid::optim {

struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;  ///< what stays of the running average at each step
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool centered = false;  ///< divide by the standard deviation rather than the root mean square
  bool maximize = false;
};

/// v = alpha * v + (1 - alpha) * g^2, p -= lr * g / (sqrt(v) + eps), the latter through a momentum if there
/// is one. Tieleman and Hinton, "Lecture 6.5 - rmsprop", 2012; centered: Graves, "Generating Sequences With
/// Recurrent Neural Networks", 2013.
class RMSprop final : public OptimizerOf<RMSpropOptions> {
 public:
  explicit RMSprop(std::vector<Tensor> params, const RMSpropOptions& options = {});
  explicit RMSprop(const std::vector<ParamGroup<RMSpropOptions>>& groups);

 protected:
  void update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) override;
};

struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;
  double weight_decay = 0;
  double initial_accumulator_value = 0;
  double eps = 1e-10;
  bool maximize = false;
};

/// s += g^2, p -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps). Duchi et al., "Adaptive Subgradient
/// Methods for Online Learning and Stochastic Optimization", 2011.
class Adagrad final : public OptimizerOf<AdagradOptions> {
 public:
  explicit Adagrad(std::vector<Tensor> params, const AdagradOptions& options = {});
  explicit Adagrad(const std::vector<ParamGroup<AdagradOptions>>& groups);

 protected:
  void update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) override;
};

struct AdadeltaOptions {
  double lr = 1.0;
  double rho = 0.9;  ///< what stays of the running averages at each step
  double eps = 1e-6;
  double weight_decay = 0;
  bool maximize = false;
};

/// v = rho * v + (1 - rho) * g^2, d = sqrt(a + eps) / sqrt(v + eps) * g, a = rho * a + (1 - rho) * d^2, p -=
/// lr * d. Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012.
class Adadelta final : public OptimizerOf<AdadeltaOptions> {
 public:
  explicit Adadelta(std::vector<Tensor> params, const AdadeltaOptions& options = {});
  explicit Adadelta(const std::vector<ParamGroup<AdadeltaOptions>>& groups);

 protected:
  void update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) override;
};

// Defined where their options are.
extern template class OptimizerOf<RMSpropOptions>;
extern template class OptimizerOf<AdagradOptions>;
extern template class OptimizerOf<AdadeltaOptions>;

}  // namespace lucid::optim
