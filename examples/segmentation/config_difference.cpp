#include "examples/segmentation/config_difference.hpp"

#include <nlohmann/json.hpp>

namespace segment {
namespace {

using Json = nlohmann::json;

std::string difference(const Json& there, const Json& here, const std::string& path) {
  if (there == here) return {};
  if (there.is_object() && here.is_object()) {
    for (const auto& [key, value] : here.items()) {
      if (!there.contains(key)) continue;
      if (std::string found = difference(there[key], value, path + "." + key); !found.empty()) return found;
    }
  }
  const auto text = [](const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  return path + " is " + text(there) + " there and " + text(here) + " here";
}

}  // namespace

std::string config_difference(const Config& there, const Config& here, const std::vector<std::string>& keys) {
  const Json a = Json::parse(to_json(there)), b = Json::parse(to_json(here));
  for (const std::string& key : keys) {
    if (std::string found = difference(a.at(key), b.at(key), key); !found.empty()) return found;
  }
  return {};
}

const std::vector<std::string>& model_keys() {
  static const std::vector<std::string> keys{"net", "classes", "downsample"};
  return keys;
}

const std::vector<std::string>& training_keys() {
  static const std::vector<std::string> keys{
      "net",     "classes", "downsample", "train",    "patch",           "foreground_fraction",
      "augment", "loss",    "optimizer",  "schedule", "mixed_precision", "steps",
      "batch",   "seed"};
  return keys;
}

}  // namespace segment
