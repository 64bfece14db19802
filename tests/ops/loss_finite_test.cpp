// No loss of regions is NaN or infinite on finite input, nor is its gradient: absent classes, nothing but
// ignored positions, extreme logits, no smoothing, no samples.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "lucid/random.hpp"
#include "ops/registry.hpp"

using namespace lucid;

namespace {

using Json = nlohmann::json;

struct Given {
  std::string name;
  Tensor input, target;
};

std::vector<Given> hard_cases() {
  const Tensor x = randn({2, 3, 4, 3, 5});
  const Tensor absent = zeros({2, 4, 3, 5}, i64), ignored = full({2, 4, 3, 5}, -100, i64);
  const Tensor labels = randint(0, 3, {2, 4, 3, 5});
  const Tensor last = full({2, 4, 3, 5}, 2, i64);
  const Tensor extreme = (x > 0.0).to(f32) * 2e4 - 1e4;
  return {{"absent classes", x, absent},
          {"one class fills all", x, last},
          {"nothing but ignored positions", x, ignored},
          {"logits of +-1e4", extreme, labels},
          {"logits of +-1e4, absent classes", extreme, absent},
          {"equal logits", zeros({2, 3, 4, 3, 5}), labels},
          {"a one-hot target of zeros", x, zeros({2, 3, 4, 3, 5})},
          {"one position", randn({1, 3, 1, 1, 1}), zeros({1, 1, 1, 1}, i64)},
          {"no samples", empty({0, 3, 4, 3, 5}), empty({0, 4, 3, 5}, i64)}};
}

void check_finite(const std::string& op, const Json& options) {
  for (const Given& given : hard_cases()) {
    CAPTURE(op);
    CAPTURE(options.dump());
    CAPTURE(given.name);
    const Tensor x = given.input.clone().requires_grad_();
    const Tensor loss = ops::call(op, {x, given.target}, options);
    for (const double value : loss.to_vector<double>()) CHECK(std::isfinite(value));
    loss.sum().backward();
    REQUIRE(x.grad().defined());
    bool finite = true;
    for (const double value : x.grad().to_vector<double>()) finite = finite && std::isfinite(value);
    CHECK(finite);
  }
}

}  // namespace

TEST_CASE("losses of overlap are finite on finite input") {
  for (const std::string op : {"dice_loss", "tversky_loss", "focal_tversky_loss", "generalized_dice_loss"})
    for (const std::string activation : {"softmax", "sigmoid"})
      for (const double smooth : {1e-5, 0.0})
        for (const bool batch : {false, true})
          for (const std::string reduction : {"mean", "none"})
            for (const bool background : {false, true})
              check_finite(op, {{activation, true},
                                {"smooth_nr", smooth},
                                {"smooth_dr", smooth},
                                {"batch", batch},
                                {"include_background", background},
                                {"reduction", reduction}});
}

TEST_CASE("dice_ce_loss is finite on finite input") {
  for (const bool present_only : {false, true})
    for (const bool background : {false, true})
      check_finite("dice_ce_loss", {{"present_only", present_only}, {"include_background", background}});
}

TEST_CASE("focal_loss is finite on finite input") {
  for (const bool softmax : {false, true})
    for (const double gamma : {0.0, 0.5, 1.0, 2.0, 2.5})
      for (const std::string reduction : {"mean", "none"})
        for (const bool background : {false, true})
          check_finite("focal_loss", {{"use_softmax", softmax},
                                      {"gamma", gamma},
                                      {"alpha", 0.25},
                                      {"include_background", background},
                                      {"reduction", reduction}});
}

TEST_CASE("losses of distance are finite on finite input") {
  for (const std::string op : {"hausdorff_dt_loss", "boundary_loss"})
    for (const std::string activation : {"softmax", "sigmoid"})
      for (const bool batch : {false, true})
        for (const std::string reduction : {"mean", "none"})
          for (const bool background : {false, true})
            check_finite(op, {{activation, true},
                              {"batch", batch},
                              {"include_background", background},
                              {"reduction", reduction}});
}
