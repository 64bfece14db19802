#include "examples/segmentation/metrics.hpp"

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "examples/segmentation/files.hpp"
#include "examples/segmentation/progress.hpp"
#include "tests/examples/support.hpp"

using namespace segment;
using support::error_of;
using support::TempDir;

TEST_CASE("metrics: one object a line, on disk at once") {
  const TempDir dir;
  MetricsLog log(dir / "metrics.jsonl");
  log.step(1, 0.75, 0.01);
  nlohmann::json line = nlohmann::json::parse(support::read_bytes(dir / "metrics.jsonl"));
  CHECK(line.size() == 5);
  CHECK(line["event"] == "step");
  CHECK(line["step"] == 1);
  CHECK(line["loss"] == 0.75);
  CHECK(line["lr"] == 0.01);
  CHECK(line["seconds"].is_number());

  log.validation(1, 0.7, 0.01, {{"a \"b\"", 0.5}, {"c", std::numeric_limits<double>::quiet_NaN()}}, 0.5);
  const std::string text = support::read_bytes(dir / "metrics.jsonl");
  line = nlohmann::json::parse(text.substr(text.find('\n') + 1));
  CHECK(line["event"] == "validation");
  CHECK(line["dice"]["a \"b\""] == 0.5);
  CHECK(line["dice"]["c"].is_null());
  CHECK(line["mean_dice"] == 0.5);

  const std::vector<Record> records = read_metrics(dir / "metrics.jsonl");
  REQUIRE(records.size() == 2);
  CHECK(records[1].dice[0].first == "a \"b\"");
  CHECK(std::isnan(records[1].dice[1].second));
  CHECK(records[0].loss == 0.75);
}

TEST_CASE("metrics: losses come back to the last bit") {
  const TempDir dir;
  const double loss = 0.1 + 0.2, lr = 1e-2 * std::pow(1 - 7.0 / 500, 0.9);
  MetricsLog(dir / "m").step(1, loss, lr);
  CHECK(read_metrics(dir / "m")[0].loss == loss);
  CHECK(read_metrics(dir / "m")[0].lr == lr);
}

TEST_CASE("metrics: a resumed log drops what comes after its step, ends and half lines") {
  const TempDir dir;
  support::write_bytes(dir / "m", R"({"event":"step","step":1,"loss":1.0,"lr":0.1,"seconds":2.5}
{"event":"step","step":2,"loss":0.5,"lr":0.1,"seconds":40.25}
{"event":"validation","step":2,"loss":0.5,"lr":0.1,"seconds":40.5,"dice":{},"mean_dice":0}
{"event":"end","step":2,"loss":0.5,"lr":0.1,"seconds":41,"dice":{},"mean_dice":0}
{"event":"step","step":3,"loss":0.3,"lr":0.1,"seconds":60}
{"event":"step","st)");
  MetricsLog log(dir / "m", 2);
  CHECK(log.seconds() >= 40.25);
  CHECK(log.seconds() < 50);
  log.step(3, 0.25, 0.1);
  const std::vector<Record> records = read_metrics(dir / "m");
  REQUIRE(records.size() == 3);
  CHECK(records[1].step == 2);
  CHECK(records[2].step == 3);
  CHECK(records[2].loss == 0.25);
  CHECK(records[2].seconds >= 40.25);
}

TEST_CASE("metrics: resuming without a file starts one; a strange file is left alone") {
  const TempDir dir;
  MetricsLog(dir / "new", 10).step(11, 1, 1);
  CHECK(read_metrics(dir / "new").size() == 1);
  support::write_bytes(dir / "other", "{\"event\":\"step\"}\nhello\n");
  CHECK_ERROR(error_of([&] { MetricsLog(dir / "other", 1); }), "other", "line 1", "not a metrics record");
  CHECK(support::read_bytes(dir / "other") == "{\"event\":\"step\"}\nhello\n");
  CHECK_ERROR(error_of([&] { MetricsLog(dir / "no/m"); }), "no/m", "cannot be written");
  support::write_bytes(dir / "half", "{\"event\":\"st");
  CHECK(read_metrics(dir / "half").empty());
}

TEST_CASE("progress: plain lines now and then when not on a terminal") {
  const TempDir dir;
  std::FILE* file = std::fopen((dir / "log").c_str(), "w");
  REQUIRE(file != nullptr);
  {
    Progress progress(100, 40, 2, file);
    for (int step = 41; step <= 100; ++step) progress.update(step, 0.5);
    progress.note("validation: mean Dice 0.8");
  }
  std::fclose(file);
  const std::string text = support::read_bytes(dir / "log");
  CHECK(std::count(text.begin(), text.end(), '\n') == 14);  // 41, then 45, 50, ... 100, and the note
  CHECK(support::contains(text, " 41/100  loss 0.5000  "));
  CHECK(support::contains(text, "100/100  loss 0.5000  "));
  CHECK(support::contains(text, "patches/s"));
  CHECK(support::contains(text, "0:00 left"));
  CHECK(support::contains(text, "\nvalidation: mean Dice 0.8\n"));
  CHECK_FALSE(support::contains(text, "\r"));
  CHECK_FALSE(support::contains(text, "\033"));
}

TEST_CASE("progress: clock") {
  CHECK(clock_text(0) == "0:00");
  CHECK(clock_text(75.2) == "1:15");
  CHECK(clock_text(3700) == "1:01:40");
  CHECK(clock_text(std::numeric_limits<double>::quiet_NaN()) == "0:00");
}

TEST_CASE("files: replaced at once or not at all") {
  const TempDir dir;
  write_file(dir / "a", "old");
  CHECK_THROWS(replace_file(dir / "a", [](const std::string& temporary) {
    support::write_bytes(temporary, "half");
    throw std::runtime_error("stop");
  }));
  CHECK(read_text_file(dir / "a") == "old");
  CHECK(dir.file_count() == 1);
  write_file(dir / "a", "new");
  CHECK(read_text_file(dir / "a") == "new");
  CHECK_ERROR(error_of([&] { read_text_file(dir / "a", 2); }), "longer than 2 bytes");
  CHECK_ERROR(error_of([&] { write_file(dir / "no/a", ""); }), "no/a", "cannot be written");
  CHECK_ERROR(error_of([&] { write_file("", ""); }), "names no file");
}

TEST_CASE("files: base64") {
  const auto encode = [](const std::string& text) {
    return base64({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  };
  CHECK(encode("") == "");
  CHECK(encode("f") == "Zg==");
  CHECK(encode("fo") == "Zm8=");
  CHECK(encode("foo") == "Zm9v");
  CHECK(encode("foobar") == "Zm9vYmFy");
  CHECK(encode("\xff\xfe\xfd") == "//79");
}
