#include "examples/segmentation/metrics.hpp"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include <nlohmann/json.hpp>

#include "examples/segmentation/error.hpp"
#include "examples/segmentation/files.hpp"

namespace segment {
namespace {

using Json = nlohmann::ordered_json;

double number(const Json& json) {  // JSON has no NaN; it is written as null
  return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}

Json to_json(const Record& record) {
  Json json = {{"event", record.event},
               {"step", record.step},
               {"loss", record.loss},
               {"lr", record.lr},
               {"seconds", std::round(record.seconds * 1e3) / 1e3}};
  if (record.event != "step") {
    json["dice"] = Json::object();
    for (const auto& [name, value] : record.dice) json["dice"][name] = value;
    json["mean_dice"] = record.mean_dice;
  }
  return json;
}

Record from_json(const Json& json) {
  Record record;
  record.event = json.at("event").get<std::string>();
  record.step = json.at("step").get<std::int64_t>();
  record.loss = number(json.at("loss"));
  record.lr = number(json.at("lr"));
  record.seconds = number(json.at("seconds"));
  if (json.contains("dice")) {
    for (const auto& [name, value] : json.at("dice").items()) record.dice.emplace_back(name, number(value));
    record.mean_dice = number(json.at("mean_dice"));
  }
  return record;
}

}  // namespace

std::vector<Record> read_metrics(const std::string& path) {
  const std::string text = read_text_file(path, std::size_t{1} << 30);
  std::vector<Record> records;
  std::size_t begin = 0;
  for (std::size_t line = 1; begin < text.size(); ++line) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;
    try {
      records.push_back(from_json(Json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                                              text.begin() + static_cast<std::ptrdiff_t>(end))));
    } catch (const Json::exception&) {
      fail(path, ": line ", line, " is not a metrics record; move the file away to start a new one");
    }
    begin = end + 1;
  }
  return records;
}

MetricsLog::MetricsLog(const std::string& path) : path_(path) { open("wb"); }

MetricsLog::MetricsLog(const std::string& path, std::int64_t step) : path_(path) {
  std::string kept;
  if (std::filesystem::exists(path)) {
    for (const Record& record : read_metrics(path)) {
      const bool repeated = record.event == "validation" && record.step == step;
      if (record.step > step || record.event == "end" || repeated) continue;
      kept += to_json(record).dump() + "\n";
      seconds_before_ = record.seconds;
    }
  }
  write_file(path, kept);
  open("ab");
}

void MetricsLog::open(const char* mode) {
  file_.reset(std::fopen(path_.c_str(), mode));
  if (!file_) fail(path_, ": cannot be written (", std::strerror(errno), "); check the output folder");
}

void MetricsLog::write(const Record& record) {
  const std::string line = to_json(record).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() || std::fflush(file_.get()) != 0) {
    fail(path_, ": cannot be written (", std::strerror(errno), "); is the disk full?");
  }
}

double MetricsLog::seconds() const {
  return seconds_before_ + std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void MetricsLog::step(std::int64_t step, double loss, double lr) {
  write({.event = "step", .step = step, .loss = loss, .lr = lr, .seconds = seconds(), .dice = {}});
}

void MetricsLog::validation(std::int64_t step, double loss, double lr, const DiceTable& dice,
                            double mean_dice) {
  write({.event = "validation",
         .step = step,
         .loss = loss,
         .lr = lr,
         .seconds = seconds(),
         .dice = dice,
         .mean_dice = mean_dice});
}

void MetricsLog::end(std::int64_t step, double loss, double lr, const DiceTable& dice, double mean_dice) {
  write({.event = "end",
         .step = step,
         .loss = loss,
         .lr = lr,
         .seconds = seconds(),
         .dice = dice,
         .mean_dice = mean_dice});
}

}  // namespace segment
