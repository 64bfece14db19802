// lucid-segment: trains a 3D U-Net on a scan and its labels, judges it on the part that it never saw, and
// labels other scans with it.

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "examples/segmentation/commands.hpp"
#include "examples/segmentation/error.hpp"
#include "examples/segmentation/stop.hpp"
#include "lucid/parallel.hpp"

namespace {

constexpr int exit_failure = 1;    // something broke
constexpr int exit_bad_input = 2;  // a file, a config or a flag is wrong

int report(const char* problem, int code) {
  std::fflush(stdout);
  std::fprintf(stderr, "lucid-segment: %s\n", problem);
  return code;
}

/// Reads the flags and runs the command they name.
void run(int argc, char** argv) {
  CLI::App app("Trains and uses 3D segmentation nets on NIfTI scans", "lucid-segment");
  app.require_subcommand(1);
  app.fallthrough();
  int threads = 0;
  app.add_option("--threads", threads, "Threads to use (default: OMP_NUM_THREADS, or one a core)")
      ->check(CLI::Range(1, 1024));

  segment::TrainCommand train;
  CLI::App* const train_app = app.add_subcommand("train", "Train a net and judge it on the held-out region");
  train_app->add_option("config", train.config, "Config file (JSON)")->required();
  train_app->add_option("--output,-o", train.output, "Folder for model, checkpoints, metrics, report")
      ->required();
  train_app->add_flag("--resume", train.resume, "Go on from the folder's checkpoint");
  train_app->add_option("--seed", train.seed, "Instead of the config's seed")->check(CLI::NonNegativeNumber);
  train_app->add_option("--steps", train.steps, "Instead of the config's steps")->check(CLI::PositiveNumber);
  train_app->add_flag("--quiet,-q", train.quiet, "No progress bar");

  segment::EvaluateCommand evaluate;
  CLI::App* const evaluate_app =
      app.add_subcommand("evaluate", "Print a model's Dice on a config's validation region");
  evaluate_app->add_option("config", evaluate.config, "Config file (JSON)")->required();
  evaluate_app->add_option("--model,-m", evaluate.model, "Folder that train wrote, or its model.safetensors")
      ->required();

  segment::PredictCommand predict;
  CLI::App* const predict_app = app.add_subcommand("predict", "Label a scan with a trained model");
  predict_app->add_option("--model,-m", predict.model, "Folder that train wrote, or its model.safetensors")
      ->required();
  predict_app->add_option("--image,-i", predict.image, "Scan (.nii or .nii.gz)")->required();
  predict_app->add_option("--output,-o", predict.output, "Label map to write (.nii or .nii.gz)")->required();

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    app.exit(help);  // prints it
    return;
  }
  if (threads > 0) lucid::set_num_threads(threads);
  if (*train_app) segment::train(train);
  if (*evaluate_app) segment::evaluate(evaluate);
  if (*predict_app) segment::predict(predict);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc, argv);
    return 0;
  } catch (const CLI::ParseError& error) {
    return report((std::string(error.what()) + "; see lucid-segment --help").c_str(), exit_bad_input);
  } catch (const segment::Stopped& stopped) {
    report("stopped; --resume goes on from the checkpoint", 0);
    return 128 + stopped.signal;
  } catch (const segment::InputError& error) {
    return report(error.what(), exit_bad_input);
  } catch (const std::bad_alloc&) {
    return report("out of memory; use a smaller patch, batch or net", exit_failure);
  } catch (const std::exception& error) {
    return report(error.what(), exit_failure);
  }
}
