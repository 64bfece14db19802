#pragma once

#include <memory>

#include "examples/segmentation/config.hpp"
#include "examples/segmentation/model.hpp"
#include "nn/optim/optimizer.hpp"
#include "nn/optim/schedule.hpp"

namespace segment {

/// What the config says of how to learn, as objects of lucid.
std::unique_ptr<lucid::optim::Optimizer> make_optimizer(const UNet& net, const OptimizerConfig& config);
lucid::optim::WarmupLR make_schedule(lucid::optim::Optimizer& optimizer, const Config& config);

/// Cross-entropy plus 1 - mean soft Dice of the classes that are in the patches, weighted as the config says.
/// logits: (batch, classes, x, y, z); classes: (batch, x, y, z) i64.
lucid::Tensor segmentation_loss(const lucid::Tensor& logits, const lucid::Tensor& classes,
                                const LossConfig& config);

}  // namespace segment
