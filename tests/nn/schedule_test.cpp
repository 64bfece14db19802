#include "nn/optim/schedule.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "nn/optim/make.hpp"
#include "nn/optim/sgd.hpp"

using namespace lucid;
using nlohmann::json;

namespace {

std::unique_ptr<optim::Optimizer> sgd(double lr = 0.1) {
  return optim::make("SGD", std::vector<Tensor>{ones({1}).requires_grad_()}, {{"lr", lr}, {"momentum", 0.9}});
}

struct Known {
  std::string name;
  json options;
  std::vector<double> lrs;  // PyTorch 1.13.1, from 0.1
  std::vector<double> momenta;
};

const std::vector<Known> kKnown{
    {"CyclicLR",
     {{"base_lr", 0.1},
      {"max_lr", 0.5},
      {"step_size_up", 2},
      {"step_size_down", 3},
      {"mode", "exp_range"},
      {"gamma", 0.9}},
     {0.1, 0.27999999999999997, 0.42399999999999993, 0.2944, 0.18747999999999998, 0.1, 0.20628820000000012,
      0.29131876, 0.21479125599999999},
     {0.9, 0.8550000000000001, 0.8190000000000001, 0.8514, 0.8781300000000001, 0.9, 0.87342795, 0.85217031,
      0.871302186}},
    {"CosineAnnealingWarmRestarts",
     {{"T_0", 2}, {"T_mult", 2}, {"eta_min", 0.01}},
     {0.1, 0.05500000000000001, 0.1, 0.08681980515339464, 0.05500000000000001, 0.023180194846605363, 0.1,
      0.0965745789630079, 0.08681980515339464},
     {}},
    {"OneCycleLR",
     {{"max_lr", 1.0}, {"epochs", 2}, {"steps_per_epoch", 5}},
     {0.040000000000000036, 0.52, 1.0, 0.9504846320134737, 0.8117456539497631, 0.6112620219362893,
      0.38874197806371075, 0.18825834605023697, 0.049519367986526286},
     {0.95, 0.8999999999999999, 0.85, 0.854951556604879, 0.8688255099070633, 0.8888739533021842,
      0.9111260466978157, 0.9311744900929366, 0.945048443395121}},
    {"PolynomialLR",
     {{"total_iters", 6}, {"power", 2.0}},
     {0.1, 0.06944444444444446, 0.04444444444444447, 0.02500000000000001, 0.011111111111111117,
      0.0027777777777777775, 0, 0, 0},
     {}},
    {"MultiStepLR",
     {{"milestones", {4, 2, 2}}, {"gamma", 0.5}},
     {0.1, 0.1, 0.025, 0.025, 0.0125, 0.0125},
     {}},
    {"StepLR", {{"step_size", 2}, {"gamma", 0.5}}, {0.1, 0.1, 0.05, 0.05, 0.025}, {}},
    {"ConstantLR", {{"factor", 0.5}, {"total_iters", 2}}, {0.05, 0.05, 0.1, 0.1}, {}},
    {"LinearLR", {{"start_factor", 0.25}, {"total_iters", 3}}, {0.025, 0.05, 0.075, 0.1, 0.1}, {}},
    {"ExponentialLR", {{"gamma", 0.5}}, {0.1, 0.05, 0.025}, {}},
    {"CosineAnnealingLR", {{"T_max", 2}}, {0.1, 0.05, 0, 0.05, 0.1, 0.05}, {}},
    {"SequentialLR",
     json::parse(
         R"({"schedulers": [["ConstantLR", {"factor": 0.5}], ["ExponentialLR", {"gamma": 0.5}]], "milestones": [2]})"),
     {0.05, 0.05, 0.1, 0.05, 0.025},
     {}},
};

void check_close(double value, double wanted) {
  CHECK(std::abs(value - wanted) <= 1e-14 + 1e-12 * std::abs(wanted));
}

}  // namespace

TEST_CASE("rates and momenta are PyTorch's") {
  for (const Known& known : kKnown) {
    CAPTURE(known.name);
    const auto optimizer = sgd();
    const auto schedule = optim::make_schedule(known.name, *optimizer, known.options);
    for (std::size_t i = 0; i < known.lrs.size(); ++i) {
      CAPTURE(i);
      CHECK(schedule->last_epoch() == static_cast<std::int64_t>(i));
      CHECK(schedule->last_lr()[0] == optimizer->lr());
      check_close(optimizer->lr(), known.lrs[i]);
      if (!known.momenta.empty()) check_close(*optimizer->momentum(), known.momenta[i]);
      schedule->step();
    }
  }
}

TEST_CASE("a schedule resumed at any step goes on to the last digit") {
  for (const Known& known : kKnown) {
    CAPTURE(known.name);
    for (int at = 0; at < 6; ++at) {
      const auto optimizer = sgd(), other = sgd(0.7);
      const auto schedule = optim::make_schedule(known.name, *optimizer, known.options);
      const auto resumed = optim::make_schedule(known.name, *other, known.options);
      for (int i = 0; i < at; ++i) schedule->step();
      other->load_state_dict(optimizer->state_dict());
      resumed->load_state_dict(schedule->state_dict());
      for (int i = 0; i < 3; ++i) {
        schedule->step();
        resumed->step();
        CHECK(other->lr() == optimizer->lr());
        CHECK(*other->momentum() == *optimizer->momentum());
      }
    }
  }
}

TEST_CASE("a plateau lowers the rate, waits, and stops at the least rate") {
  const auto optimizer = sgd(1);
  optim::ReduceLROnPlateau schedule(*optimizer, {.factor = 0.5, .patience = 1, .cooldown = 1, .min_lr = 0.2});
  std::vector<double> lrs;
  for (double metric : {3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0}) {
    schedule.step(metric);
    lrs.push_back(optimizer->lr());
  }
  CHECK(lrs == std::vector<double>{1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2});
  CHECK_THROWS_WITH_AS(schedule.step(), doctest::Contains("without a metric"), Error);

  optim::ReduceLROnPlateau rising(*optimizer,
                                  {.mode = "max", .patience = 0, .threshold = 1, .threshold_mode = "abs"});
  rising.step(1);
  rising.step(2.5);
  CHECK(optimizer->lr() == 0.2);
  rising.step(3);
  CHECK(optimizer->lr() == doctest::Approx(0.02));
}

TEST_CASE("warm-up rises linearly, then falls as asked") {
  const auto rates = [](const optim::WarmupLROptions& options) {
    const auto optimizer = sgd(1);
    optim::WarmupLR schedule(*optimizer, options);
    std::vector<double> out;
    for (int i = 0; i < 8; ++i) {
      out.push_back(optimizer->lr());
      schedule.step();
    }
    return out;
  };
  const auto poly = rates({.total_iters = 6, .warmup_iters = 2, .start_factor = 0.5, .power = 2});
  const std::vector<double> wanted{0.5, 0.75, 1, 0.5625, 0.25, 0.0625, 0, 0};
  for (std::size_t i = 0; i < 8; ++i) check_close(poly[i], wanted[i]);
  const auto cosine = rates({.total_iters = 4, .warmup_iters = 0, .decay = "cosine", .eta_min = 0.5});
  for (std::size_t i = 0; i < 8; ++i)
    check_close(cosine[i], 0.75 + 0.25 * std::cos(std::acos(-1.0) * std::min(i, std::size_t{4}) / 4));
  CHECK(rates({.total_iters = 2, .warmup_iters = 2, .start_factor = 0, .decay = "constant"}) ==
        std::vector<double>{0, 0.5, 1, 1, 1, 1, 1, 1});
}

TEST_CASE("groups keep their own rates") {
  const Tensor a = ones({1}).requires_grad_(), b = ones({1}).requires_grad_();
  optim::SGD optimizer({{.params = {a}, .options = {.lr = 1}}, {.params = {b}, .options = {.lr = 10}}});
  optim::LambdaLR schedule(optimizer,
                           [](std::int64_t epoch) { return 1.0 / (1.0 + static_cast<double>(epoch)); });
  schedule.step();
  CHECK(schedule.last_lr() == std::vector<double>{0.5, 5});
  optim::OneCycleLR cycle(optimizer,
                          {.max_lr = std::vector<double>{2, 4}, .total_steps = 4, .cycle_momentum = false});
  CHECK(optimizer.lr(1) == doctest::Approx(4.0 / 25));
}

TEST_CASE("options out of range and states that do not fit are refused") {
  const auto optimizer = sgd();
  const auto refused = [&](const char* name, const json& options, const char* message) {
    CAPTURE(name);
    CHECK_THROWS_WITH_AS(optim::make_schedule(name, *optimizer, options), doctest::Contains(message), Error);
  };
  refused("StepLR", {{"step_size", 0}}, "lr_scheduler.StepLR: step_size is 0");
  refused("ConstantLR", {{"factor", 2.0}}, "factor is 2");
  refused("LinearLR", {{"start_factor", 0.0}}, "start_factor is 0");
  refused("PolynomialLR", {{"total_iters", 0}}, "total_iters is 0");
  refused("CosineAnnealingLR", {{"T_max", 0}}, "T_max is 0");
  refused("CosineAnnealingWarmRestarts", {{"T_0", 4}, {"T_mult", 0}}, "T_mult is 0");
  refused("OneCycleLR", {{"max_lr", 1.0}}, "total_steps, or epochs and steps_per_epoch");
  refused("OneCycleLR", {{"max_lr", 1.0}, {"total_steps", 9}, {"anneal_strategy", "sin"}}, "\"sin\"");
  refused("OneCycleLR", {{"max_lr", {1.0, 2.0}}, {"total_steps", 9}}, "max_lr has 2 values; 1 or 1");
  refused("CyclicLR", {{"mode", "square"}}, "\"square\"");
  refused("ReduceLROnPlateau", {{"factor", 1.0}}, "factor is 1");
  refused("WarmupLR", {{"total_iters", 3}, {"warmup_iters", 4}}, "warmup_iters is 4");
  refused("SequentialLR",
          json::parse(R"({"schedulers": [["ExponentialLR", {"gamma": 0.5}]], "milestones": [2]})"),
          "1 milestones given for 1 schedulers");
  refused("LambdaLR", json::object(), "\"LambdaLR\" is not known");
  refused("StepLR", {{"step_size", 2.5}}, "step_size");

  const auto adagrad =
      optim::make("Adagrad", std::vector<Tensor>{ones({1}).requires_grad_()}, json::object());
  CHECK_THROWS_WITH_AS(optim::make_schedule("CyclicLR", *adagrad, json::object()),
                       doctest::Contains("optim.Adagrad"), Error);

  optim::OneCycleLR cycle(*optimizer, {.max_lr = 1, .total_steps = 2});
  cycle.step();
  cycle.step();
  CHECK_THROWS_WITH_AS(cycle.step(), doctest::Contains("step 4 of a cycle of 2 steps"), Error);

  optim::StepLR step(*optimizer, {.step_size = 2});
  CHECK_THROWS_WITH_AS(step.load_state_dict({}), doctest::Contains("missing key last_epoch"), Error);
  NamedTensors state = step.state_dict();
  state.add("best", zeros({}));
  CHECK_THROWS_WITH_AS(step.load_state_dict(state), doctest::Contains("unexpected key best"), Error);
}
