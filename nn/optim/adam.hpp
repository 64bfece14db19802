#pragma once
// Adam and its relatives. Each update is that of the PyTorch 1.13 class of the same name; with
//   m = beta1 * m + (1 - beta1) * g,   v = beta2 * v + (1 - beta2) * g^2,   t = 1 for the first update,
// and g = grad + weight_decay * p, except for AdamW.

#include <array>

#include "nn/optim/optimizer.hpp"

namespace lucid::optim {

struct AdamOptions {
  double lr = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  bool amsgrad = false;  ///< divide by the largest v so far
  bool maximize = false;
};

/// p -= lr / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + eps). Kingma and Ba, "Adam: A Method for
/// Stochastic Optimization", 2014; amsgrad: Reddi et al., "On the Convergence of Adam and Beyond", 2018.
class Adam final : public OptimizerOf<AdamOptions> {
 public:
  explicit Adam(std::vector<Tensor> params, const AdamOptions& options = {});
  explicit Adam(const std::vector<ParamGroup<AdamOptions>>& groups);

 protected:
  void update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) override;
};

struct AdamWOptions {
  double lr = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 1e-2;
  bool amsgrad = false;
  bool maximize = false;
};

/// As Adam, with the decay apart from the gradient: first p *= 1 - lr * weight_decay. Loshchilov and Hutter,
/// "Decoupled Weight Decay Regularization", 2017.
class AdamW final : public OptimizerOf<AdamWOptions> {
 public:
  explicit AdamW(std::vector<Tensor> params, const AdamWOptions& options = {});
  explicit AdamW(const std::vector<ParamGroup<AdamWOptions>>& groups);

 protected:
  void update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) override;
};

struct AdamaxOptions {
  double lr = 2e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  bool maximize = false;
};

/// u = max(beta2 * u, |g| + eps), p -= lr / (1 - beta1^t) * m / u. Section 7 of Adam's paper.
class Adamax final : public OptimizerOf<AdamaxOptions> {
 public:
  explicit Adamax(std::vector<Tensor> params, const AdamaxOptions& options = {});
  explicit Adamax(const std::vector<ParamGroup<AdamaxOptions>>& groups);

 protected:
  void update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) override;
};

struct NAdamOptions {
  double lr = 2e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum_decay = 4e-3;
};

/// Adam with Nesterov momentum: mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2), M_t = mu_1 ... mu_t. As
/// PyTorch 1.13 computes it, the factor of the coming step is M_t * mu_t * mu_(t+1). Dozat, "Incorporating
/// Nesterov Momentum into Adam", 2016.
class NAdam final : public OptimizerOf<NAdamOptions> {
 public:
  explicit NAdam(std::vector<Tensor> params, const NAdamOptions& options = {});
  explicit NAdam(const std::vector<ParamGroup<NAdamOptions>>& groups);

 protected:
  void update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) override;
};

struct RAdamOptions {
  double lr = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
};

/// Adam with the variance of its rate rectified, and plain momentum while that variance is unbounded. Liu et
/// al., "On the Variance of the Adaptive Learning Rate and Beyond", 2019.
class RAdam final : public OptimizerOf<RAdamOptions> {
 public:
  explicit RAdam(std::vector<Tensor> params, const RAdamOptions& options = {});
  explicit RAdam(const std::vector<ParamGroup<RAdamOptions>>& groups);

 protected:
  void update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) override;
};

// Defined where their options are.
extern template class OptimizerOf<AdamOptions>;
extern template class OptimizerOf<AdamWOptions>;
extern template class OptimizerOf<AdamaxOptions>;
extern template class OptimizerOf<NAdamOptions>;
extern template class OptimizerOf<RAdamOptions>;

}  // namespace lucid::optim
