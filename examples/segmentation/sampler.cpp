#include "examples/segmentation/sampler.hpp"

#include <algorithm>

#include "examples/segmentation/error.hpp"
#include "examples/segmentation/preprocess.hpp"

namespace segment {

Sampler::Sampler(Volume<float> image, Volume<std::uint8_t> classes, const Config& config)
    : image_(std::move(image)),
      classes_(std::move(classes)),
      voxels_of_(config.classes.size()),
      patch_(config.patch),
      batch_(config.batch),
      foreground_fraction_(config.foreground_fraction),
      augment_(config.augment) {
  require_patch_fits(patch_, image_.size, "train");
  for (std::int64_t i = 0; i < classes_.count(); ++i) {
    const std::size_t cls = classes_.voxels[static_cast<std::size_t>(i)];
    if (cls > 0) voxels_of_.at(cls - 1).push_back(i);
  }
  for (std::size_t i = 0; i < voxels_of_.size(); ++i) {
    if (voxels_of_[i].empty()) {
      fail("train: class \"", config.classes[i].name,
           "\" has no voxel in the training region; use a region that shows every class");
    }
  }
}

Size3 Sampler::draw_start(lucid::Generator& generator) const {
  Size3 start;
  if (generator.uniform() >= foreground_fraction_) {
    for (int axis = 0; axis < 3; ++axis)
      start[axis] = generator.integer(0, image_.size[axis] - patch_[axis] + 1);
    return start;
  }
  const auto& voxels = voxels_of_[static_cast<std::size_t>(
      generator.integer(0, static_cast<std::int64_t>(voxels_of_.size())))];
  const std::int64_t voxel =
      voxels[static_cast<std::size_t>(generator.integer(0, static_cast<std::int64_t>(voxels.size())))];
  const Size3& size = image_.size;
  const Size3 centre{voxel / (size[1] * size[2]), voxel / size[2] % size[1], voxel % size[2]};
  for (int axis = 0; axis < 3; ++axis) {
    start[axis] = std::clamp<std::int64_t>(centre[axis] - patch_[axis] / 2, 0, size[axis] - patch_[axis]);
  }
  return start;
}

void Sampler::draw_patch(lucid::Generator& generator, float* image, std::int64_t* classes) const {
  const Size3 start = draw_start(generator);
  std::array<bool, 3> flip{};
  for (int axis = 0; axis < 3; ++axis) flip[axis] = augment_.flip[axis] && generator.uniform() < 0.5;
  const auto scale = static_cast<float>(generator.uniform(1 - augment_.scale, 1 + augment_.scale));
  const auto shift = static_cast<float>(generator.uniform(-augment_.shift, augment_.shift));
  const auto source = [&](int axis, std::int64_t i) {
    return start[axis] + (flip[axis] ? patch_[axis] - 1 - i : i);
  };
  for (std::int64_t x = 0; x < patch_[0]; ++x) {
    for (std::int64_t y = 0; y < patch_[1]; ++y) {
      const std::size_t line = image_.index(source(0, x), source(1, y), 0);
      for (std::int64_t z = 0; z < patch_[2]; ++z) {
        const std::size_t from = line + static_cast<std::size_t>(source(2, z));
        *image++ = image_.voxels[from] * scale + shift;
        *classes++ = classes_.voxels[from];
      }
    }
  }
}

Patches Sampler::draw(lucid::Generator& generator) const {
  Patches patches{lucid::empty({batch_, 1, patch_[0], patch_[1], patch_[2]}),
                  lucid::empty({batch_, patch_[0], patch_[1], patch_[2]}, lucid::DType::i64)};
  auto* image = patches.image.mutable_data<float>();
  auto* classes = patches.classes.mutable_data<std::int64_t>();
  const std::int64_t voxels = patch_[0] * patch_[1] * patch_[2];
  for (std::int64_t i = 0; i < batch_; ++i) draw_patch(generator, image + i * voxels, classes + i * voxels);
  return patches;
}

}  // namespace segment
