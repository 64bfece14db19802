// Schedules that multiply: MultiplicativeLR and ChainedScheduler.

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "nn/optim/make.hpp"
#include "nn/optim/sgd.hpp"

using namespace lucid;

namespace {

optim::SGD sgd(double lr) { return optim::SGD({ones({2}).requires_grad_()}, {.lr = lr}); }

}  // namespace

TEST_CASE("MultiplicativeLR multiplies the present rate, and not before the first step") {
  auto optimizer = sgd(1.0);
  optim::MultiplicativeLR schedule(optimizer, [](std::int64_t epoch) { return epoch == 1 ? 0.5 : 0.25; });
  CHECK(optimizer.lr() == 1.0);
  schedule.step();
  CHECK(optimizer.lr() == 0.5);
  schedule.step();
  CHECK(optimizer.lr() == 0.125);
}

TEST_CASE("ChainedScheduler steps every member, and saves and takes back their states") {
  const auto options = nlohmann::json::parse(
      R"({"schedulers": [["StepLR", {"step_size": 2, "gamma": 0.5}], ["ExponentialLR", {"gamma": 0.5}]]})");
  auto optimizer = sgd(1.0);
  const auto schedule = optim::make_schedule("ChainedScheduler", optimizer, options);
  schedule->step();
  CHECK(optimizer.lr() == 0.5);
  schedule->step();
  CHECK(optimizer.lr() == 0.125);
  CHECK(schedule->last_lr() == std::vector<double>{0.125});

  auto other = sgd(1.0);
  const auto resumed = optim::make_schedule("ChainedScheduler", other, options);
  resumed->load_state_dict(schedule->state_dict());
  other.set_lr(optimizer.lr());
  resumed->step();
  schedule->step();
  CHECK(other.lr() == optimizer.lr());
}

TEST_CASE("ChainedScheduler refuses members that it cannot step") {
  auto optimizer = sgd(1.0);
  const auto make = [&](const char* options) {
    return optim::make_schedule("ChainedScheduler", optimizer, nlohmann::json::parse(options));
  };
  CHECK_THROWS_WITH_AS(make(R"({"schedulers": [["ReduceLROnPlateau", {}]]})"),
                       doctest::Contains("ReduceLROnPlateau"), Error);
  CHECK_THROWS_AS(make(R"({"schedulers": []})"), Error);
  CHECK_THROWS_WITH_AS(make(R"({"schedulers": [7]})"), doctest::Contains("7"), Error);
}
