#include "examples/segmentation/preprocess.hpp"

#include <algorithm>
#include <cmath>

#include "examples/segmentation/error.hpp"

namespace segment {
namespace {

Size3 downsampled_size(const Size3& size, std::int64_t factor) {
  const Size3 result{size[0] / factor, size[1] / factor, size[2] / factor};
  if (*std::min_element(result.begin(), result.end()) < 1) {
    fail("downsample: factor ", factor, " leaves nothing of a ", to_string(size),
         " volume; use a smaller factor");
  }
  return result;
}

Affine downsampled_affine(const Affine& affine, std::int64_t factor) {
  const double step = static_cast<double>(factor), start = (step - 1) / 2;
  return subgrid_affine(affine, {start, start, start}, {step, step, step});
}

}  // namespace

Volume<float> downsample_mean(const Volume<float>& image, std::int64_t factor) {
  if (factor == 1) return image;
  Volume<float> result(downsampled_size(image.size, factor), downsampled_affine(image.affine, factor));
  const double share = 1.0 / static_cast<double>(factor * factor * factor);
  for (std::int64_t x = 0; x < result.size[0]; ++x) {
    for (std::int64_t y = 0; y < result.size[1]; ++y) {
      for (std::int64_t z = 0; z < result.size[2]; ++z) {
        double sum = 0;
        for (std::int64_t i = 0; i < factor; ++i) {
          for (std::int64_t j = 0; j < factor; ++j) {
            const float* line = &image.at(x * factor + i, y * factor + j, z * factor);
            for (std::int64_t k = 0; k < factor; ++k) sum += static_cast<double>(line[k]);
          }
        }
        result.at(x, y, z) = static_cast<float>(sum * share);
      }
    }
  }
  return result;
}

Volume<std::int32_t> downsample_labels(const Volume<std::int32_t>& labels, std::int64_t factor) {
  if (factor == 1) return labels;
  Volume<std::int32_t> result(downsampled_size(labels.size, factor),
                              downsampled_affine(labels.affine, factor));
  for (std::int64_t x = 0; x < result.size[0]; ++x) {
    for (std::int64_t y = 0; y < result.size[1]; ++y) {
      for (std::int64_t z = 0; z < result.size[2]; ++z) {
        result.at(x, y, z) = labels.at(x * factor, y * factor, z * factor);
      }
    }
  }
  return result;
}

Volume<std::uint8_t> upsample_classes(const Volume<std::uint8_t>& classes, std::int64_t factor,
                                      const Size3& size, const Affine& affine) {
  Volume<std::uint8_t> result(size, affine);
  const auto source = [&](std::int64_t at, int axis) {
    return std::min(at / factor, classes.size[axis] - 1);
  };
  for (std::int64_t x = 0; x < size[0]; ++x) {
    for (std::int64_t y = 0; y < size[1]; ++y) {
      for (std::int64_t z = 0; z < size[2]; ++z) {
        result.at(x, y, z) = classes.at(source(x, 0), source(y, 1), source(z, 2));
      }
    }
  }
  return result;
}

Volume<std::uint8_t> group_labels(const Volume<std::int32_t>& labels, const std::vector<ClassGroup>& groups) {
  Volume<std::uint8_t> result(labels.size, labels.affine);
  const auto class_of = [&](std::int32_t label) {
    for (std::size_t i = 0; i < groups.size(); ++i) {
      for (const auto& [first, last] : groups[i].labels) {
        if (label >= first && label <= last) return static_cast<std::uint8_t>(i + 1);
      }
    }
    return std::uint8_t{0};
  };
  std::int32_t previous = 0;
  std::uint8_t previous_class = class_of(0);  // neighbours mostly share a label
  for (std::size_t i = 0; i < labels.voxels.size(); ++i) {
    if (labels.voxels[i] != previous) previous_class = class_of(previous = labels.voxels[i]);
    result.voxels[i] = previous_class;
  }
  return result;
}

void standardise_nonzero(Volume<float>& image, const std::string& path) {
  double count = 0, sum = 0, squares = 0;
  for (const float value : image.voxels) {
    if (value != 0) ++count, sum += static_cast<double>(value);
  }
  const double mean = count > 0 ? sum / count : 0;
  for (const float value : image.voxels) {
    if (value != 0) squares += (static_cast<double>(value) - mean) * (static_cast<double>(value) - mean);
  }
  const double deviation = count > 0 ? std::sqrt(squares / count) : 0;
  if (!(deviation > 1e-9 * std::abs(mean)) || !std::isfinite(deviation)) {
    fail(path, ": its nonzero voxels are all equal, there is nothing to learn from; is it the scan?");
  }
  for (float& value : image.voxels)
    value = static_cast<float>((static_cast<double>(value) - mean) / deviation);
}

template <class T>
Volume<T> crop(const Volume<T>& volume, const Region& region, const std::string& name) {
  Size3 start{0, 0, 0}, size = volume.size;
  for (int axis = 0; axis < 3; ++axis) {
    if (!region.range[axis]) continue;
    const auto [begin, end] = *region.range[axis];
    if (begin < 0 || end > volume.size[axis] || begin >= end) {
      fail(name, ".", "xyz"[axis], ": [", begin, ", ", end, "] reaches beyond the volume, which has ",
           volume.size[axis], " voxels there after downsampling");
    }
    start[axis] = begin;
    size[axis] = end - begin;
  }
  const std::array<double, 3> origin{static_cast<double>(start[0]), static_cast<double>(start[1]),
                                     static_cast<double>(start[2])};
  Volume<T> result(size, subgrid_affine(volume.affine, origin, {1, 1, 1}));
  for (std::int64_t x = 0; x < size[0]; ++x) {
    for (std::int64_t y = 0; y < size[1]; ++y) {
      const T* line = &volume.at(start[0] + x, start[1] + y, start[2]);
      std::copy_n(line, size[2], &result.at(x, y, 0));
    }
  }
  return result;
}

template Volume<float> crop(const Volume<float>&, const Region&, const std::string&);
template Volume<std::uint8_t> crop(const Volume<std::uint8_t>&, const Region&, const std::string&);

void require_patch_fits(const Size3& patch, const Size3& volume, const std::string& name) {
  for (int axis = 0; axis < 3; ++axis) {
    if (patch[axis] > volume[axis]) {
      fail("patch: ", to_string(patch), " is larger than the ", name, " volume ", to_string(volume),
           " along ", "xyz"[axis], "; use at most ", volume[axis], " there");
    }
  }
}

Case load_image(const std::string& path, const Config& config) {
  NiftiFile<float> file = read_image(path);
  Case result;
  result.header = file.header;
  result.original_size = file.volume.size;
  result.original_affine = file.volume.affine;
  result.image = downsample_mean(file.volume, config.downsample);
  standardise_nonzero(result.image, path);
  return result;
}

Case load_case(const Config& config) {
  const NiftiFile<float> image = read_image(config.image);
  const NiftiFile<std::int32_t> labels = read_labels(config.labels);
  require_same_grid(config.image, image.volume, config.labels, labels.volume);
  Case result;
  result.header = image.header;
  result.original_size = image.volume.size;
  result.original_affine = image.volume.affine;
  result.image = downsample_mean(image.volume, config.downsample);
  standardise_nonzero(result.image, config.image);
  result.classes = group_labels(downsample_labels(labels.volume, config.downsample), config.classes);
  for (std::size_t i = 0; i < config.classes.size(); ++i) {
    if (std::find(result.classes.voxels.begin(), result.classes.voxels.end(), i + 1) ==
        result.classes.voxels.end()) {
      fail(config.labels, ": no voxel has a label of class \"", config.classes[i].name, "\"; check classes[",
           i, "].labels against the atlas");
    }
  }
  return result;
}

}  // namespace segment
