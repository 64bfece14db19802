// A convolution of inputs joined along their channels.

#include <doctest/doctest.h>

#include "lucid/allocator.hpp"
#include "lucid/random.hpp"
#include "ops/conv_joined.hpp"
#include "ops/join.hpp"
#include "ops/plan_stats.hpp"

using namespace lucid;

namespace {

void check_equal(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const auto as = a.to_vector<double>(), bs = b.to_vector<double>();
  for (std::size_t i = 0; i < as.size(); ++i) REQUIRE(as[i] == bs[i]);
}

}  // namespace

TEST_CASE(
    "a convolution of joined inputs and its gradients are those of the joint, to the last bit on integers") {
  Generator generator(2);
  const auto integers = [&](const Shape& shape) { return randint(-3, 4, shape, f32, &generator); };
  struct Case {
    std::vector<Shape> inputs;
    Shape weight;
    bool is_whole;  // multiples of 8 channels and enough tiles: read as they lie
  };
  for (const Case& c : {Case{{{2, 16, 3, 8, 9}, {2, 32, 3, 8, 9}}, {16, 48, 3, 3, 3}, true},
                        Case{{{16, 3, 8, 9}, {16, 3, 8, 9}}, {32, 32, 3, 3, 3}, true},
                        Case{{{2, 24, 3, 8, 9}, {2, 8, 3, 8, 9}, {2, 40, 3, 8, 9}}, {24, 72, 3, 3, 3}, true},
                        Case{{{1, 3, 4, 5, 6}, {1, 1, 4, 5, 6}, {1, 2, 4, 5, 6}}, {4, 6, 3, 3, 3}, false},
                        Case{{{1, 16, 4, 9, 9}, {1, 4, 4, 9, 9}}, {16, 20, 3, 3, 3}, false}}) {
    Tensors parts;
    for (const Shape& shape : c.inputs) {
      parts.push_back(integers(shape));
      if (shape.size() == 5) parts.back() = parts.back().channels_last();
      parts.back().requires_grad_();
    }
    const Tensor weight = integers(c.weight), bias = integers({c.weight[0]});
    weight.requires_grad_();
    bias.requires_grad_();
    const Tensor y = conv3d_joined(parts, weight, bias, {.padding = 1});
    if (c.is_whole) CHECK(plan_stats().last_implementation == "lucid:winograd");
    const Tensor cotangent = integers(y.shape());
    y.backward(cotangent);

    Tensors same;
    for (const Tensor& part : parts) {
      same.push_back(part.detach());
      same.back().requires_grad_();
    }
    const Tensor w = weight.detach(), b = bias.detach();
    w.requires_grad_();
    b.requires_grad_();
    const Tensor expected = conv3d(cat(same, -4), w, b, {.padding = 1});
    expected.backward(cotangent);
    check_equal(y, expected);
    check_equal(weight.grad(), w.grad());
    check_equal(bias.grad(), b.grad());
    for (std::size_t i = 0; i < parts.size(); ++i) check_equal(parts[i].grad(), same[i].grad());
  }
}

TEST_CASE("a convolution of joined inputs keeps no joint for the backward pass") {
  const Tensor a = randn({1, 16, 4, 8, 8}).channels_last(), b = randn({1, 16, 4, 8, 8}).channels_last(),
               weight = randn({16, 32, 3, 3, 3});
  weight.requires_grad_();
  reset_plan_stats();
  conv3d_joined({a, b}, weight, {}, {.padding = 1});
  const Tensor y = conv3d_joined({a, b}, weight, {}, {.padding = 1});  // now the packed weight is there
  const std::int64_t before = memory_stats().current_bytes;
  const Tensor again = conv3d_joined({a, b}, weight, {}, {.padding = 1});
  CHECK(memory_stats().current_bytes - before <= y.nbytes() + 4096);
  CHECK(plan_stats().activation_reorders == 0);
}
