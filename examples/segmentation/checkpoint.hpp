#pragma once

#include <cstdint>
#include <string>

#include "examples/segmentation/config.hpp"
#include "examples/segmentation/model.hpp"
#include "lucid/random.hpp"
#include "nn/optim/optimizer.hpp"
#include "nn/optim/schedule.hpp"

namespace segment {

/// What training changes and goes on from.
struct TrainingState {
  UNet& net;
  WeightAverage& average;
  lucid::optim::Optimizer& optimizer;
  lucid::optim::LRScheduler& schedule;
  lucid::Generator& generator;
  std::int64_t step = 0;    ///< done so far
  double loss = 0, lr = 0;  ///< of the last one
};

/// Writes the state and the config as one safetensors file, which is replaced at once or not at all: a run
/// killed at any moment leaves the older checkpoint or the newer one.
void save_checkpoint(const std::string& path, const Config& config, const TrainingState& state);

/// Reads it back. Raises InputError when the file is broken, or comes from a config that trains other
/// numbers.
void load_checkpoint(const std::string& path, const Config& config, TrainingState& state);

}  // namespace segment
