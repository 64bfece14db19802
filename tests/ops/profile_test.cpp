#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "autograd/backward.hpp"
#include "autograd/checkpoint.hpp"
#include "autograd/profile.hpp"
#include "lucid/random.hpp"
#include "ops/activation.hpp"
#include "ops/arithmetic.hpp"
#include "ops/conv.hpp"
#include "ops/loss.hpp"
#include "ops/reduce.hpp"

using namespace lucid;

namespace {

const ProfileRow* find(const std::vector<ProfileRow>& rows, const std::string& op, bool backward) {
  for (const ProfileRow& row : rows)
    if (row.op == op && row.backward == backward) return &row;
  return nullptr;
}

void train_step() {
  Generator generator(1);
  const Tensor x = randn({1, 2, 6, 6, 6}, f32, &generator);
  const Tensor weight = randn({4, 2, 3, 3, 3}, f32, &generator).requires_grad_();
  leaky_relu(conv3d(x, weight, Tensor(), {.padding = 1}), 0.1).sum().backward();
}

nlohmann::json saved_trace(const profile& measured) {
  const std::string path = (std::filesystem::temp_directory_path() / "lucid_profile_test.json").string();
  measured.save_trace(path);
  std::ifstream in(path);
  const auto trace = nlohmann::json::parse(in);
  std::filesystem::remove(path);
  return trace;
}

}  // namespace

TEST_CASE("a profile names the ops of both directions and counts their calls") {
  profile measured;
  train_step();
  train_step();
  const auto rows = measured.rows();
  for (const char* op : {"conv3d", "leaky_relu", "sum"}) {
    for (const bool backward : {false, true}) {
      INFO(op, " backward ", backward);
      const ProfileRow* row = find(rows, backward ? std::string(op) + ".backward" : op, backward);
      REQUIRE(row);
      CHECK(row->calls == 2);
      CHECK(row->total_seconds > 0);
    }
  }
  REQUIRE(find(rows, "conv_weight_grad", true));
  CHECK_FALSE(find(rows, "conv_weight_grad", false));
  CHECK_FALSE(find(rows, "conv_input_grad", true));  // the input needs none
  REQUIRE(find(rows, "backward", true));
  CHECK(find(rows, "backward", true)->calls == 2);
}

TEST_CASE("self times add up to the time in ops, which nested calls do not count twice") {
  profile measured;
  train_step();
  measured.stop();
  double self = 0;
  for (const ProfileRow& row : measured.rows()) {
    CHECK(row.self_seconds >= 0);
    CHECK(row.self_seconds <= row.total_seconds * (1 + 1e-9));
    self += row.self_seconds;
  }
  CHECK(self == doctest::Approx(measured.seconds()));
  CHECK(measured.seconds() <= measured.wall_seconds());

  // The same from the trace: the calls that lie in no other one.
  const auto trace = saved_trace(measured);
  double outermost = 0;
  for (const auto& event : trace["traceEvents"]) {
    bool inside = false;
    for (const auto& other : trace["traceEvents"])
      inside |= other["ts"] <= event["ts"] && other["dur"] > event["dur"] &&
                event["ts"].get<double>() + event["dur"].get<double>() <=
                    other["ts"].get<double>() + other["dur"].get<double>();
    if (!inside) outermost += event["dur"].get<double>();
  }
  CHECK(1e-6 * outermost == doctest::Approx(self).epsilon(1e-3));
  const auto rows = measured.rows();
  const ProfileRow *node = find(rows, "conv3d.backward", true), *inner = find(rows, "conv_weight_grad", true);
  REQUIRE(node);
  REQUIRE(inner);
  CHECK(node->total_seconds >= inner->total_seconds);
  CHECK(node->self_seconds < node->total_seconds);
}

TEST_CASE("convolutions tell implementation, arithmetic and bytes") {
  profile measured;
  train_step();
  const auto rows = measured.rows();
  const ProfileRow* row = find(rows, "conv3d", false);
  REQUIRE(row);
  CHECK(row->flops == 2.0 * 216 * 4 * 2 * 27);
  CHECK(row->bytes == 4.0 * (216 * 2 + 216 * 4 + 4 * 2 * 27));
  CHECK(row->implementation.find(':') != std::string::npos);
  CHECK(row->activation_reorders == 1);  // randn is row-major
  const ProfileRow* gradient = find(rows, "conv_weight_grad", true);
  REQUIRE(gradient);
  CHECK(gradient->flops == row->flops);
  const std::string text = measured.str();
  CHECK(text.find("GFLOP/s") != std::string::npos);
  CHECK(text.find(row->implementation) != std::string::npos);
  CHECK(text.find("ms in ops, of") != std::string::npos);
}

TEST_CASE("rows are sorted, and the table too") {
  profile measured;
  train_step();
  const auto rows = measured.rows();
  for (std::size_t i = 1; i < rows.size(); ++i) CHECK(rows[i - 1].self_seconds >= rows[i].self_seconds);
  const std::string text = measured.str();
  CHECK(text.find("\n" + rows[0].op + " ") < text.find("\n" + rows.back().op + " "));
}

TEST_CASE("a trace has the fields of complete events, and a limit") {
  profile measured({.max_trace_events = 3});
  train_step();
  const auto trace = saved_trace(measured);
  REQUIRE(trace["traceEvents"].size() == 3);
  CHECK(trace["otherData"]["events_left_out"] > 0);
  for (const auto& event : trace["traceEvents"]) {
    CHECK(event["name"].is_string());
    CHECK(event["ph"] == "X");
    CHECK(event["ts"].get<double>() >= 0);
    CHECK(event["dur"].get<double>() > 0);
    CHECK(event["pid"].is_number_integer());
    CHECK(event["tid"].is_number_integer());
    CHECK((event["cat"] == "forward" || event["cat"] == "backward"));
  }
  CHECK_THROWS_AS(measured.save_trace("/nowhere/at/all.json"), IoError);
  CHECK_THROWS_AS(profile({.max_trace_events = -1}), Error);
}

TEST_CASE("a profile sees its own scope only, on its own thread's stack of profiles") {
  const Tensor a = ones({2});
  profile outer;
  (void)(a + a);
  {
    profile inner;
    (void)(a * a);
    CHECK(find(inner.rows(), "mul", false));
    CHECK_FALSE(find(inner.rows(), "add", false));
  }
  (void)(a - a);
  outer.stop();
  (void)(a / a);
  const auto rows = outer.rows();
  CHECK(find(rows, "add", false));
  CHECK(find(rows, "sub", false));
  CHECK_FALSE(find(rows, "mul", false));
  CHECK_FALSE(find(rows, "div", false));

  // Destroyed in the order in which they were made.
  auto first = std::make_unique<profile>(), second = std::make_unique<profile>();
  first.reset();
  (void)(a + a);
  CHECK(second->rows().size() == 1);
  second.reset();
  (void)(a + a);
}

TEST_CASE("what a checkpoint computes again, and the sums of gradients, belong to the backward pass") {
  const Tensor x = ones({4}).requires_grad_();
  profile measured;
  const Tensor y = autograd::checkpoint([](const Tensor& v) { return leaky_relu(v, 0.5) * v; }, x);
  y.sum().backward();
  const auto rows = measured.rows();
  for (const bool backward : {false, true}) {
    REQUIRE(find(rows, "leaky_relu", backward));
    CHECK(find(rows, "leaky_relu", backward)->calls == 1);
  }
  CHECK(find(rows, "leaky_relu.backward", true));
  CHECK(find(rows, "add_", true));
  CHECK_FALSE(find(rows, "add_", false));
}

TEST_CASE("an op that throws is counted and leaves the next one at the top") {
  profile measured;
  CHECK_THROWS_AS(conv3d(ones({1, 2, 4, 4, 4}), ones({4, 3, 1, 1, 1})), Error);
  train_step();
  const auto rows = measured.rows();
  double total = 0;
  for (const ProfileRow& row : rows) total += row.self_seconds;
  CHECK(find(rows, "conv3d", false));
  CHECK(total == doctest::Approx(measured.seconds()));
}
