#pragma once

#include <memory>
#include <optional>

#include "examples/segmentation/checkpoint.hpp"
#include "examples/segmentation/metrics.hpp"
#include "examples/segmentation/preprocess.hpp"
#include "examples/segmentation/progress.hpp"
#include "examples/segmentation/results.hpp"
#include "examples/segmentation/run_folder.hpp"
#include "examples/segmentation/stop.hpp"

namespace segment {

/// What a training run shows and keeps: the bar, metrics.jsonl, checkpoints, validations and the results.
/// Goes on where the folder's checkpoint stands, and stops the run when the user asks for it.
class Journal {
 public:
  /// Brings `state` to the folder's checkpoint if there is one, and writes one if there is none. All must
  /// outlive the journal.
  Journal(const RunFolder& folder, const Config& config, const Case& scan, TrainingState& state, bool quiet);

  /// Validates before the step after `state.step` if it is time to.
  void before_step();
  /// Counts a step. Throws InputError when the loss is not finite and Stopped, with a checkpoint written,
  /// when a signal has come.
  void after_step(double loss, double lr);
  /// Validates, writes model and results and prints where they are.
  void finish();

 private:
  Volume<std::uint8_t> validate();
  void save() const;
  Facts facts() const;
  void note(const std::string& line);

  const RunFolder& folder_;
  const Config& config_;
  const Case& scan_;
  TrainingState& state_;
  StopGuard stop_;
  std::optional<MetricsLog> log_;
  std::unique_ptr<Progress> progress_;
  DiceTable dice_;
};

}  // namespace segment
