#pragma once
// The walk from results back to leaves.

#include "autograd/node.hpp"

namespace lucid::autograd {

/// Adds the gradients of sum(tensors[i] * gradients[i]) to the grad() of every leaf. An undefined gradient
/// stands for ones and is allowed for a tensor of one element. Throws AutogradError when a tensor is not
/// recorded.
void backward(const Tensors& tensors, const Tensors& gradients = {}, BackwardOptions options = {});

struct GradOptions {
  bool retain_graph = false;
  bool create_graph =
      false;  ///< record the backward pass, for derivatives of the gradients; implies retain_graph
  bool allow_unused =
      false;  ///< an input that the outputs do not depend on gives an undefined tensor, not an error
};

/// The gradients of sum(outputs[i] * gradients[i]) with respect to `inputs`; no grad() changes and only the
/// paths that lead to `inputs` are walked.
Tensors grad(const Tensors& outputs, const Tensors& inputs, const Tensors& gradients = {},
             GradOptions options = {});

}  // namespace lucid::autograd
