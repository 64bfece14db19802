#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace segment {

/// `lucid-segment train`: flags override the config's values.
struct TrainCommand {
  std::string config, output;
  bool resume = false, quiet = false;
  std::optional<std::int64_t> seed, steps;
};
void train(const TrainCommand& command);

/// `lucid-segment evaluate`: prints the Dice of a trained model on the config's validation region.
struct EvaluateCommand {
  std::string config, model;
};
void evaluate(const EvaluateCommand& command);

/// `lucid-segment predict`: labels a whole scan, on the scan's grid.
struct PredictCommand {
  std::string model, image, output;
};
void predict(const PredictCommand& command);

}  // namespace segment
