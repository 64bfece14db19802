#include "examples/segmentation/recipe.hpp"

#include "examples/segmentation/error.hpp"
#include "nn/optim/adam.hpp"
#include "nn/optim/sgd.hpp"
#include "ops/loss.hpp"

namespace segment {

namespace optim = lucid::optim;

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
  if (config.schedule.warmup > config.steps)
    fail("schedule.warmup: ", config.schedule.warmup, " steps are more than the ", config.steps,
         " of the whole training; lower it or train for more steps");
  return optim::WarmupLR(optimizer, {.total_iters = config.steps,
                                     .warmup_iters = config.schedule.warmup,
                                     .decay = config.schedule.name,
                                     .power = config.schedule.power});
}

lucid::Tensor segmentation_loss(const lucid::Tensor& logits, const lucid::Tensor& classes,
                                const LossConfig& config) {
  return lucid::dice_ce_loss(
      logits, classes, {.lambda_dice = config.dice, .lambda_ce = config.cross_entropy, .present_only = true});
}

}  // namespace segment
