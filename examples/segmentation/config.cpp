#include "examples/segmentation/config.hpp"

#include <charconv>
#include <filesystem>
#include <set>

#include "examples/segmentation/error.hpp"
#include "examples/segmentation/files.hpp"
#include "examples/segmentation/json_reader.hpp"

namespace segment {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t max_classes = 255;  // predictions are u8
constexpr std::int64_t max_size = 4096;
constexpr std::int64_t max_steps = 1'000'000'000;
const char* const axis_names[] = {"x", "y", "z"};

std::string resolve(const std::string& path, const std::string& folder) {
  const std::filesystem::path given(path);
  if (folder.empty() || given.is_absolute()) return path;
  return (std::filesystem::path(folder) / given).lexically_normal().string();
}

/// 7, or "1-70" for all from 1 to 70.
std::pair<std::int32_t, std::int32_t> read_range(const JsonValue& value) {
  constexpr std::int64_t least = -2147483648, most = 2147483647;
  if (!value.is_string()) {
    const auto label = static_cast<std::int32_t>(value.integer(least, most));
    return {label, label};
  }
  const std::string text = value.string();
  const char* const end = text.data() + text.size();
  std::int32_t first = 0, last = 0;
  const auto a = std::from_chars(text.data(), end, first);
  if (a.ec == std::errc() && a.ptr != end && *a.ptr == '-') {
    const auto b = std::from_chars(a.ptr + 1, end, last);
    if (b.ec == std::errc() && b.ptr == end && first <= last) return {first, last};
  }
  value.reject("a label value or an ascending range such as \"1-70\"");
}

void check_disjoint(const std::vector<ClassGroup>& classes, const JsonValue& value) {
  for (std::size_t a = 0; a < classes.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      if (classes[a].name == classes[b].name)
        value.reject("different names, not \"" + classes[a].name + "\" twice");
      for (const auto& [first, last] : classes[a].labels) {
        for (const auto& [other_first, other_last] : classes[b].labels) {
          if (first <= other_last && other_first <= last) {
            value.reject("each label in one class, but \"" + classes[b].name + "\" and \"" + classes[a].name +
                         "\" both name " + std::to_string(std::max(first, other_first)));
          }
        }
      }
    }
  }
}

std::vector<ClassGroup> read_classes(const JsonValue& value) {
  std::vector<ClassGroup> classes;
  const std::vector<JsonValue> items = value.array();
  if (items.empty() || items.size() > max_classes) value.reject("1 to 255 classes");
  for (const JsonValue& item : items) {
    ClassGroup group;
    JsonObject object(item);
    object.required("name", [&](const JsonValue& v) {
      group.name = v.string();
      if (group.name == "background") v.reject("a foreground class (background is what no class names)");
    });
    object.required("labels", [&](const JsonValue& v) {
      for (const JsonValue& range : v.array()) group.labels.push_back(read_range(range));
      if (group.labels.empty()) v.reject("at least one label");
    });
    object.finish();
    classes.push_back(std::move(group));
  }
  check_disjoint(classes, value);
  return classes;
}

Region read_region(const JsonValue& value) {
  Region region;
  JsonObject object(value);
  for (int axis = 0; axis < 3; ++axis) {
    object.optional(axis_names[axis], [&](const JsonValue& v) {
      const std::vector<JsonValue> ends = v.array();
      if (ends.size() != 2) v.reject("[begin, end]");
      const std::int64_t begin = ends[0].integer(0, max_size), end = ends[1].integer(1, max_size);
      if (begin >= end) v.reject("[begin, end] with begin < end");
      region.range[axis] = {begin, end};
    });
  }
  object.finish();
  return region;
}

AugmentConfig read_augment(const JsonValue& value) {
  AugmentConfig augment;
  JsonObject object(value);
  object.optional("flip", [&](const JsonValue& v) {
    for (const JsonValue& axis : v.array()) augment.flip[axis.one_of({"x", "y", "z"})[0] - 'x'] = true;
  });
  object.optional("scale", [&](const JsonValue& v) { augment.scale = v.number(0, 1); });
  object.optional("shift", [&](const JsonValue& v) { augment.shift = v.number(0, 100); });
  object.finish();
  return augment;
}

NetConfig read_net(const JsonValue& value) {
  NetConfig net;
  JsonObject object(value);
  object.optional("channels", [&](const JsonValue& v) {
    net.channels.clear();
    for (const JsonValue& channels : v.array()) {
      channels.integer(1);  // so that what is no count at all is called that
      net.channels.push_back(channels.integer(1, max_size));
    }
    if (net.channels.size() < 2 || net.channels.size() > 8) v.reject("2 to 8 levels");
  });
  object.optional("norm", [&](const JsonValue& v) { net.norm = v.one_of({"instance", "batch", "none"}); });
  object.optional("activation", [&](const JsonValue& v) {
    net.activation = v.one_of({"leaky_relu", "relu"});
  });
  object.optional("decoder", [&](const JsonValue& v) {
    net.decoder = v.one_of({"conv_transpose", "upsample"});
  });
  object.finish();
  return net;
}

LossConfig read_loss(const JsonValue& value) {
  LossConfig loss;
  JsonObject object(value);
  object.optional("cross_entropy", [&](const JsonValue& v) { loss.cross_entropy = v.number(0, 1000); });
  object.optional("dice", [&](const JsonValue& v) { loss.dice = v.number(0, 1000); });
  object.finish();
  if (loss.cross_entropy == 0 && loss.dice == 0) value.reject("a weight above 0 for cross_entropy or dice");
  return loss;
}

OptimizerConfig read_optimizer(const JsonValue& value) {
  OptimizerConfig optimizer;
  JsonObject object(value);
  object.optional("name", [&](const JsonValue& v) { optimizer.name = v.one_of({"adamw", "adam", "sgd"}); });
  object.optional("learning_rate", [&](const JsonValue& v) { optimizer.learning_rate = v.number(0, 100); });
  object.optional("weight_decay", [&](const JsonValue& v) { optimizer.weight_decay = v.number(0, 100); });
  object.optional("momentum", [&](const JsonValue& v) { optimizer.momentum = v.number(0, 1); });
  object.optional("clip_grad_norm", [&](const JsonValue& v) { optimizer.clip_grad_norm = v.number(0, 1e9); });
  object.optional("average", [&](const JsonValue& v) { optimizer.average = v.number(0, 0.999999); });
  object.finish();
  return optimizer;
}

ScheduleConfig read_schedule(const JsonValue& value) {
  ScheduleConfig schedule;
  JsonObject object(value);
  object.optional("name", [&](const JsonValue& v) {
    schedule.name = v.one_of({"poly", "cosine", "constant"});
  });
  object.optional("power", [&](const JsonValue& v) { schedule.power = v.number(0, 10); });
  object.optional("warmup", [&](const JsonValue& v) { schedule.warmup = v.integer(0, max_steps); });
  object.finish();
  return schedule;
}

ValidationConfig read_validation(const JsonValue& value) {
  ValidationConfig validate;
  JsonObject object(value);
  object.optional("every", [&](const JsonValue& v) { validate.every = v.integer(1); });
  object.optional("overlap", [&](const JsonValue& v) { validate.overlap = v.number(0, 0.9); });
  object.optional("weighting", [&](const JsonValue& v) {
    validate.weighting = v.one_of({"gaussian", "uniform"});
  });
  object.optional("mirror", [&](const JsonValue& v) { validate.mirror = v.boolean(); });
  object.finish();
  return validate;
}

CheckpointConfig read_checkpoint(const JsonValue& value) {
  CheckpointConfig checkpoint;
  JsonObject object(value);
  object.optional("every", [&](const JsonValue& v) { checkpoint.every = v.integer(1); });
  object.finish();
  return checkpoint;
}

/// A score on voxels that the net was trained on says nothing about new ones.
void check_held_out(const Region& train, const Region& validation, const JsonValue& value) {
  for (int axis = 0; axis < 3; ++axis) {
    const auto &a = train.range[axis], &b = validation.range[axis];
    if (a && b && ((*a)[1] <= (*b)[0] || (*b)[1] <= (*a)[0])) return;
  }
  value.reject("a region that does not overlap `train`");
}

Json region_json(const Region& region) {
  Json json = Json::object();
  for (int axis = 0; axis < 3; ++axis) {
    if (region.range[axis]) json[axis_names[axis]] = *region.range[axis];
  }
  return json;
}

Json classes_json(const std::vector<ClassGroup>& classes) {
  Json json = Json::array();
  for (const ClassGroup& group : classes) {
    Json labels = Json::array();
    for (const auto& [first, last] : group.labels) {
      if (first == last) {
        labels.push_back(first);
      } else {
        labels.push_back(std::to_string(first) + "-" + std::to_string(last));
      }
    }
    json.push_back({{"name", group.name}, {"labels", labels}});
  }
  return json;
}

Json augment_json(const AugmentConfig& augment) {
  Json flip = Json::array();
  for (int axis = 0; axis < 3; ++axis) {
    if (augment.flip[axis]) flip.push_back(axis_names[axis]);
  }
  return {{"flip", flip}, {"scale", augment.scale}, {"shift", augment.shift}};
}

}  // namespace

std::vector<std::string> Config::class_names() const {
  std::vector<std::string> names{"background"};
  for (const ClassGroup& group : classes) names.push_back(group.name);
  return names;
}

Config read_config(const std::string& path) {
  return parse_config(read_text_file(path, std::size_t{1} << 20), path,
                      std::filesystem::path(path).parent_path().string());
}

Config parse_config(const std::string& text, const std::string& name, const std::string& folder) {
  const Json json = parse_json(text, name);
  Config config;
  JsonObject object(JsonValue(json, name, ""));
  object.required("image", [&](const JsonValue& v) { config.image = resolve(v.string(), folder); });
  object.required("labels", [&](const JsonValue& v) { config.labels = resolve(v.string(), folder); });
  object.required("classes", [&](const JsonValue& v) { config.classes = read_classes(v); });
  object.optional("downsample", [&](const JsonValue& v) { config.downsample = v.integer(1, 16); });
  object.required("train", [&](const JsonValue& v) { config.train = read_region(v); });
  object.required("validation", [&](const JsonValue& v) {
    config.validation = read_region(v);
    check_held_out(config.train, config.validation, v);
  });
  object.optional("patch", [&](const JsonValue& v) {
    const std::vector<JsonValue> sizes = v.array();
    if (sizes.size() != 3) v.reject("three sizes [x, y, z]");
    for (int axis = 0; axis < 3; ++axis) config.patch[axis] = sizes[axis].integer(1, max_size);
  });
  object.optional("foreground_fraction",
                  [&](const JsonValue& v) { config.foreground_fraction = v.number(0, 1); });
  object.optional("augment", [&](const JsonValue& v) { config.augment = read_augment(v); });
  object.optional("net", [&](const JsonValue& v) { config.net = read_net(v); });
  object.optional("loss", [&](const JsonValue& v) { config.loss = read_loss(v); });
  object.optional("optimizer", [&](const JsonValue& v) { config.optimizer = read_optimizer(v); });
  object.optional("schedule", [&](const JsonValue& v) { config.schedule = read_schedule(v); });
  object.optional("mixed_precision", [&](const JsonValue& v) { config.mixed_precision = v.boolean(); });
  object.optional("steps", [&](const JsonValue& v) { config.steps = v.integer(1, max_steps); });
  object.optional("batch", [&](const JsonValue& v) { config.batch = v.integer(1, 1024); });
  object.optional("seed", [&](const JsonValue& v) { config.seed = v.integer(0); });
  object.optional("validate", [&](const JsonValue& v) { config.validate = read_validation(v); });
  object.optional("checkpoint", [&](const JsonValue& v) { config.checkpoint = read_checkpoint(v); });
  object.finish();
  return config;
}

std::string to_json(const Config& config) {
  const Json json = {
      {"image", config.image},
      {"labels", config.labels},
      {"classes", classes_json(config.classes)},
      {"downsample", config.downsample},
      {"train", region_json(config.train)},
      {"validation", region_json(config.validation)},
      {"patch", config.patch},
      {"foreground_fraction", config.foreground_fraction},
      {"augment", augment_json(config.augment)},
      {"net",
       {{"channels", config.net.channels},
        {"norm", config.net.norm},
        {"activation", config.net.activation},
        {"decoder", config.net.decoder}}},
      {"loss", {{"cross_entropy", config.loss.cross_entropy}, {"dice", config.loss.dice}}},
      {"optimizer",
       {{"name", config.optimizer.name},
        {"learning_rate", config.optimizer.learning_rate},
        {"weight_decay", config.optimizer.weight_decay},
        {"momentum", config.optimizer.momentum},
        {"clip_grad_norm", config.optimizer.clip_grad_norm},
        {"average", config.optimizer.average}}},
      {"schedule",
       {{"name", config.schedule.name},
        {"power", config.schedule.power},
        {"warmup", config.schedule.warmup}}},
      {"mixed_precision", config.mixed_precision},
      {"steps", config.steps},
      {"batch", config.batch},
      {"seed", config.seed},
      {"validate",
       {{"every", config.validate.every},
        {"overlap", config.validate.overlap},
        {"weighting", config.validate.weighting},
        {"mirror", config.validate.mirror}}},
      {"checkpoint", {{"every", config.checkpoint.every}}},
  };
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace segment
