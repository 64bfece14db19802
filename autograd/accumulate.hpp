#pragma once
// The node at the end of every path: adds the gradient to the leaf's grad().

#include "autograd/node.hpp"

namespace lucid::autograd {

class AccumulateGrad final : public Node {
 public:
  explicit AccumulateGrad(const Tensor& leaf);
  std::string_view name() const override { return "accumulate_grad"; }
  void options(nlohmann::json& out) const override;
  /// Runs the leaf's hooks, then adds. The gradient is final: every node made after this leaf was first used
  /// has run.
  Tensors backward(const std::shared_ptr<Node>& self, const Tensors& grads, const Mask& wanted) override;

 private:
  Tensor leaf_;
};

/// True when nobody else can see `tensor`'s elements and it may be added to in place.
bool is_exclusive(const Tensor& tensor);

}  // namespace lucid::autograd
