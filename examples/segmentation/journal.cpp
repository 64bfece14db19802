#include "examples/segmentation/journal.hpp"

#include <cmath>
#include <cstdio>

#include "examples/segmentation/error.hpp"
#include "examples/segmentation/inference.hpp"
#include "lucid/parallel.hpp"

namespace segment {
namespace {

std::string four_digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", value);
  return text;
}

}  // namespace

Journal::Journal(const RunFolder& folder, const Config& config, const Case& scan, TrainingState& state,
                 bool quiet)
    : folder_(folder), config_(config), scan_(scan), state_(state) {
  const std::string checkpoint = folder.file("checkpoint.safetensors");
  if (folder.has_checkpoint()) {
    load_checkpoint(checkpoint, config, state);
    log_.emplace(folder.file("metrics.jsonl"), state.step);
  } else {
    save();  // before anything else: a folder of ours always has a checkpoint
    log_.emplace(folder.file("metrics.jsonl"));
  }
  if (!quiet) progress_ = std::make_unique<Progress>(config.steps, state.step, config.batch);
  if (state.step > 0) note("going on after step " + std::to_string(state.step));
}

void Journal::note(const std::string& line) {
  if (progress_) progress_->note(line);
}

void Journal::save() const {
  save_checkpoint(folder_.file("checkpoint.safetensors"), config_, state_);
  save_model(folder_.path(), config_, state_.average.model());
}

void Journal::before_step() {
  if (state_.step > 0 && state_.step % config_.validate.every == 0) validate();
}

void Journal::after_step(double loss, double lr) {
  ++state_.step;
  state_.loss = loss;
  state_.lr = lr;
  if (!std::isfinite(loss)) {
    fail("the loss of step ", state_.step, " is ", loss,
         "; lower optimizer.learning_rate or set optimizer.clip_grad_norm, and start a new --output");
  }
  log_->step(state_.step, loss, lr);
  if (progress_) progress_->update(state_.step, loss);
  if (state_.step % config_.checkpoint.every == 0 || state_.step == config_.steps || stop_signal() != 0)
    save();
  throw_if_stopped();
}

Volume<std::uint8_t> Journal::validate() {
  UNet& net = state_.average.model();
  net.eval();
  const Volume<std::uint8_t> prediction =
      segment_volume(net, crop(scan_.image, config_.validation, "validation"), config_, throw_if_stopped);
  net.train();
  dice_ = dice_table(prediction, crop(scan_.classes, config_.validation, "validation"), config_);
  log_->validation(state_.step, state_.loss, state_.lr, dice_, mean_dice(dice_));
  note("step " + std::to_string(state_.step) + ": mean Dice on the held-out region " +
       four_digits(mean_dice(dice_)));
  return prediction;
}

Facts Journal::facts() const {
  return {{"mean Dice", four_digits(mean_dice(dice_))},
          {"training time", clock_text(log_->seconds())},
          {"steps", std::to_string(config_.steps)},
          {"parameters", std::to_string(state_.net.num_parameters())},
          {"patch", to_string(config_.patch)},
          {"seed", std::to_string(config_.seed)},
          {"threads", std::to_string(lucid::num_threads())}};
}

void Journal::finish() {
  const Volume<std::uint8_t> prediction = validate();
  if (progress_) progress_->finish();
  log_->end(state_.step, state_.loss, state_.lr, dice_, mean_dice(dice_));
  save_model(folder_.path(), config_, state_.average.model());
  write_results(folder_.path(), config_, scan_, prediction, facts());
  print_dice(dice_);
  std::printf(
      "in %s:\n"
      "  model.safetensors, model.json   the net and its config\n"
      "  prediction.nii.gz               the held-out region's classes on the scan's grid\n"
      "  overlay*.png, report.html       what it looks like\n"
      "  metrics.jsonl                   every step and validation\n",
      folder_.path().c_str());
}

}  // namespace segment
