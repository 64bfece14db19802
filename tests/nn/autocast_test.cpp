#include <doctest/doctest.h>

#include <cmath>

#include "autograd/grad_mode.hpp"
#include "lucid/allocator.hpp"
#include "nn/compile.hpp"
#include "nn/functional.hpp"
#include "nn/models/unet3d.hpp"
#include "nn/optim/adam.hpp"
#include "nn/summary.hpp"
#include "ops/autocast.hpp"
#include "ops/conv.hpp"
#include "tests/threads.hpp"

using namespace lucid;

namespace {

struct Training {
  std::vector<double> losses;
  std::int64_t peak;  // bytes above what was held before
};

// Learns to tell bright voxels; the same data and start in every call.
Training train(bool mixed, nn::models::Norm norm) {
  manual_seed(3);
  nn::models::UNet3d net({.in_channels = 1, .out_channels = 2, .channels = {8, 16}, .norm = norm});
  optim::AdamW optimizer(net.parameters(), {.lr = 3e-3});
  Training out{{}, 0};
  const std::int64_t before = memory_stats().current_bytes;
  for (int step = 0; step < 30; ++step) {
    const Tensor x = randn({2, 1, 16, 16, 16});
    const Tensor target = (x.select(1, 0) > 0.5).to(i64);
    reset_peak_memory();
    optimizer.zero_grad();
    Tensor loss;
    {
      const autocast guard(bf16, {.enabled = mixed, .even_if_slower = true});
      loss = nn::functional::cross_entropy(net(x), target);
    }
    loss.backward();
    for (const Tensor& parameter : net.parameters()) REQUIRE(parameter.grad().dtype() == f32);
    optimizer.step();
    out.losses.push_back(loss.item<double>());
    out.peak = memory_stats().peak_bytes - before;
  }
  return out;
}

}  // namespace

TEST_CASE("a U-Net learns in bfloat16 as it does in float32") {
  const Threads threads(2);  // each thread of the weight gradients has sums of its own, which count here
  for (const auto norm : {nn::models::Norm::instance, nn::models::Norm::batch}) {
    const Training full = train(false, norm), mixed = train(true, norm);
    // Eight bits of mantissa: a loss moves by its third digit.
    for (std::size_t i = 0; i < full.losses.size(); ++i) {
      INFO("step ", i, ": ", full.losses[i], " in float32, ", mixed.losses[i], " in bfloat16");
      CHECK(std::abs(mixed.losses[i] - full.losses[i]) < 0.05 * full.losses[0]);
      if (i == 0) CHECK(mixed.losses[i] != full.losses[i]);
    }
    CHECK(full.losses.back() < 0.6 * full.losses.front());
    CHECK(mixed.losses.back() < 0.6 * mixed.losses.front());
    INFO("peak ", full.peak, " bytes in float32, ", mixed.peak, " in bfloat16");
    CHECK(static_cast<double>(mixed.peak) < 0.85 * static_cast<double>(full.peak));
  }
}

TEST_CASE("plans and summaries in an autocast: a plan computes as it was compiled, wherever it is called") {
  manual_seed(4);
  nn::models::UNet3d net({.in_channels = 1, .out_channels = 2, .channels = {16, 32}});
  net.eval();
  const no_grad guard;
  const Tensor x = randn({1, 1, 16, 16, 16}), eager = net(x);
  const nn::Plan full = nn::compile(net, x.shape());
  const nn::Summary wide = nn::summary(net, x.shape());
  const auto equal = [](const Tensor& a, const Tensor& b) {
    return a.dtype() == b.dtype() && a.to_vector<float>() == b.to_vector<float>();
  };
  const Tensor outside = full(x);
  const autocast mixed(bf16, {.even_if_slower = true});
  CHECK(equal(full(x), outside));
  const nn::Plan narrow = nn::compile(net, x.shape());
  CHECK(narrow(x).dtype() == bf16);
  CHECK(equal(narrow(x), net(x)));
  CHECK(nn::summary(net, x.shape()).kept_bytes < wide.kept_bytes);
}

TEST_CASE("what a plan calls by name is float32 in an autocast too") {
  struct Dynamic : nn::Module {
    Tensor operator()(const Tensor& x) const { return conv3d(x, x.narrow(2, 0, 1).narrow(3, 0, 1)); }
  } net;
  net.eval();
  const no_grad guard;
  const Tensor x = randn({3, 3, 4, 4, 4});
  const nn::Plan plan = nn::compile(net, x.shape());
  const Tensor outside = plan(x);
  const autocast mixed(bf16, {.even_if_slower = true});
  CHECK(plan(x).dtype() == f32);
  CHECK(plan(x).to_vector<float>() == outside.to_vector<float>());
}
