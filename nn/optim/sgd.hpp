#pragma once

#include "nn/optim/optimizer.hpp"

namespace lucid::optim {

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;  ///< of the gradient on its way into the momentum
  double weight_decay = 0;
  bool nesterov = false;  ///< needs momentum > 0 and dampening 0
  bool maximize = false;
};

/// Stochastic gradient descent as torch.optim.SGD has it: with g = grad + weight_decay * p,
///   b = momentum * b + (1 - dampening) * g (b = g the first time),  p -= lr * b,
/// or p -= lr * (g + momentum * b) with nesterov. Sutskever et al., "On the importance of initialization and
/// momentum in deep learning", 2013.
class SGD final : public OptimizerOf<SGDOptions> {
 public:
  explicit SGD(std::vector<Tensor> params, const SGDOptions& options = {});
  explicit SGD(const std::vector<ParamGroup<SGDOptions>>& groups);

 protected:
  void update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) override;
};

// Defined where their options are.
extern template class OptimizerOf<SGDOptions>;

}  // namespace lucid::optim
