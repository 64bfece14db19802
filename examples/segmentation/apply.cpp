// evaluate and predict: what a trained model is used for.

#include <cstdio>
#include <filesystem>

#include "examples/segmentation/commands.hpp"
#include "examples/segmentation/config_difference.hpp"
#include "examples/segmentation/error.hpp"
#include "examples/segmentation/model.hpp"
#include "examples/segmentation/preprocess.hpp"
#include "examples/segmentation/results.hpp"

namespace segment {

namespace {

namespace fs = std::filesystem;

/// Labelling takes a while: what would fail at its end is refused at its start.
void require_writable(const PredictCommand& command) {
  std::error_code error;
  if (fs::equivalent(command.image, command.output, error))
    fail(command.output, ": is the image itself; give another --output");
  if (!command.output.ends_with(".nii") && !command.output.ends_with(".nii.gz"))
    fail(command.output, ": names no NIfTI file; end --output in .nii or .nii.gz");
  const fs::path folder = fs::path(command.output).parent_path();
  if (!folder.empty() && !fs::is_directory(folder)) fail(folder.string(), ": no such folder; make it first");
  if (fs::is_directory(command.output)) fail(command.output, ": is a folder; give --output a file name");
}

}  // namespace

void evaluate(const EvaluateCommand& command) {
  const Config config = read_config(command.config);
  const Model model = load_model(command.model);
  if (const std::string found = config_difference(model.config, config, model_keys()); !found.empty())
    fail(command.model, ": does not fit ", command.config, ": ", found,
         "; give the config that it was trained with");
  const Case scan = load_case(config);
  const Volume<float> image = crop(scan.image, config.validation, "validation");
  require_patch_fits(config.patch, image.size, "validation");
  print_dice(dice_table(segment_volume(model.net, image, config),
                        crop(scan.classes, config.validation, "validation"), config));
}

void predict(const PredictCommand& command) {
  require_writable(command);
  const Model model = load_model(command.model);
  const Case scan = load_image(command.image, model.config);
  const Volume<std::uint8_t> classes = segment_volume(model.net, scan.image, model.config);
  write_labels(command.output, on_file_grid(classes, Region{}, scan, model.config), *scan.header);
  std::printf("%s:\n", command.output.c_str());
  const auto names = model.config.class_names();
  for (std::size_t i = 0; i < names.size(); ++i) std::printf("  %zu  %s\n", i, names[i].c_str());
}

}  // namespace segment
