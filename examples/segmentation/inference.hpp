#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "examples/segmentation/config.hpp"
#include "examples/segmentation/metrics.hpp"
#include "examples/segmentation/volume.hpp"
#include "lucid/tensor.hpp"

namespace segment {

/// Where windows of `window` voxels start along an axis of `size` voxels so that they cover it, neighbours
/// overlapping by at least the share `overlap` of a window; the last one ends with the axis.
std::vector<std::int64_t> window_starts(std::int64_t size, std::int64_t window, double overlap);

/// (1, 1, x, y, z) to logits (1, classes, x, y, z).
using Net = std::function<lucid::Tensor(const lucid::Tensor&)>;

/// The class of the largest mean probability for each voxel, from windows of the config's patch size (or of
/// the volume's, along axes where that is smaller) slid over `image` as config.validate says. Nothing is
/// recorded. `between` is called between windows and may throw to stop.
Volume<std::uint8_t> segment_volume(const Net& net, const Volume<float>& image, const Config& config,
                                    const std::function<void()>& between = {});

/// Dice of each foreground class: twice the common voxels over the sum of both sizes. The volumes must have
/// one size and no class beyond config.class_count().
DiceTable dice_table(const Volume<std::uint8_t>& prediction, const Volume<std::uint8_t>& truth,
                     const Config& config);

/// The mean of the classes that are somewhere in truth or prediction; NaN if none is.
double mean_dice(const DiceTable& table);

}  // namespace segment
