#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace segment {

using Size3 = std::array<std::int64_t, 3>;

/// Voxel index (x, y, z, 1) to millimetres, in NIfTI's axes: +x to the patient's right, +y anterior, +z
/// superior.
using Affine = std::array<std::array<double, 4>, 3>;

inline constexpr Affine identity_affine{{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};

/// A grid of voxels and where it lies in space.
///
/// Axes are (x, y, z) in the order of the NIfTI file, stored row-major: z is contiguous. So `voxels` is the
/// memory of a tensor of shape (1, 1, x, y, z), the net's D is x, and a half along x is one contiguous block.
/// (The file itself has x contiguous; reading and writing transpose.)
template <class T>
struct Volume {
  Size3 size{0, 0, 0};
  std::vector<T> voxels;
  Affine affine = identity_affine;

  Volume() = default;
  Volume(Size3 size_, const Affine& affine_, T value = {})
      : size(size_),
        voxels(static_cast<std::size_t>(size_[0] * size_[1] * size_[2]), value),
        affine(affine_) {}

  std::int64_t count() const { return static_cast<std::int64_t>(voxels.size()); }
  std::size_t index(std::int64_t x, std::int64_t y, std::int64_t z) const {
    return static_cast<std::size_t>((x * size[1] + y) * size[2] + z);
  }
  T& at(std::int64_t x, std::int64_t y, std::int64_t z) { return voxels[index(x, y, z)]; }
  const T& at(std::int64_t x, std::int64_t y, std::int64_t z) const { return voxels[index(x, y, z)]; }
};

inline std::string to_string(const Size3& size) {
  return std::to_string(size[0]) + "x" + std::to_string(size[1]) + "x" + std::to_string(size[2]);
}

/// The affine of the grid whose voxel i lies at voxel `step * i + start` of the grid of `affine`.
inline Affine subgrid_affine(const Affine& affine, const std::array<double, 3>& start,
                             const std::array<double, 3>& step) {
  Affine result = affine;
  for (int row = 0; row < 3; ++row) {
    for (int axis = 0; axis < 3; ++axis) {
      result[row][axis] = affine[row][axis] * step[axis];
      result[row][3] += affine[row][axis] * start[axis];
    }
  }
  return result;
}

}  // namespace segment
