#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace segment {

/// One foreground class and the label values that make it up, as inclusive ranges. Class 0 is what no class
/// names.
struct ClassGroup {
  std::string name;
  std::vector<std::pair<std::int32_t, std::int32_t>> labels;
};

/// [begin, end) per axis (x, y, z) of the downsampled grid; an axis without a range is taken whole.
struct Region {
  std::array<std::optional<std::array<std::int64_t, 2>>, 3> range;
};

struct AugmentConfig {
  std::array<bool, 3> flip{false, false, false};  ///< mirror with probability 1/2 along x, y, z
  double scale = 0;                               ///< intensities times uniform(1 - scale, 1 + scale)
  double shift = 0;                               ///< intensities plus uniform(-shift, shift)
};

struct NetConfig {
  std::vector<std::int64_t> channels{16, 32, 64, 128};
  std::string norm = "instance";           ///< instance | batch | none
  std::string activation = "leaky_relu";   ///< leaky_relu | relu
  std::string decoder = "conv_transpose";  ///< conv_transpose | upsample
};

struct LossConfig {
  double cross_entropy = 1, dice = 1;  ///< weights of the two terms
};

struct OptimizerConfig {
  std::string name = "adamw";  ///< adamw | adam | sgd
  double learning_rate = 1e-2, weight_decay = 1e-5;
  double momentum = 0.9;      ///< sgd only
  double clip_grad_norm = 0;  ///< the gradient's norm is scaled down to this; 0: never
  /// The model is a running mean of the weights with this memory, in (0, 1); 0: the last weights.
  double average = 0;
};

struct ScheduleConfig {
  std::string name = "poly";  ///< poly | cosine | constant
  double power = 0.9;         ///< poly only
  std::int64_t warmup = 0;    ///< steps of linear warm-up
};

struct ValidationConfig {
  std::int64_t every = 100;            ///< steps between validations
  double overlap = 0.5;                ///< of neighbouring windows, as a share of the patch
  std::string weighting = "gaussian";  ///< gaussian | uniform: what a window's voxels count for
  bool mirror = false;                 ///< average over the mirror images along the axes of augment.flip
};

struct CheckpointConfig {
  std::int64_t every = 50;  ///< steps between checkpoints; there is one at the end too
};

struct Config {
  std::string image, labels;  ///< paths; in the file relative to its folder
  std::vector<ClassGroup> classes;
  std::int64_t downsample = 1;  ///< the image is averaged and the labels are subsampled by this factor
  Region train, validation;
  std::array<std::int64_t, 3> patch{48, 48, 48};
  double foreground_fraction = 2.0 / 3;  ///< share of patches centred on a foreground class
  AugmentConfig augment;
  NetConfig net;
  LossConfig loss;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  bool mixed_precision = false;  ///< bfloat16 convolutions where the processor is faster with them
  std::int64_t steps = 500, batch = 1, seed = 0;
  ValidationConfig validate;
  CheckpointConfig checkpoint;

  std::int64_t class_count() const { return static_cast<std::int64_t>(classes.size()) + 1; }
  /// "background", then the names of `classes`.
  std::vector<std::string> class_names() const;
};

/// Reads a config file. Raises InputError, as `brain.json: net.channels[2]: expected a positive integer, got
/// "x"`, for text that is not JSON (with line and column), unknown, repeated, missing or ill-typed keys, and
/// values out of range.
Config read_config(const std::string& path);

/// The same from text; `name` stands for the file in errors, relative data paths are resolved against
/// `folder`.
Config parse_config(const std::string& text, const std::string& name, const std::string& folder = "");

/// Every key with its effective value; parse_config reads it back to the same config.
std::string to_json(const Config& config);

}  // namespace segment
