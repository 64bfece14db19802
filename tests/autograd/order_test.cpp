// The order in which the walk visits nodes.

#include <doctest/doctest.h>

#include "autograd/backward.hpp"
#include "autograd/node.hpp"
#include "ops/arithmetic.hpp"

using namespace lucid;

TEST_CASE("a node has a larger number than the accumulator of a leaf that it is the first to use") {
  const Tensor x = ones({2}, f64);
  x.requires_grad_();
  const Tensor y = x * 2.0;
  CHECK(y.grad_fn()->sequence() > y.grad_fn()->edges()[0].node->sequence());
}

TEST_CASE("a leaf used by two nodes gets both contributions before its hook runs, once") {
  const Tensor x = ones({2}, f64);
  x.requires_grad_();
  int calls = 0;
  x.register_hook([&](const Tensor& grad) {
    ++calls;
    CHECK(grad.to_vector<double>() == std::vector<double>{5, 5});
    return Tensor();
  });
  const Tensor y = x * 2.0 + x * 3.0;
  CHECK(autograd::grad({y}, {x}, {ones({2}, f64)}, {.retain_graph = true})[0].to_vector<double>() ==
        std::vector<double>{5, 5});
  y.backward(ones({2}, f64));
  CHECK(calls == 1);
  CHECK(x.grad().to_vector<double>() == std::vector<double>{5, 5});
}
