#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "examples/segmentation/config.hpp"
#include "examples/segmentation/nifti_io.hpp"
#include "examples/segmentation/volume.hpp"

namespace segment {

/// A scan and its classes, ready for the net: same grid, image standardised, classes 0 .. class_count - 1.
struct Case {
  Volume<float> image;
  Volume<std::uint8_t> classes;
  std::shared_ptr<const NiftiHeader> header;  ///< of the image file
  Size3 original_size{};                      ///< of the image file
  Affine original_affine = identity_affine;   ///< of the image file
};

/// Averages blocks of factor^3 voxels. What is left at the far ends of odd sizes is dropped: 181x217x181 by 2
/// becomes 90x108x90. The affine's origin moves to the centre of the first block.
Volume<float> downsample_mean(const Volume<float>& image, std::int64_t factor);

/// Takes the first voxel of each block, on the grid that downsample_mean makes.
Volume<std::int32_t> downsample_labels(const Volume<std::int32_t>& labels, std::int64_t factor);

/// Repeats each voxel in a block of factor^3, back to the grid of the file (`size`, `affine`); the far slices
/// that downsampling dropped take their neighbour's class.
Volume<std::uint8_t> upsample_classes(const Volume<std::uint8_t>& classes, std::int64_t factor,
                                      const Size3& size, const Affine& affine);

/// Class i + 1 where the label belongs to group i, 0 elsewhere.
Volume<std::uint8_t> group_labels(const Volume<std::int32_t>& labels, const std::vector<ClassGroup>& groups);

/// Subtracts the mean and divides by the standard deviation of the nonzero voxels (the head, without the air
/// that scanners and atlases set to 0). Raises InputError, naming `path`, if they are all equal.
void standardise_nonzero(Volume<float>& image, const std::string& path);

/// The part of the grid that a region names. Raises InputError if it reaches beyond `volume`; `name` is the
/// region's key.
template <class T>
Volume<T> crop(const Volume<T>& volume, const Region& region, const std::string& name);

/// Raises InputError if a patch is larger than the volume that it is cut from.
void require_patch_fits(const Size3& patch, const Size3& volume, const std::string& name);

/// The image alone, for prediction.
Case load_image(const std::string& path, const Config& config);

/// Image and labels of the config. Raises InputError also if the grids differ or a class has no voxel.
Case load_case(const Config& config);

}  // namespace segment
