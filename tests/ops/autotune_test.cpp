// Convolution kernels chosen by measuring.

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lucid/random.hpp"
#include "ops/autotune.hpp"
#include "ops/conv.hpp"
#include "ops/plan_stats.hpp"

using namespace lucid;

namespace {

// Autotuning for a scope, its choices in a folder of its own, plans made anew.
struct Tuned {
  std::filesystem::path folder;
  std::string file;

  Tuned() {
    std::string name = (std::filesystem::temp_directory_path() / "autotune_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    folder = name;
    file = (folder / "choices.json").string();
    forget_plans();
    set_autotune(true);
  }
  ~Tuned() {
    set_autotune(false);
    set_autotune_file("");
    std::filesystem::remove_all(folder);
  }
  static void forget_plans() {
    const bool tunes = autotune();
    set_autotune(false);
    set_plan_limit(1);
    conv1d(ones({1, 1, 3}, f64), ones({1, 1, 2}, f64));
    set_plan_limit(1024);
    set_autotune(tunes);
  }
  nlohmann::json read() const { return nlohmann::json::parse(std::ifstream(file)); }
  void write(const std::string& text) const { std::ofstream(file) << text; }
};

// A step down and up and all gradients; what it leaves.
std::vector<double> step(DType dtype) {
  manual_seed(3);
  const Tensor x = randn({1, 16, 6, 6, 6}, dtype), down = randn({32, 16, 2, 2, 2}, dtype),
               up = randn({32, 16, 3, 3, 3}, dtype);
  for (const Tensor* tensor : {&x, &down, &up}) tensor->requires_grad_();
  const Tensor y = conv_transpose3d(conv3d(x, down, {}, {.stride = 2}), up, {}, {.stride = 2, .padding = 1});
  y.backward(ones_like(y));
  std::vector<double> out = y.to_vector<double>();
  for (const Tensor* tensor : {&x, &down, &up})
    for (const double value : tensor->grad().to_vector<double>()) out.push_back(value);
  return out;
}

void check_close(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) REQUIRE(std::abs(a[i] - b[i]) <= 1e-4 * (1 + std::abs(b[i])));
}

}  // namespace

TEST_CASE("autotuned convolutions compute the same, measure once and remember across files") {
  const std::vector<double> expected = step(f32), exact = step(f64);
  const Tuned tuned;
  set_autotune_file(tuned.file);
  check_close(step(f32), expected);
  check_close(step(f64), exact);
  const nlohmann::json choices = tuned.read().at("choices");
  CHECK(choices.size() == 12);
  reset_plan_stats();
  step(f32);
  CHECK(plan_stats().plans_created == 0);
  CHECK(plan_stats().runs == 6);

  // What a file says is taken without measuring: here for all float32 steps what is slowest to be chosen.
  nlohmann::json direct = tuned.read();
  for (auto& [key, name] : direct["choices"].items()) name = "direct";
  tuned.write(direct.dump());
  set_autotune_file(tuned.file);
  Tuned::forget_plans();
  reset_plan_stats();
  check_close(step(f32), expected);
  CHECK(plan_stats().last_implementation == "lucid:direct");
  CHECK(tuned.read() == direct);
}

TEST_CASE("a file of autotuned choices of another processor is measured again, one of another kind refused") {
  const Tuned tuned;
  tuned.write(R"({"format": 1, "processor": "abacus", "choices": {"1 2 3 ": "direct"}})");
  set_autotune_file(tuned.file);
  step(f32);
  CHECK(tuned.read().at("processor") != "abacus");
  CHECK(!tuned.read().at("choices").contains("1 2 3 "));
  for (const char* text :
       {"[]", "{", "", R"({"format": 1})", R"({"format": 1, "processor": "a", "choices": []})"}) {
    tuned.write(text);
    CHECK_THROWS_AS(set_autotune_file(tuned.file), Error);
  }
  // An unknown name, as a later version may write it, is measured again.
  set_autotune_file("");
  std::filesystem::remove(tuned.file);
  set_autotune_file(tuned.file);
  Tuned::forget_plans();
  step(f32);
  nlohmann::json strange = tuned.read();
  for (auto& [key, name] : strange["choices"].items()) name = "quantum";
  tuned.write(strange.dump());
  set_autotune_file(tuned.file);
  Tuned::forget_plans();
  step(f32);
  const nlohmann::json mended = tuned.read();
  for (const auto& [key, name] : mended.at("choices").items()) CHECK(name != "quantum");
}

TEST_CASE("choices that can't be written are kept for this run alone") {
  const Tuned tuned;
  set_autotune_file((tuned.folder / "missing" / "choices.json").string());
  check_close(step(f32), step(f32));
  CHECK(!std::filesystem::exists(tuned.folder / "missing"));
}
