#pragma once

#include <memory>
#include <string>

#include "examples/segmentation/volume.hpp"

namespace segment {

/// The header of a NIfTI file, kept so that what is computed from it can be written in the same space.
class NiftiHeader;

template <class T>
struct NiftiFile {
  Volume<T> volume;
  std::shared_ptr<const NiftiHeader> header;
};

/// Reads a scan from a .nii or .nii.gz file (NIfTI-1 or -2, either byte order, every integer type, f32, f64),
/// with scl_slope and scl_inter applied. Raises InputError: missing, truncated or corrupt file, not NIfTI,
/// not one 3D volume, a size beyond what the file can hold, NaN or infinite voxels.
NiftiFile<float> read_image(const std::string& path);

/// Like read_image, for label maps: every voxel must be a whole number in the range of i32.
NiftiFile<std::int32_t> read_labels(const std::string& path);

/// Raises InputError unless both grids have the same size and the same place in space (to a hundredth of a
/// voxel).
template <class A, class B>
void require_same_grid(const std::string& image_path, const Volume<A>& image, const std::string& labels_path,
                       const Volume<B>& labels);

/// Writes a label map as u8 NIfTI (gzipped if the path ends in .gz) with the header of the scan it belongs
/// to. On the scan's own grid sform, qform and pixdim are kept as they are; on a crop or a downsampling of
/// that grid they are moved and scaled along. The file is replaced at once or not at all.
void write_labels(const std::string& path, const Volume<std::uint8_t>& labels, const NiftiHeader& like);

void require_same_grid(const std::string& image_path, const Size3& image_size, const Affine& image_affine,
                       const std::string& labels_path, const Size3& labels_size, const Affine& labels_affine);

template <class A, class B>
void require_same_grid(const std::string& image_path, const Volume<A>& image, const std::string& labels_path,
                       const Volume<B>& labels) {
  require_same_grid(image_path, image.size, image.affine, labels_path, labels.size, labels.affine);
}

}  // namespace segment
