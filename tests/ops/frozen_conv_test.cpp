// Convolutions whose weight doesn't change, as compiled nets hold them; tests/nn/compile_test.cpp has their
// numbers.

#include "ops/frozen_conv.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace lucid;

TEST_CASE("a frozen convolution of no samples writes nothing") {
  const Shape shape{0, 16, 4, 16, 16};
  const ops::FrozenConv conv("conv3d", {{"padding", 1}}, std::span(&shape, 1), ones({16, 16, 3, 3, 3}), {},
                             {});
  const Tensor x = zeros(shape).channels_last(), y = zeros(shape).channels_last();
  conv.run(Tensors{x}, y);
  CHECK(y.numel() == 0);
}
