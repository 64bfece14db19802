#pragma once
// Rewrites of a traced graph that give the same results, to float32 rounding, with less work.

#include "nn/detail/graph.hpp"

namespace lucid::nn::plan {

/// Chooses each node's kind, then: norms by running statistics go into the convolution before them, a
/// convolution of joined tensors becomes a sum of convolutions, sums go into the convolution before them, and
/// activations into whatever computes their input. What is not float32 is left as it is.
void fuse(Graph& graph);

}  // namespace lucid::nn::plan
