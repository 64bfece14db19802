#pragma once

#include <string>

#include "examples/segmentation/config.hpp"
#include "examples/segmentation/inference.hpp"
#include "nn/models/unet3d.hpp"

namespace segment {

using UNet = lucid::nn::models::UNet3d;

/// The net that config.net describes, initialised from lucid's default generator.
UNet make_net(const Config& config);

/// A trained net and the config it was trained with.
struct Model {
  Config config;
  UNet net;
};

/// Writes model.json (the effective config) and model.safetensors in `folder`, each replaced at once or not
/// at all.
void save_model(const std::string& folder, const Config& config, const UNet& net);

/// Reads what save_model wrote; `path` is the folder or the .safetensors file, beside which the .json of the
/// same name must lie. The net comes in eval(). Raises InputError for files that are missing, broken, or
/// don't fit.
Model load_model(const std::string& path);

/// A running mean of a net's weights. Training with a large learning rate jumps about a good place; the mean
/// lies nearer to it. B. Polyak and A. Juditsky, "Acceleration of stochastic approximation by averaging",
/// 1992.
class WeightAverage {
 public:
  /// With `memory` 0 the model is `net` itself.
  WeightAverage(const UNet& net, double memory);

  /// After step `step` (from 1) of training `net`: average = m * average + (1 - m) * net, where m grows from
  /// little to `memory`, so that the first steps are forgotten.
  void update(const UNet& net, std::int64_t step);
  UNet& model() { return model_; }

 private:
  double memory_;
  UNet model_;
};

}  // namespace segment
