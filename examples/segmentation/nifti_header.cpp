#include "examples/segmentation/nifti_header.hpp"

#include <sys/stat.h>

#include <cmath>
#include <cstring>

#include "examples/segmentation/error.hpp"

namespace segment {
namespace {

constexpr std::int64_t max_voxels = std::int64_t{1} << 30;
constexpr std::int64_t max_extension_bytes = std::int64_t{64} << 20;
constexpr std::int64_t max_deflate_ratio = 1032;  // zlib's technical notes: no stream compresses better

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// The fields that both header versions have and that a hostile file could abuse, in this machine's byte
/// order.
struct RawFields {
  std::int64_t dim[8];
  int datatype;
  double vox_offset;
  double transform[21];  // pixdim[1..3], quaternion and its offsets, sform
  const char* magic;
};

template <class Header>
RawFields raw_fields(const Header& header) {
  RawFields raw{};
  for (int i = 0; i < 8; ++i) raw.dim[i] = header.dim[i];
  raw.datatype = header.datatype;
  raw.vox_offset = static_cast<double>(header.vox_offset);
  double* out = raw.transform;
  for (int i = 1; i <= 3; ++i) *out++ = static_cast<double>(header.pixdim[i]);
  if (header.qform_code > 0) {
    for (const auto value : {header.quatern_b, header.quatern_c, header.quatern_d, header.qoffset_x,
                             header.qoffset_y, header.qoffset_z}) {
      *out++ = static_cast<double>(value);
    }
  }
  if (header.sform_code > 0) {
    for (const auto* row : {header.srow_x, header.srow_y, header.srow_z}) {
      for (int i = 0; i < 4; ++i) *out++ = static_cast<double>(row[i]);
    }
  }
  raw.magic = header.magic;
  return raw;
}

void check_dims(const RawFields& raw, const std::string& path) {
  const std::int64_t dims = raw.dim[0];
  if (dims < 1 || dims > 7)
    fail(path, ": header says ", dims, " dimensions; the file is damaged or not NIfTI");
  std::int64_t voxels = 1;
  for (std::int64_t i = 1; i <= dims; ++i) {
    if (raw.dim[i] < 1)
      fail(path, ": header says size ", raw.dim[i], " along axis ", i, "; the file is damaged");
    if (i > 3 && raw.dim[i] > 1) {
      fail(path, ": holds ", raw.dim[i], " volumes along axis ", i,
           ", one 3D volume is needed; extract one of them");
    }
    if (raw.dim[i] > max_voxels / voxels) {
      fail(path, ": header says more than ", max_voxels,
           " voxels; the file is damaged, or crop or downsample it first");
    }
    voxels *= raw.dim[i];
  }
  if (dims < 3 || raw.dim[3] < 2) {
    fail(path, ": holds a ", dims < 2 ? "line" : "single slice", ", a 3D volume is needed");
  }
}

void check_fields(const RawFields& raw, const std::string& path) {
  if (raw.magic[0] != 'n' || raw.magic[1] != '+') {
    fail(path, ": is half of a .hdr/.img pair; convert it to a single .nii.gz file");
  }
  check_dims(raw, path);
  switch (raw.datatype) {
    case DT_UINT8:
    case DT_INT8:
    case DT_UINT16:
    case DT_INT16:
    case DT_UINT32:
    case DT_INT32:
    case DT_UINT64:
    case DT_INT64:
    case DT_FLOAT32:
    case DT_FLOAT64: break;
    default:
      fail(path, ": voxels of type ", nifti_datatype_to_string(raw.datatype), " (code ", raw.datatype,
           ") are not numbers that can be read here; convert to an integer type, FLOAT32 or FLOAT64");
  }
  if (!(raw.vox_offset >= 0 && raw.vox_offset <= static_cast<double>(max_extension_bytes))) {
    fail(path, ": header puts the voxels at byte ", raw.vox_offset, "; the file is damaged");
  }
  for (const double value : raw.transform) {
    if (!std::isfinite(value))
      fail(path, ": header has NaN or infinity in its affine; repair it, e.g. with nifti_tool");
  }
}

/// A file of so many bytes can't hold the voxels that a damaged header may promise: refuse before allocating.
void check_file_size(const nifti_image& image, bool compressed, const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) fail(path, ": cannot be examined; check its permissions");
  const std::int64_t needed = image.iname_offset + static_cast<std::int64_t>(image.nvox) * image.nbyper;
  const std::int64_t most = compressed ? status.st_size * max_deflate_ratio : status.st_size;
  if (needed > most) {
    fail(path, ": is too short: header promises ", needed,
         " bytes, the file ends early; fetch or copy it again");
  }
}

template <class Header>
std::shared_ptr<const NiftiHeader> convert(Header header, int version, bool swapped,
                                           const std::string& path) {
  check_fields(raw_fields(header), path);
  auto result = std::make_shared<NiftiHeader>();
  if constexpr (std::is_same_v<Header, nifti_1_header>) {
    result->image.reset(nifti_convert_n1hdr2nim(header, nullptr));
  } else {
    result->image.reset(nifti_convert_n2hdr2nim(header, nullptr));
  }
  if (!result->image) fail(path, ": libnifti rejects its header; the file is damaged");
  result->version = version;
  result->swapped = swapped;
  const Affine affine = result->affine();
  const double det = affine[0][0] * (affine[1][1] * affine[2][2] - affine[1][2] * affine[2][1]) -
                     affine[0][1] * (affine[1][0] * affine[2][2] - affine[1][2] * affine[2][0]) +
                     affine[0][2] * (affine[1][0] * affine[2][1] - affine[1][1] * affine[2][0]);
  if (!(std::abs(det) > 1e-12) || !std::isfinite(det)) {
    fail(path, ": header's affine is singular (determinant ", det, "); repair it, e.g. with nifti_tool");
  }
  return result;
}

}  // namespace

Affine NiftiHeader::affine() const {
  const nifti_dmat44& from = image->sform_code > 0 ? image->sto_xyz : image->qto_xyz;
  Affine result;
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 4; ++column) result[row][column] = from.m[row][column];
  }
  return result;
}

GzHandle open_nifti(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) fail(path, ": no such file; check the path in the config");
  if (!S_ISREG(status.st_mode)) fail(path, ": is not a regular file; give a .nii or .nii.gz file");
  if (!ends_with(path, ".nii") && !ends_with(path, ".nii.gz")) {
    fail(path, ": does not end in .nii or .nii.gz; only NIfTI files can be read");
  }
  GzHandle file(gzopen(path.c_str(), "rb"));
  if (!file) fail(path, ": cannot be opened; check its permissions");
  gzbuffer(file.get(), 1 << 17);
  return file;
}

void read_bytes(gzFile file, void* into, std::size_t count, const std::string& path) {
  auto* out = static_cast<unsigned char*>(into);
  while (count > 0) {
    const int got = gzread(file, out, static_cast<unsigned>(std::min<std::size_t>(count, 1 << 20)));
    if (got <= 0) {
      int code = Z_OK;
      const char* reason = gzerror(file, &code);
      if (code == Z_OK || code == Z_BUF_ERROR) fail(path, ": is truncated; fetch or copy it again");
      fail(path, ": compressed data is damaged (", reason, "); fetch or copy it again");
    }
    out += got;
    count -= static_cast<std::size_t>(got);
  }
}

std::shared_ptr<const NiftiHeader> read_header(gzFile file, const std::string& path) {
  nifti_set_debug_level(0);
  nifti_1_header first{};
  read_bytes(file, &first, sizeof first, path);
  const int version = nifti_header_version(reinterpret_cast<const char*>(&first), sizeof first);
  std::shared_ptr<const NiftiHeader> header;
  if (version == 1) {
    const bool swapped = first.sizeof_hdr != static_cast<int>(sizeof first);
    if (swapped) nifti_swap_as_nifti1(&first);
    header = convert(first, 1, swapped, path);
  } else if (version == 2) {
    nifti_2_header second{};
    std::memcpy(&second, &first, sizeof first);
    read_bytes(file, reinterpret_cast<char*>(&second) + sizeof first, sizeof second - sizeof first, path);
    const bool swapped = second.sizeof_hdr != static_cast<int>(sizeof second);
    if (swapped) nifti_swap_as_nifti2(&second);
    header = convert(second, 2, swapped, path);
  } else {
    fail(path, ": is not a NIfTI file (no NIfTI magic in its header); convert it to .nii.gz first");
  }
  check_file_size(*header->image, !gzdirect(file), path);
  return header;
}

}  // namespace segment
