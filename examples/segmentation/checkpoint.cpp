#include "examples/segmentation/checkpoint.hpp"

#include <charconv>

#include "examples/segmentation/config_difference.hpp"
#include "examples/segmentation/error.hpp"
#include "lucid/parallel.hpp"
#include "lucid/safetensors.hpp"

namespace segment {
namespace {

using lucid::NamedTensors;
using lucid::safetensors::Metadata;

constexpr const char* format = "lucid-segment training 1";

void add(NamedTensors& all, const std::string& prefix, const NamedTensors& part) {
  for (const auto& [name, tensor] : part) all.add(prefix + name, tensor);
}

NamedTensors part_of(const NamedTensors& all, const std::string& prefix) {
  NamedTensors part;
  for (const auto& [name, tensor] : all) {
    if (name.starts_with(prefix)) part.add(name.substr(prefix.size()), tensor);
  }
  return part;
}

const std::string& text_of(const Metadata& metadata, const std::string& key, const std::string& path) {
  const auto at = metadata.find(key);
  if (at == metadata.end())
    fail(path, ": is no checkpoint of a training run (it has no ", key, "); start a new --output");
  return at->second;
}

template <class T>
T number_of(const Metadata& metadata, const std::string& key, const std::string& path) {
  const std::string& text = text_of(metadata, key, path);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    fail(path, ": ", key, " is \"", text, "\", a number is required; start a new --output");
  return value;
}

}  // namespace

void save_checkpoint(const std::string& path, const Config& config, const TrainingState& state) {
  NamedTensors tensors;
  add(tensors, "net.", state.net.state_dict());
  if (config.optimizer.average > 0) add(tensors, "average.", state.average.model().state_dict());
  add(tensors, "optimizer.", state.optimizer.state_dict());
  add(tensors, "schedule.", state.schedule.state_dict());
  lucid::safetensors::save(path, tensors,
                           {{"format", format},
                            {"config", to_json(config)},
                            {"step", std::to_string(state.step)},
                            {"loss", lucid::str(state.loss)},
                            {"lr", lucid::str(state.lr)},
                            {"generator.seed", std::to_string(state.generator.seed())},
                            {"generator.offset", std::to_string(state.generator.offset())},
                            {"threads", std::to_string(lucid::num_threads())}});
}

void load_checkpoint(const std::string& path, const Config& config, TrainingState& state) {
  try {
    const auto [tensors, metadata] = lucid::safetensors::load_all(path);
    if (text_of(metadata, "format", path) != format)
      fail(path, ": was written by another version of this program; start a new --output");
    const Config there = parse_config(text_of(metadata, "config", path), path);
    if (const std::string found = config_difference(there, config, training_keys()); !found.empty())
      fail(path, ": cannot be resumed with this config: ", found, "; give the old value or another --output");
    const auto step = number_of<std::int64_t>(metadata, "step", path);
    const auto seed = number_of<std::uint64_t>(metadata, "generator.seed", path);
    const auto offset = number_of<std::uint64_t>(metadata, "generator.offset", path);
    const auto loss = number_of<double>(metadata, "loss", path), lr = number_of<double>(metadata, "lr", path);
    if (step < 0 || step > config.steps)
      fail(path, ": is at step ", step, " of ", config.steps, "; start a new --output");

    state.net.load_state_dict(part_of(tensors, "net."));
    if (config.optimizer.average > 0) state.average.model().load_state_dict(part_of(tensors, "average."));
    state.optimizer.load_state_dict(part_of(tensors, "optimizer."));
    state.schedule.load_state_dict(part_of(tensors, "schedule."));
    state.generator.set_state(seed, offset);
    state.step = step;
    state.loss = loss;
    state.lr = lr;
  } catch (const InputError&) {
    throw;
  } catch (const lucid::Error& error) {
    fail(path, ": cannot be resumed (", error.what(), "); give another --output");
  }
}

}  // namespace segment
