// Plans are made once, and layouts are left alone.

#include <doctest/doctest.h>

#include "ops/conv.hpp"
#include "ops/plan_stats.hpp"

using namespace lucid;

namespace {

struct Step {
  Tensor x = randn({1, 16, 8, 8, 8});
  Tensor down = randn({32, 16, 3, 3, 3}), up = randn({32, 16, 2, 2, 2}), bias = randn({16});

  // A convolution that halves, a transposed one that doubles, and all their gradients.
  void run() const {
    for (const Tensor* tensor : {&x, &down, &up, &bias}) tensor->requires_grad_();
    const Tensor half = conv3d(x, down, {}, {.stride = 2, .padding = 1});
    const Tensor whole = conv_transpose3d(half, up, bias, {.stride = 2});
    whole.backward(whole.detach());
  }
};

}  // namespace

TEST_CASE("a steady loop makes no plans and keeps activations in place") {
  const Step step;
  const Tensor last = step.x.channels_last();
  const Step fed{.x = last.detach()};
  fed.run();
  reset_plan_stats();
  for (int i = 0; i < 5; ++i) fed.run();
  const PlanStats stats = plan_stats();
  CHECK(stats.plans_created == 0);
  CHECK(stats.plans_held >= 6);
  CHECK(stats.runs == 30);
  CHECK(stats.activation_reorders == 0);
  CHECK(stats.reference_runs == 0);
  CHECK(!stats.last_implementation.empty());
}

TEST_CASE("each copy of an activation to channels-last is counted") {
  const Step step;
  reset_plan_stats();
  conv3d(step.x, step.down);
  CHECK(plan_stats().activation_reorders == 1);
  conv3d(step.x.channels_last(), step.down);
  CHECK(plan_stats().activation_reorders == 1);
}

TEST_CASE("the cache of plans is bounded and works when it holds one") {
  const Step step;
  set_plan_limit(1);
  CHECK(plan_stats().plans_held == 1);
  reset_plan_stats();
  step.run();
  step.run();
  CHECK(plan_stats().plans_created == 12);
  CHECK(plan_stats().plans_held == 1);
  set_plan_limit(1024);
  CHECK_THROWS_AS(set_plan_limit(0), Error);
}

TEST_CASE("plans tell which implementation ran") {
  const Tensor x = randn({1, 16, 8, 8, 8}).channels_last(), w = randn({16, 16, 3, 3, 3});
  conv3d(x, w);
  CHECK(plan_stats().last_implementation.find("onednn:") == 0);
  conv3d(x.to(f64), w.to(f64));
  CHECK(plan_stats().last_implementation == "lucid:direct");
  // oneDNN has no such padding.
  conv_transpose3d(x, w, {}, {.output_padding = 2, .dilation = 3});
  CHECK(plan_stats().last_implementation == "lucid:direct");
}
