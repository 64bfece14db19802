// The training loop. What surrounds it (checkpoints, metrics, validation, the progress bar) is the Journal's
// work.

#include "examples/segmentation/commands.hpp"
#include "examples/segmentation/journal.hpp"
#include "examples/segmentation/recipe.hpp"
#include "examples/segmentation/sampler.hpp"
#include "nn/optim/clip.hpp"
#include "ops/autocast.hpp"

namespace segment {
namespace {

Config effective_config(const TrainCommand& command) {
  Config config = read_config(command.config);
  if (command.seed) config.seed = *command.seed;
  if (command.steps) config.steps = *command.steps;
  return config;
}

Sampler make_sampler(const Case& scan, const Config& config) {
  require_patch_fits(config.patch, crop(scan.image, config.validation, "validation").size, "validation");
  return Sampler(crop(scan.image, config.train, "train"), crop(scan.classes, config.train, "train"), config);
}

}  // namespace

void train(const TrainCommand& command) {
  const Config config = effective_config(command);
  const Case scan = load_case(config);
  const Sampler sampler = make_sampler(scan, config);
  const RunFolder folder(command.output, command.resume);

  lucid::manual_seed(static_cast<std::uint64_t>(config.seed));
  lucid::Generator& generator = lucid::default_generator();
  UNet net = make_net(config);
  WeightAverage average(net, config.optimizer.average);
  const auto optimizer = make_optimizer(net, config.optimizer);
  auto schedule = make_schedule(*optimizer, config);
  TrainingState state{net, average, *optimizer, schedule, generator};
  Journal journal(folder, config, scan, state, command.quiet);

  while (state.step < config.steps) {
    journal.before_step();
    const auto [image, classes] = sampler.draw(generator);
    lucid::Tensor loss;
    {
      const lucid::autocast guard(lucid::bf16, {.enabled = config.mixed_precision});
      loss = segmentation_loss(net(image), classes, config.loss);
    }

    optimizer->zero_grad();
    loss.backward();
    if (config.optimizer.clip_grad_norm > 0)
      lucid::optim::clip_grad_norm_(net.parameters(), config.optimizer.clip_grad_norm);
    const double lr = optimizer->lr();
    optimizer->step();
    schedule.step();
    average.update(net, state.step + 1);

    journal.after_step(loss.item<double>(), lr);
  }
  journal.finish();
}

}  // namespace segment
