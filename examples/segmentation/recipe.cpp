#include "examples/segmentation/recipe.hpp"

#include "nn/optim/adam.hpp"
#include "nn/optim/sgd.hpp"
#include "ops/loss.hpp"

namespace segment {

namespace optim = lucid::optim;

namespace {

/// 1 - the mean soft Dice of the classes that are in the patches. F. Milletari et al., "V-Net", 3DV 2016.
lucid::Tensor dice_loss(const lucid::Tensor& logits, const lucid::Tensor& classes) {
  const lucid::Tensor indices = lucid::arange(logits.size(1)).reshape({1, -1, 1, 1, 1});
  const lucid::Tensor truth = (classes.unsqueeze(1) == indices).to(lucid::f32).channels_last();
  const lucid::Tensor probability = logits.softmax(1);
  const lucid::Tensor common = (probability * truth).sum({2, 3, 4});
  const lucid::Tensor true_size = truth.sum({2, 3, 4});
  const lucid::Tensor present = (true_size > 0).to(lucid::f32);
  const lucid::Tensor dice = common * 2.0 / (probability.sum({2, 3, 4}) + true_size);
  return 1.0 - (dice * present).sum() / present.sum();
}

}  // namespace

std::unique_ptr<optim::Optimizer> make_optimizer(const UNet& net, const OptimizerConfig& config) {
  const double lr = config.learning_rate, decay = config.weight_decay;
  if (config.name == "sgd") {
    return std::make_unique<optim::SGD>(
        net.parameters(),
        optim::SGDOptions{
            .lr = lr, .momentum = config.momentum, .weight_decay = decay, .nesterov = config.momentum > 0});
  }
  if (config.name == "adam")
    return std::make_unique<optim::Adam>(net.parameters(),
                                         optim::AdamOptions{.lr = lr, .weight_decay = decay});
  return std::make_unique<optim::AdamW>(net.parameters(),
                                        optim::AdamWOptions{.lr = lr, .weight_decay = decay});
}

optim::WarmupLR make_schedule(optim::Optimizer& optimizer, const Config& config) {
  return optim::WarmupLR(optimizer, {.total_iters = config.steps,
                                     .warmup_iters = config.schedule.warmup,
                                     .decay = config.schedule.name,
                                     .power = config.schedule.power});
}

lucid::Tensor segmentation_loss(const lucid::Tensor& logits, const lucid::Tensor& classes,
                                const LossConfig& config) {
  return lucid::cross_entropy(logits, classes) * config.cross_entropy +
         dice_loss(logits, classes) * config.dice;
}

}  // namespace segment
