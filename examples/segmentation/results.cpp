#include "examples/segmentation/results.hpp"

#include <algorithm>
#include <cmath>

#include "examples/segmentation/inference.hpp"
#include "examples/segmentation/overlay.hpp"
#include "examples/segmentation/report.hpp"

namespace segment {

void print_dice(const DiceTable& table, std::FILE* out) {
  std::size_t width = 4;
  for (const auto& [name, dice] : table) width = std::max(width, name.size());
  const auto line = [&](const std::string& name, double dice) {
    const std::string padded = name + std::string(width - name.size(), ' ');
    if (std::isnan(dice)) {
      std::fprintf(out, "  %s  not there\n", padded.c_str());
    } else {
      std::fprintf(out, "  %s  %.4f\n", padded.c_str(), dice);
    }
  };
  std::fprintf(out, "Dice on the held-out region\n");
  for (const auto& [name, dice] : table) line(name, dice);
  line("mean", mean_dice(table));
  std::fflush(out);
}

Volume<std::uint8_t> on_file_grid(const Volume<std::uint8_t>& classes, const Region& region, const Case& scan,
                                  const Config& config) {
  Volume<std::uint8_t> whole(scan.image.size, scan.image.affine);
  Size3 start{0, 0, 0};
  for (int axis = 0; axis < 3; ++axis) {
    if (region.range[axis]) start[axis] = (*region.range[axis])[0];
  }
  for (std::int64_t x = 0; x < classes.size[0]; ++x) {
    for (std::int64_t y = 0; y < classes.size[1]; ++y)
      std::copy_n(&classes.at(x, y, 0), classes.size[2], &whole.at(start[0] + x, start[1] + y, start[2]));
  }
  return upsample_classes(whole, config.downsample, scan.original_size, scan.original_affine);
}

void write_results(const std::string& folder, const Config& config, const Case& scan,
                   const Volume<std::uint8_t>& prediction, const Facts& facts) {
  write_labels(folder + "/prediction.nii.gz", on_file_grid(prediction, config.validation, scan, config),
               *scan.header);
  const auto overlays = make_overlays(crop(scan.image, config.validation, "validation"),
                                      crop(scan.classes, config.validation, "validation"), prediction);
  Report report{.title = "Segmentation of the held-out region",
                .facts = facts,
                .class_names = config.class_names(),
                .records = read_metrics(folder + "/metrics.jsonl"),
                .pictures = {},
                .config = to_json(config)};
  for (const Overlay& overlay : overlays) {
    write_png(folder + "/overlay_" + overlay.view + ".png", overlay.picture);
    report.pictures.emplace_back(overlay.view + ", slice " + std::to_string(overlay.slice), overlay.picture);
  }
  write_png(folder + "/overlay.png", make_plate(overlays, config.class_names()));
  write_report(folder + "/report.html", report);
}

}  // namespace segment
