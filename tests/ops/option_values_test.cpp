// Options written in braces read as JSON's own braces do, and copies don't change with what they came from.

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lucid/lucid.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"

using namespace lucid;
using nlohmann::json;
using ops::OptionValues;

namespace {

// The same braces, read by JSON and by OptionValues.
#define CHECK_BRACES(...) CHECK(OptionValues __VA_ARGS__.json().dump() == json(__VA_ARGS__).dump())

struct Modes {
  enum class Mode { plain, fancy };
};
LUCID_OPTION_ENUM(Modes::Mode, {{Modes::Mode::plain, "plain"}, {Modes::Mode::fancy, "fancy"}})
struct ModeOptions {
  Modes::Mode mode = Modes::Mode::plain;
};
LUCID_OPTIONS(ModeOptions, mode)

}  // namespace

TEST_CASE("options in braces are JSON's") {
  CHECK_BRACES({{"stride", 2}});
  CHECK_BRACES({{"flag", true}, {"p", 0.5}, {"mode", "same"}, {"none", nullptr}});
  CHECK_BRACES({{"padding", {1, 2, 3}}, {"mixed", {1, 0.5, "a", nullptr, false}}});
  CHECK_BRACES({{"nested", {{1, 2}, {3}}}, {"deep", {{{1}}}}});
  CHECK_BRACES({{"index", {{{"slice", {1, nullptr, -1}}}, {{"ellipsis", true}}, {0, 1}}}});
  CHECK_BRACES({{"texts", {"a", "b", "c"}}, {"objects", {{"a", 1}, {"b", {2, 3}}}}});
  CHECK_BRACES({{"small", std::numeric_limits<std::int64_t>::min()},
                {"large", std::numeric_limits<std::uint64_t>::max()},
                {"float", 0.1f},
                {"size", std::size_t{7}},
                {"text", std::string("with\0zero", 9)}});
  CHECK(OptionValues{}.json() == json::object());
  CHECK_BRACES({{"none", {}}, {"list", {{}, {1}}}});
  CHECK_BRACES({{"twice", 1}, {"twice", 2}});
}

TEST_CASE("options take lists of integers and JSON made elsewhere") {
  const Shape shape{2, 3};
  const Dims3 dims{1, 2, 2};
  const std::vector<std::int64_t> list{5};
  const json made = {{"a", {1, 2}}};
  const OptionValues options{{"shape", shape}, {"dims", dims}, {"list", list}, {"made", made}};
  CHECK(options.json() ==
        json{{"shape", {2, 3}}, {"dims", {1, 2, 2}}, {"list", json::array({5})}, {"made", made}});
  CHECK(OptionValues(made).json() == made);
  const int numbers[] = {1, 0};
  const std::vector<int> none;
  const std::string key = "key";
  CHECK(OptionValues{{"pad", numbers}, {"none", none}, {"scales", std::vector<double>{0.5, 2}}, {key, f64}}
            .json() ==
        json{{"pad", {1, 0}}, {"none", json::array()}, {"scales", {0.5, 2.0}}, {"key", "float64"}});
  static_assert(!std::is_constructible_v<ops::Literal, const int*>);
  static_assert(!std::is_constructible_v<OptionValues, int>);
}

TEST_CASE("an enumeration inside a class has names, and another text is refused with the list of them") {
  using ops::read_options;
  CHECK(ops::default_options<ModeOptions>().json() == json{{"mode", "plain"}});
  CHECK(read_options<ModeOptions>("op", {{"mode", "fancy"}}).mode == Modes::Mode::fancy);
  CHECK_THROWS_WITH_AS(read_options<ModeOptions>("op", {{"mode", 1}}),
                       "op: option \"mode\" is 1: one of plain, fancy is required", Error);
}

TEST_CASE("a copy of options keeps its values") {
  OptionValues options{{"dim", 1}};
  const OptionValues copy = options;
  options.set("dim", 2).set("keepdim", true);
  CHECK(copy.json() == json{{"dim", 1}});
  CHECK(options.json() == json{{"dim", 2}, {"keepdim", true}});
  const OptionValues moved = std::move(options);
  CHECK(moved.json() == json{{"dim", 2}, {"keepdim", true}});
  OptionValues none;
  none.set("p", 0.5);
  CHECK(none.json() == json{{"p", 0.5}});
  CHECK_THROWS_WITH_AS(OptionValues(json::array({1})).set("p", 1),
                       "option values: [1] is no object, in which \"p\" could be set", Error);
}

TEST_CASE("a call by name takes options in braces and as JSON") {
  const Tensor x = Tensor::from({1, 2, 3, 4}, {2, 2});
  CHECK(ops::call("sum", {x}).item<float>() == 10);
  CHECK(ops::call("sum", {x}, {{"dim", 0}}).to_vector<float>() == std::vector<float>{4, 6});
  const json options = {{"dim", 1}, {"keepdim", true}};
  CHECK(ops::call("sum", {x}, options).shape() == Shape{2, 1});
  CHECK_THROWS_WITH_AS(ops::call("sum", {x}, json::array({1})), "sum: options must be a JSON object, got [1]",
                       Error);
}
