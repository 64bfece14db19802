#pragma once

#include <zlib.h>

#include <memory>
#include <string>

#include <nifti/nifti2_io.h>

#include "examples/segmentation/volume.hpp"

namespace segment {

/// libnifti's image without its voxels, checked by read_header.
class NiftiHeader {
 public:
  struct Free {
    void operator()(nifti_image* image) const { nifti_image_free(image); }
  };
  std::unique_ptr<nifti_image, Free> image;
  int version = 1;       ///< NIfTI-1 or NIfTI-2
  bool swapped = false;  ///< the voxels' byte order is not this machine's

  Size3 size() const { return {image->nx, image->ny, image->nz}; }
  /// sform, else qform, else the voxel sizes alone, as the NIfTI standard ranks them.
  Affine affine() const;
};

struct GzClose {
  void operator()(gzFile file) const { gzclose(file); }
};
using GzHandle = std::unique_ptr<gzFile_s, GzClose>;

/// Opens a .nii or .nii.gz file; zlib reads plain files as they are.
GzHandle open_nifti(const std::string& path);

/// Reads exactly `count` bytes. Raises InputError when the file ends early or its compressed data is damaged.
void read_bytes(gzFile file, void* into, std::size_t count, const std::string& path);

/// Reads and checks the header at the start of `file`; the position is then just behind it.
std::shared_ptr<const NiftiHeader> read_header(gzFile file, const std::string& path);

}  // namespace segment
