#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "examples/segmentation/config.hpp"
#include "examples/segmentation/metrics.hpp"
#include "examples/segmentation/preprocess.hpp"
#include "examples/segmentation/volume.hpp"

namespace segment {

/// One line a class and the mean.
void print_dice(const DiceTable& table, std::FILE* out = stdout);

/// The classes of a region of the grid that `scan` was read to, on the grid of its file; 0 outside.
Volume<std::uint8_t> on_file_grid(const Volume<std::uint8_t>& classes, const Region& region, const Case& scan,
                                  const Config& config);

/// Names and values for the head of the report.
using Facts = std::vector<std::pair<std::string, std::string>>;

/// Writes what people look at into `folder`: prediction.nii.gz (of the validation region), overlay_VIEW.png,
/// overlay.png with all views, and report.html with what metrics.jsonl there says.
void write_results(const std::string& folder, const Config& config, const Case& scan,
                   const Volume<std::uint8_t>& prediction, const Facts& facts);

}  // namespace segment
