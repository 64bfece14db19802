// What nn::compile and its plans refuse, and how they say so.

#include <doctest/doctest.h>

#include "autograd/record.hpp"
#include "compiled_nets.hpp"
#include "nn/compile.hpp"
#include "nn/models/unet3d.hpp"
#include "ops/activation.hpp"
#include "ops/arithmetic.hpp"
#include "refusal.hpp"

using namespace lucid;
using namespace lucid::compiled;

TEST_CASE("a plan refuses other shapes and types") {
  const Written net([](const Tensor& x) { return relu(x); });
  const nn::Plan plan = nn::compile(net, {1, 2, 4});
  for (const Tensor& x : {randn({1, 2, 5}), randn({2, 4}), randn({1, 2, 4}, f64)}) {
    const std::string text = refusal([&] { plan(x); });
    CHECK(contains(text, x.shape().str()));
    CHECK(contains(text, "compiled for (1, 2, 4) and float32"));
  }
  CHECK(contains(refusal([&] { plan(Tensor()); }), "undefined"));
  CHECK(contains(refusal([&] { nn::compile(net, Tensor()); }), "undefined"));
  CHECK(contains(refusal([&] { nn::compile(net, Shape{-1, 3}); }), "-1"));
}

TEST_CASE("what can't be frozen is refused") {
  nn::models::UNet3d fresh({.channels = {4, 4}});
  CHECK(contains(refusal([&] { nn::compile(fresh, {1, 1, 4, 4, 4}); }), "call eval()"));
  fresh.eval();
  fresh.decoder[0].train();
  CHECK(contains(refusal([&] { nn::compile(fresh, {1, 1, 4, 4, 4}); }), "\"decoder.0\""));

  const auto refused = [](std::function<Tensor(const Tensor&)> forward) {
    return refusal([&] { nn::compile(Written(std::move(forward)), {2, 3}); });
  };
  const std::string independent = "does not depend on its input";
  CHECK(contains(refused([](const Tensor&) { return ones({2}); }), independent));
  CHECK(contains(refused([](const Tensor&) { return ones({2}) * 2.0; }), independent));
  CHECK(contains(refused([](const Tensor& x) { return Tensor::from(x.to_vector<float>(), {6}); }),
                 independent));
  CHECK(contains(refused([](const Tensor&) { return Tensor(); }), "undefined"));

  const std::string unseen = "differs from run to run";
  CHECK(contains(refused([](const Tensor& x) {
                   return x * Tensor::from(x.to_vector<float>(), {2, 3});
                 }),
                 unseen));
  CHECK(contains(refused([](const Tensor& x) { return x + x.sum().item<double>(); }), unseen));
  CHECK(contains(refused([](const Tensor& x) { return x + randn({2, 3}); }), unseen));
  const Tensor factor = ones({3});
  int calls = 0;
  const auto alternating = [&](const Tensor& x) { return calls++ % 2 ? x * factor : x - factor; };
  CHECK(contains(refused(alternating), "other ops for other values"));

  // recorded, but not in the table of ops
  const auto recorded = [](const Tensor& x) {
    return autograd::record(
        "my_op", x.clone(), {x}, {}, autograd::NoOptions{},
        +[](const autograd::Backward<autograd::NoOptions>& b) { return Tensors{b.grad()}; });
  };
  CHECK(contains(refused(recorded), "my_op, which is not in the table of ops"));

  const std::string in_place = "in place";
  CHECK(contains(refused([](const Tensor& x) {
                   const Tensor y = x * 2.0;
                   relu_(y);
                   return y + x;
                 }),
                 in_place));
  CHECK(contains(refused([](const Tensor& x) {
                   const Tensor y = x * 2.0;
                   y.narrow(0, 0, 1).fill_(0);
                   return y;
                 }),
                 in_place));
  CHECK(contains(refused([](const Tensor& x) { return x.mul_(2.0) + 1.0; }), in_place));
  const Tensor counter = zeros({3});
  CHECK(contains(refused([&](const Tensor& x) {
                   const Tensor y = x + counter;
                   counter.add_(ones({3}));
                   return y;
                 }),
                 in_place));
}
