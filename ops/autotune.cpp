#include "ops/autotune.hpp"

#include <atomic>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lucid/atomic_file.hpp"
#include "lucid/error.hpp"
#include "lucid/log.hpp"
#include "ops/autotune_store.hpp"
#include "ops/quote.hpp"

namespace lucid {
namespace {

using ops::ConvAlgorithm;

constexpr int kFormat = 1;  // of the file, and of the keys in it
constexpr std::int64_t kMostBytes = 1 << 24;

std::atomic<bool> is_on = false;

// Times of one processor say nothing about another.
std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(std::min(line.find(':') + 2, line.size()));
  return "unknown";
}

struct Store {
  std::mutex mutex;
  std::string path;  // "" when nothing is remembered
  std::map<std::string, std::string> choices;
};

// Never destroyed: a convolution may run while static objects go.
Store& store() {
  static auto* instance = new Store;
  return *instance;
}

// The file's choices; none when it is not there, or not of this processor and format.
std::map<std::string, std::string> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return {};
  const std::int64_t bytes = file.tellg();
  check(bytes >= 0 && bytes <= kMostBytes, "set_autotune_file", path, " has ", bytes, " bytes; at most ",
        kMostBytes, " are read. Is it a file of autotuned choices?");
  std::string text(static_cast<std::size_t>(bytes), '\0');
  file.seekg(0);
  if (!file.read(text.data(), bytes)) throw IoError(str(path, ": cannot be read"));
  const auto refuse = [&] {
    raise("set_autotune_file", path, " begins with ", ops::quote(text),
          "; a JSON object with format, processor and choices, as autotuning writes it, is required");
  };
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("format") || !json.contains("processor") ||
      !json.contains("choices") || !json["choices"].is_object())
    refuse();
  if (json["format"] != kFormat || json["processor"] != processor()) {
    logging::info(
        str("autotune: ", path, " is of another processor or version; its choices are measured again"));
    return {};
  }
  std::map<std::string, std::string> choices;
  for (const auto& [key, name] : json["choices"].items()) {
    if (!name.is_string()) refuse();
    choices.emplace(key, name.get<std::string>());
  }
  return choices;
}

constexpr std::pair<ConvAlgorithm, const char*> kNames[] = {{ConvAlgorithm::onednn, "onednn"},
                                                            {ConvAlgorithm::direct, "direct"},
                                                            {ConvAlgorithm::depthwise, "depthwise"},
                                                            {ConvAlgorithm::few_channels, "few_channels"},
                                                            {ConvAlgorithm::single_voxel, "single_voxel"},
                                                            {ConvAlgorithm::unfolded, "unfolded"},
                                                            {ConvAlgorithm::winograd, "winograd"}};

}  // namespace

void set_autotune(bool on) { is_on = on; }
bool autotune() { return is_on; }

void set_autotune_file(const std::string& path) {
  std::map<std::string, std::string> choices;
  if (!path.empty()) choices = read(path);
  Store& s = store();
  const std::lock_guard lock(s.mutex);
  s.path = path;
  s.choices = std::move(choices);
}

namespace ops {

std::optional<ConvAlgorithm> remembered_choice(const std::string& key) {
  Store& s = store();
  const std::lock_guard lock(s.mutex);
  const auto found = s.choices.find(key);
  if (found == s.choices.end()) return std::nullopt;
  for (const auto& [algorithm, name] : kNames)
    if (found->second == name) return algorithm;
  return std::nullopt;
}

void remember_choice(const std::string& key, ConvAlgorithm algorithm) {
  Store& s = store();
  const std::lock_guard lock(s.mutex);
  if (s.path.empty()) return;
  for (const auto& [known, name] : kNames)
    if (known == algorithm) s.choices[key] = name;
  try {
    const std::string text =
        nlohmann::json({{"format", kFormat}, {"processor", processor()}, {"choices", s.choices}}).dump(1) +
        "\n";
    AtomicFile file(s.path);
    file.write(text.data(), static_cast<std::int64_t>(text.size()));
    file.commit();
  } catch (const IoError& error) {
    logging::warn(str("autotune: ", error.what(), "; choices are not remembered across runs"));
    s.path.clear();
  }
}

}  // namespace ops
}  // namespace lucid
