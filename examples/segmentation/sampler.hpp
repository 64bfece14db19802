#pragma once

#include <cstdint>
#include <vector>

#include "examples/segmentation/config.hpp"
#include "examples/segmentation/volume.hpp"
#include "lucid/random.hpp"
#include "lucid/tensor.hpp"

namespace segment {

struct Patches {
  lucid::Tensor image;    ///< (batch, 1, x, y, z) f32
  lucid::Tensor classes;  ///< (batch, x, y, z) i64
};

/// Cuts training patches from one volume: a share of them centred on a voxel of a foreground class (class,
/// then voxel drawn uniformly), the others anywhere; mirrored and with changed intensities as the config
/// says.
class Sampler {
 public:
  /// Raises InputError if a patch does not fit or a class has no voxel in the volume, which is the training
  /// region.
  Sampler(Volume<float> image, Volume<std::uint8_t> classes, const Config& config);

  /// The patches depend on the generator's state alone.
  Patches draw(lucid::Generator& generator) const;

 private:
  Size3 draw_start(lucid::Generator& generator) const;
  void draw_patch(lucid::Generator& generator, float* image, std::int64_t* classes) const;

  Volume<float> image_;
  Volume<std::uint8_t> classes_;
  std::vector<std::vector<std::int64_t>> voxels_of_;  // per foreground class: where it is
  Size3 patch_;
  std::int64_t batch_;
  double foreground_fraction_;
  AugmentConfig augment_;
};

}  // namespace segment
