#include "examples/segmentation/config.hpp"

#include "examples/segmentation/config_difference.hpp"

#include <nlohmann/json.hpp>

#include "tests/examples/support.hpp"

using namespace segment;
using support::error_of;

namespace {

const char* const minimal = R"({
  "image": "scan.nii", "labels": "/data/atlas.nii.gz",
  "classes": [{"name": "a", "labels": ["1-5", 7]}, {"name": "b", "labels": [6]}],
  "train": {"x": [0, 4]}, "validation": {"x": [4, 8], "z": [1, 3]}
})";

/// The error after one value of the minimal config is replaced; `pointer` as in /net/channels.
std::string error_with(const std::string& pointer, const std::string& value) {
  nlohmann::json json = nlohmann::json::parse(minimal);
  json[nlohmann::json::json_pointer(pointer)] = nlohmann::json::parse(value);
  return error_of([&] { parse_config(json.dump(), "my.json"); });
}

}  // namespace

TEST_CASE("config: values and defaults") {
  const Config config = parse_config(minimal, "my.json", "folder/sub");
  CHECK(config.image == "folder/sub/scan.nii");
  CHECK(config.labels == "/data/atlas.nii.gz");
  REQUIRE(config.classes.size() == 2);
  CHECK(config.classes[0].labels == std::vector<std::pair<std::int32_t, std::int32_t>>{{1, 5}, {7, 7}});
  CHECK(config.class_names() == std::vector<std::string>{"background", "a", "b"});
  CHECK(config.class_count() == 3);
  CHECK(config.train.range[0] == std::array<std::int64_t, 2>{0, 4});
  CHECK_FALSE(config.train.range[1].has_value());
  CHECK(config.validation.range[2] == std::array<std::int64_t, 2>{1, 3});
  CHECK(config.net.channels == std::vector<std::int64_t>{16, 32, 64, 128});
  CHECK(config.optimizer.learning_rate == 1e-2);
  CHECK_FALSE(config.augment.flip[0]);
}

TEST_CASE("config: the effective config reads back to itself") {
  Config config = parse_config(minimal, "my.json");
  config.augment = {{true, false, true}, 0.25, 0.125};
  config.net = {{8, 12}, "batch", "relu", "upsample"};
  config.loss = {0.5, 2};
  config.optimizer = {"sgd", 0.1, 0.0001, 0.5, 12, 0.99};
  config.schedule = {"cosine", 0.7, 11};
  config.validate = {7, 0.25, "uniform", true};
  config.checkpoint = {13};
  config.steps = 9, config.batch = 3, config.seed = 12345678901, config.downsample = 3;
  config.patch = {5, 6, 7};
  config.foreground_fraction = 1.0 / 3;
  config.mixed_precision = true;
  const std::string text = to_json(config);
  const Config back = parse_config(text, "again.json");
  CHECK(to_json(back) == text);
  CHECK(back.augment.flip[2]);
  CHECK(back.optimizer.momentum == 0.5);
  CHECK(back.seed == 12345678901);
  CHECK(back.foreground_fraction == 1.0 / 3);
  CHECK(back.mixed_precision);
}

TEST_CASE("config: the shipped configs") {
  for (const char* name : {"brain.json", "brain-baseline.json", "brain-1mm.json"}) {
    CAPTURE(name);
    const Config config = read_config(std::string("examples/segmentation/") + name);
    CHECK(config.class_count() == 4);
    CHECK(config.train.range[0]->at(1) <= config.validation.range[0]->at(0));
  }
}

TEST_CASE("config: unknown keys are named with their path and the nearest known one") {
  CHECK_ERROR(error_with("/stepz", "3"), "my.json: stepz: unknown key", "did you mean steps?",
              "known: image, labels");
  CHECK_ERROR(error_with("/optimizer", R"({"learning_rte": 1})"), "optimizer.learning_rte",
              "did you mean learning_rate?");
  CHECK_ERROR(error_with("/net", R"({"zebra": 1})"), "net.zebra: unknown key (known: channels, norm");
  CHECK_ERROR(error_with("/classes/1/nam", "1"), "classes[1].nam", "did you mean name?");
  CHECK_ERROR(error_with("/train/w", "[0, 1]"), "train.w", "known: x, y, z");
  CHECK_ERROR(error_with("/a\nb", "1"), "my.json: a\\nb: unknown key");
}

TEST_CASE("config: ill-typed and out-of-range values") {
  CHECK_ERROR(error_with("/net", R"({"channels": [16, 32, "x"]})"),
              "my.json: net.channels[2]: expected a positive integer, got \"x\"");
  CHECK_ERROR(error_with("/net", R"({"channels": [16, 32, 0]})"),
              "net.channels[2]: expected a positive integer, got 0");
  CHECK_ERROR(error_with("/net", R"({"channels": [16, 99999]})"), "net.channels[1]", "from 1 to 4096");
  CHECK_ERROR(error_with("/net", R"({"channels": [16]})"), "net.channels: expected 2 to 8 levels, got [16]");
  CHECK_ERROR(error_with("/net", "[]"), "my.json: net: expected an object, got []");
  CHECK_ERROR(error_with("/net", R"({"norm": "group"})"), "net.norm", "\"instance\" or \"batch\"",
              "got \"group\"");
  CHECK_ERROR(error_with("/steps", "2.5"), "steps", "integer", "2.5");
  CHECK_ERROR(error_with("/steps", "true"), "steps", "got true");
  CHECK_ERROR(error_with("/steps", "18446744073709551615"), "steps", "18446744073709551615");
  CHECK_ERROR(error_with("/seed", "-1"), "seed: expected an integer of at least 0, got -1");
  CHECK_ERROR(error_with("/batch", "null"), "batch", "got null");
  CHECK_ERROR(error_with("/optimizer", R"({"learning_rate": -1})"), "optimizer.learning_rate",
              "from 0.0 to 100.0");
  CHECK_ERROR(error_with("/optimizer", R"({"learning_rate": "1"})"), "optimizer.learning_rate", "number",
              "got \"1\"");
  CHECK_ERROR(error_with("/image", "\"\""), "image: expected a non-empty string");
  CHECK_ERROR(error_with("/patch", "[1, 2]"), "patch: expected three sizes");
  CHECK_ERROR(error_with("/patch", "[1, 2, 0]"), "patch[2]");
  CHECK_ERROR(error_with("/foreground_fraction", "1.5"), "foreground_fraction", "1.5");
  CHECK_ERROR(error_with("/augment", R"({"flip": ["w"]})"), "augment.flip[0]", "\"x\" or \"y\" or \"z\"");
  CHECK_ERROR(error_with("/loss", R"({"cross_entropy": 0, "dice": 0})"), "loss", "weight above 0");
  CHECK_ERROR(error_with("/validate", R"({"overlap": 1})"), "validate.overlap");
  CHECK_ERROR(error_with("/validate", R"({"mirror": 1})"), "validate.mirror: expected true or false, got 1");
  CHECK_ERROR(error_with("/validate", R"({"weighting": "flat"})"), "\"gaussian\" or \"uniform\"");
  CHECK_ERROR(error_with("/checkpoint", R"({"every": 0})"), "checkpoint.every: expected a positive integer");
  CHECK_ERROR(error_with("/optimizer", R"({"average": 1})"), "optimizer.average");
  CHECK_ERROR(error_with("/train", R"({"x": [4, 4]})"), "train.x", "begin < end");
  CHECK_ERROR(error_with("/train", R"({"x": [0, 5]})"),
              "validation: expected a region that does not overlap `train`");
  CHECK_ERROR(error_with("/train", "{}"), "validation", "overlap");
  CHECK_ERROR(error_with("/train", "7"), "train: expected an object, got 7");
}

TEST_CASE("config: classes") {
  CHECK_ERROR(error_with("/classes", "[]"), "classes: expected 1 to 255 classes");
  CHECK_ERROR(error_with("/classes/0/labels", "[]"), "classes[0].labels: expected at least one label");
  for (const char* bad :
       {"[\"5-1\"]", "[\"1-\"]", "[\"-\"]", "[\"1-2x\"]", "[\"a\"]", "[\"1-99999999999\"]"}) {
    CHECK_ERROR(error_with("/classes/0/labels", bad), "classes[0].labels[0]", "such as \"1-70\"");
  }
  CHECK_ERROR(error_with("/classes/0/labels", "[99999999999]"), "classes[0].labels[0]");
  CHECK_ERROR(error_with("/classes/1/labels", "[\"3-9\"]"), "\"a\" and \"b\" both name 3");
  CHECK_ERROR(error_with("/classes/1/name", "\"a\""), "\"a\" twice");
  CHECK_ERROR(error_with("/classes/1/name", "\"background\""), "classes[1].name");
  CHECK(error_with("/classes/0/labels", "[\"-5--2\"]").empty());
}

TEST_CASE("config: missing keys, repeated keys, text that is not JSON") {
  for (const char* key : {"image", "labels", "classes", "train", "validation"}) {
    nlohmann::json json = nlohmann::json::parse(minimal);
    json.erase(key);
    CHECK_ERROR(error_of([&] { parse_config(json.dump(), "my.json"); }),
                std::string("my.json: ") + key + ": missing");
  }
  const auto error = [](const std::string& text) { return error_of([&] { parse_config(text, "my.json"); }); };
  CHECK_ERROR(error("{\"steps\": 1, \"steps\": 2}"), "my.json", "\"steps\" comes twice");
  CHECK_ERROR(error("{\n  \"steps\": 1,\n  \"batch\" 2\n}"), "my.json", "line 3, column 11");
  CHECK_ERROR(error(""), "my.json", "not valid JSON");
  CHECK_ERROR(error("{\"image\": \"\xff\xfe\"}"), "my.json", "not valid JSON");
  CHECK_ERROR(error("[1]"), "my.json: expected an object");
  CHECK_ERROR(error(std::string(100000, '[')), "my.json", "32 levels");
  CHECK_ERROR(error("{\"steps\": 1e999}"), "my.json", "too large");
  CHECK_ERROR(error_of([] { read_config("no/such.json"); }), "no/such.json", "no such file");
  CHECK_ERROR(error_of([] { read_config("examples"); }), "examples", "not a regular file");
}

TEST_CASE("config: the first difference is named") {
  const Config here = parse_config(minimal, "my.json");
  Config there = here;
  CHECK(config_difference(there, here, training_keys()).empty());
  there.image = "elsewhere", there.validate.every = 3, there.checkpoint.every = 2;
  CHECK(config_difference(there, here, training_keys()).empty());
  there.steps = 9;
  CHECK(config_difference(there, here, training_keys()) == "steps is 9 there and 500 here");
  CHECK(config_difference(there, here, model_keys()).empty());
  there.net.channels = {4, 8};
  CHECK(config_difference(there, here, model_keys()) ==
        "net.channels is [4,8] there and [16,32,64,128] here");
  CHECK(config_difference(there, here, training_keys()) ==
        "net.channels is [4,8] there and [16,32,64,128] here");
}
