#include "examples/segmentation/nifti_io.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "examples/segmentation/error.hpp"
#include "examples/segmentation/files.hpp"
#include "examples/segmentation/nifti_header.hpp"

namespace segment {
namespace {

/// Copies `count` values of type `From` out of raw bytes.
template <class From>
void widen(const unsigned char* raw, double* out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    From value;
    std::memcpy(&value, raw + i * sizeof(From), sizeof(From));
    out[i] = static_cast<double>(value);
  }
}

void widen(int datatype, const unsigned char* raw, double* out, std::size_t count) {
  switch (datatype) {
    case DT_UINT8: return widen<std::uint8_t>(raw, out, count);
    case DT_INT8: return widen<std::int8_t>(raw, out, count);
    case DT_UINT16: return widen<std::uint16_t>(raw, out, count);
    case DT_INT16: return widen<std::int16_t>(raw, out, count);
    case DT_UINT32: return widen<std::uint32_t>(raw, out, count);
    case DT_INT32: return widen<std::int32_t>(raw, out, count);
    case DT_UINT64: return widen<std::uint64_t>(raw, out, count);
    case DT_INT64: return widen<std::int64_t>(raw, out, count);
    case DT_FLOAT32: return widen<float>(raw, out, count);
    default: return widen<double>(raw, out, count);  // read_header admits no other type than DT_FLOAT64 here
  }
}

template <class T>
T checked(double value, const std::string& path, std::int64_t x, std::int64_t y, std::int64_t z) {
  if constexpr (std::is_integral_v<T>) {
    if (!(value >= double(std::numeric_limits<T>::min()) && value <= double(std::numeric_limits<T>::max())) ||
        value != std::floor(value)) {
      fail(path, ": voxel (", x, ", ", y, ", ", z, ") is ", value,
           ", labels are whole numbers; is this the label map, not a scan or a probability map?");
    }
  } else if (!std::isfinite(static_cast<T>(value))) {
    fail(path, ": voxel (", x, ", ", y, ", ", z, ") is ", value,
         "; replace NaN and infinite voxels before training");
  }
  return static_cast<T>(value);
}

/// Reads past the last voxel, so that zlib checks the checksum behind the data, and refuses endless padding.
void check_tail(gzFile file, const std::string& path) {
  constexpr int most_blocks = 1024;
  unsigned char block[1 << 16];
  for (int i = 0; i < most_blocks; ++i) {
    const int got = gzread(file, block, sizeof block);
    int code = Z_OK;
    const char* reason = gzerror(file, &code);
    if (got < 0 || (code != Z_OK && code != Z_STREAM_END)) {
      if (code == Z_BUF_ERROR) fail(path, ": is truncated; fetch or copy it again");
      fail(path, ": compressed data is damaged (", reason, "); fetch or copy it again");
    }
    if (got == 0) return;
  }
  fail(path, ": has more than 64 MB behind its last voxel; the header's size is wrong");
}

// libnifti's own reader is not used for the voxels: it replaces NaN by zero without a word.
template <class T>
NiftiFile<T> read_nifti(const std::string& path) {
  const GzHandle file = open_nifti(path);
  NiftiFile<T> result;
  result.header = read_header(file.get(), path);
  const nifti_image& image = *result.header->image;
  if (gzseek(file.get(), static_cast<z_off_t>(image.iname_offset), SEEK_SET) < 0) {
    fail(path, ": is truncated; fetch or copy it again");
  }
  const Size3 size = result.header->size();
  const bool scaled = image.scl_slope != 0 && !(image.scl_slope == 1 && image.scl_inter == 0);
  const auto slice = static_cast<std::size_t>(size[0] * size[1]);
  std::vector<unsigned char> raw(slice * static_cast<std::size_t>(image.nbyper));
  std::vector<double> values(slice);
  result.volume = Volume<T>(size, result.header->affine());
  for (std::int64_t z = 0; z < size[2]; ++z) {
    read_bytes(file.get(), raw.data(), raw.size(), path);
    if (result.header->swapped && image.swapsize > 1) {
      nifti_swap_Nbytes(static_cast<std::int64_t>(slice), image.swapsize, raw.data());
    }
    widen(image.datatype, raw.data(), values.data(), slice);
    const double* value = values.data();
    for (std::int64_t y = 0; y < size[1]; ++y) {
      for (std::int64_t x = 0; x < size[0]; ++x, ++value) {
        const double v = scaled ? *value * image.scl_slope + image.scl_inter : *value;
        result.volume.at(x, y, z) = checked<T>(v, path, x, y, z);
      }
    }
  }
  check_tail(file.get(), path);
  return result;
}

/// How a grid sits in the grid of a file: file index = step * index + start.
struct Placement {
  std::array<double, 3> start, step;
};

Placement placement(const Affine& grid, const Affine& file, const std::string& path) {
  nifti_dmat44 to_space{};
  for (int row = 0; row < 3; ++row) std::copy_n(file[row].data(), 4, to_space.m[row]);
  to_space.m[3][3] = 1;
  const nifti_dmat44 to_index = nifti_dmat44_inverse(to_space);
  // Grids come from whole crops and block averages, so anything finer than this is rounding of the inverse.
  const auto snap = [](double value) { return std::round(value * 1e4) / 1e4; };
  Placement result{};
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 4; ++column) {
      double sum = column == 3 ? to_index.m[row][3] : 0;
      for (int k = 0; k < 3; ++k) sum += to_index.m[row][k] * grid[k][column];
      if (column == 3) result.start[row] = snap(sum);
      if (column == row) result.step[row] = snap(sum);
      if (column < 3 && column != row && snap(sum) != 0) {
        fail(path,
             ": the prediction's axes are turned against the scan's; only crops and downsamplings can be "
             "written");
      }
    }
    if (result.step[row] <= 0) fail(path, ": the prediction's grid is mirrored against the scan's");
  }
  return result;
}

/// Moves a voxel-to-space matrix along with the grid.
void move(nifti_dmat44& matrix, const Placement& place) {
  Affine affine;
  for (int row = 0; row < 3; ++row) std::copy_n(matrix.m[row], 4, affine[row].data());
  affine = subgrid_affine(affine, place.start, place.step);
  for (int row = 0; row < 3; ++row) std::copy_n(affine[row].data(), 4, matrix.m[row]);
}

nifti_image labels_header(const Volume<std::uint8_t>& labels, const NiftiHeader& like,
                          const std::string& path) {
  nifti_image image = *like.image;  // shallow: nothing below touches what its pointers hold
  image.ndim = image.dim[0] = 3;
  image.nx = image.dim[1] = labels.size[0];
  image.ny = image.dim[2] = labels.size[1];
  image.nz = image.dim[3] = labels.size[2];
  image.nvox = labels.count();
  image.datatype = DT_UINT8;
  image.nbyper = 1;
  image.scl_slope = 1;
  image.scl_inter = image.cal_min = image.cal_max = 0;
  image.slice_code = 0;
  image.slice_start = image.slice_end = 0;
  image.intent_code = NIFTI_INTENT_LABEL;
  std::snprintf(image.descrip, sizeof image.descrip, "lucid-segment");
  image.iname_offset = like.version == 2 ? sizeof(nifti_2_header) + 4 : sizeof(nifti_1_header) + 4;
  const Placement place = placement(labels.affine, like.affine(), path);
  move(image.sto_xyz, place);
  move(image.qto_xyz, place);
  image.dx = image.pixdim[1] *= place.step[0];
  image.dy = image.pixdim[2] *= place.step[1];
  image.dz = image.pixdim[3] *= place.step[2];
  image.qoffset_x = image.qto_xyz.m[0][3];
  image.qoffset_y = image.qto_xyz.m[1][3];
  image.qoffset_z = image.qto_xyz.m[2][3];
  return image;
}

std::string header_bytes(const nifti_image& image, int version) {
  const auto bytes = [](const auto& header) {
    return std::string(reinterpret_cast<const char*>(&header), sizeof header) +
           std::string(4, '\0');  // no extensions
  };
  if (version == 2) {
    nifti_2_header header;
    nifti_convert_nim2n2hdr(&image, &header);
    return bytes(header);
  }
  nifti_1_header header;
  nifti_convert_nim2n1hdr(&image, &header);
  return bytes(header);
}

}  // namespace

NiftiFile<float> read_image(const std::string& path) { return read_nifti<float>(path); }
NiftiFile<std::int32_t> read_labels(const std::string& path) { return read_nifti<std::int32_t>(path); }

void require_same_grid(const std::string& image_path, const Size3& image_size, const Affine& image_affine,
                       const std::string& labels_path, const Size3& labels_size,
                       const Affine& labels_affine) {
  if (image_size != labels_size) {
    fail(labels_path, ": grid ", to_string(labels_size), " differs from the image's ", to_string(image_size),
         " (", image_path, "); resample the labels to the image's grid");
  }
  for (int corner = 0; corner < 8; ++corner) {
    double distance = 0, voxel = 0;
    for (int row = 0; row < 3; ++row) {
      double delta = labels_affine[row][3] - image_affine[row][3];
      for (int axis = 0; axis < 3; ++axis) {
        const double at = (corner >> axis & 1) ? static_cast<double>(image_size[axis] - 1) : 0.0;
        delta += (labels_affine[row][axis] - image_affine[row][axis]) * at;
        voxel = std::max(voxel, std::abs(image_affine[row][axis]));
      }
      distance = std::max(distance, std::abs(delta));
    }
    if (distance > 0.01 * voxel) {
      fail(labels_path, ": lies ", distance, " mm off the image in space (", image_path,
           "): their affines differ; resample the labels to the image's grid or repair the header");
    }
  }
}

void write_labels(const std::string& path, const Volume<std::uint8_t>& labels, const NiftiHeader& like) {
  const bool compress = path.size() > 3 && path.compare(path.size() - 3, 3, ".gz") == 0;
  const std::string header = header_bytes(labels_header(labels, like, path), like.version);
  std::vector<std::uint8_t> slice(static_cast<std::size_t>(labels.size[0] * labels.size[1]));
  replace_file(path, [&](const std::string& temporary) {
    GzHandle file(gzopen(temporary.c_str(), compress ? "wb6" : "wbT"));
    if (!file) fail(path, ": cannot be created; check that the folder exists and may be written");
    const auto put = [&](const void* data, std::size_t count) {
      if (gzwrite(file.get(), data, static_cast<unsigned>(count)) != static_cast<int>(count)) {
        fail(path, ": cannot be written; is the disk full?");
      }
    };
    put(header.data(), header.size());
    for (std::int64_t z = 0; z < labels.size[2]; ++z) {
      auto out = slice.begin();
      for (std::int64_t y = 0; y < labels.size[1]; ++y) {
        for (std::int64_t x = 0; x < labels.size[0]; ++x) *out++ = labels.at(x, y, z);
      }
      put(slice.data(), slice.size());
    }
    if (gzclose(file.release()) != Z_OK) fail(path, ": cannot be written; is the disk full?");
  });
}

}  // namespace segment
