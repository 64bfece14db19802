#include <doctest/doctest.h>

#include "lucid/allocator.hpp"
#include "nn/functional.hpp"
#include "nn/models/unet3d.hpp"
#include "tests/threads.hpp"

using namespace lucid;

namespace {

struct Step {
  std::int64_t peak;  // bytes above what was held before
  Tensors gradients;
};

// The gradients of a net with four levels, and the memory they took.
Step step(bool checkpoint, nn::models::Norm norm) {
  manual_seed(7);
  nn::models::UNet3d net({.in_channels = 1,
                          .out_channels = 3,
                          .channels = {8, 16, 32, 64},
                          .norm = norm,
                          .checkpoint = checkpoint});
  const Tensor x = randn({1, 1, 32, 32, 32});
  const Tensor target = randint(0, 3, {1, 32, 32, 32});
  reset_peak_memory();
  const std::int64_t before = memory_stats().current_bytes;
  nn::functional::cross_entropy(net(x), target).backward();
  Step out{memory_stats().peak_bytes - before, {}};
  for (const Tensor& parameter : net.parameters()) out.gradients.push_back(parameter.grad());
  return out;
}

}  // namespace

TEST_CASE("a U-Net with checkpointed blocks has the same gradients for less memory") {
  const Threads threads(2);  // each thread of the weight gradients has sums of its own, which count here
  for (const auto norm : {nn::models::Norm::instance, nn::models::Norm::batch}) {
    const Step plain = step(false, norm), checkpointed = step(true, norm);
    REQUIRE(plain.gradients.size() == checkpointed.gradients.size());
    bool same = true;
    for (std::size_t i = 0; i < plain.gradients.size(); ++i)
      same &= plain.gradients[i].to_vector<float>() == checkpointed.gradients[i].to_vector<float>();
    CHECK(same);
    INFO("peak ", plain.peak, " bytes, checkpointed ", checkpointed.peak);
    CHECK(static_cast<double>(checkpointed.peak) < 0.75 * static_cast<double>(plain.peak));
  }
}
