#include "examples/segmentation/inference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/grad_mode.hpp"

namespace segment {
namespace {

/// What each voxel of a window counts for along one axis: 1, or a bell of 1/8 of the window's width, which
/// trusts the middle more than the border, where the net sees less around it.
std::vector<float> axis_weights(std::int64_t window, const std::string& weighting) {
  std::vector<float> weights(static_cast<std::size_t>(window), 1.0F);
  if (weighting == "uniform") return weights;
  const double centre = static_cast<double>(window - 1) / 2, width = static_cast<double>(window) / 8;
  for (std::int64_t i = 0; i < window; ++i) {
    const double distance = (static_cast<double>(i) - centre) / width;
    weights[static_cast<std::size_t>(i)] =
        static_cast<float>(std::max(std::exp(-distance * distance / 2), 1e-3));
  }
  return weights;
}

/// Runs windows through the net and adds up their weighted probabilities.
class Accumulator {
 public:
  Accumulator(const Volume<float>& image, const Config& config)
      : image_(image), classes_(config.class_count()) {
    for (int axis = 0; axis < 3; ++axis) {
      window_[axis] = std::min(config.patch[axis], image.size[axis]);
      weights_[axis] = axis_weights(window_[axis], config.validate.weighting);
    }
    sums_.resize(static_cast<std::size_t>(image.count() * classes_));
  }

  const Size3& window() const { return window_; }

  void add(const Net& net, const Size3& start, const std::array<bool, 3>& flip) {
    const lucid::Tensor input = lucid::empty({1, 1, window_[0], window_[1], window_[2]});
    auto* voxels = input.mutable_data<float>();
    visit(start, flip, [&](std::int64_t at, std::size_t from, float) { voxels[at] = image_.voxels[from]; });
    const lucid::Tensor probability = net(input).softmax(1).contiguous();
    const auto* values = probability.data<float>();
    const std::int64_t count = input.numel();
    visit(start, flip, [&](std::int64_t at, std::size_t from, float weight) {
      float* sums = &sums_[from * static_cast<std::size_t>(classes_)];
      for (std::int64_t cls = 0; cls < classes_; ++cls) sums[cls] += weight * values[cls * count + at];
    });
  }

  /// Every voxel's weights are those of all its classes, so that there is no need to divide by their sum.
  Volume<std::uint8_t> best() const {
    Volume<std::uint8_t> result(image_.size, image_.affine);
    for (std::size_t i = 0; i < result.voxels.size(); ++i) {
      const float* sums = &sums_[i * static_cast<std::size_t>(classes_)];
      result.voxels[i] = static_cast<std::uint8_t>(std::max_element(sums, sums + classes_) - sums);
    }
    return result;
  }

 private:
  /// Calls f(index in the mirrored window, index in the volume, weight) for every voxel of a window.
  template <class F>
  void visit(const Size3& start, const std::array<bool, 3>& flip, F&& f) const {
    const auto source = [&](int axis, std::int64_t i) { return flip[axis] ? window_[axis] - 1 - i : i; };
    std::int64_t at = 0;
    for (std::int64_t x = 0; x < window_[0]; ++x) {
      for (std::int64_t y = 0; y < window_[1]; ++y) {
        const float plane =
            weights_[0][static_cast<std::size_t>(x)] * weights_[1][static_cast<std::size_t>(y)];
        const std::size_t line = image_.index(start[0] + source(0, x), start[1] + source(1, y), start[2]);
        for (std::int64_t z = 0; z < window_[2]; ++z, ++at) {
          f(at, line + static_cast<std::size_t>(source(2, z)),
            plane * weights_[2][static_cast<std::size_t>(z)]);
        }
      }
    }
  }

  const Volume<float>& image_;
  std::int64_t classes_;
  Size3 window_;
  std::array<std::vector<float>, 3> weights_;
  std::vector<float> sums_;  // (x, y, z, class)
};

/// The mirror images to average over: all combinations of the axes that training mirrors along.
std::vector<std::array<bool, 3>> mirror_images(const Config& config) {
  std::vector<std::array<bool, 3>> images{{false, false, false}};
  if (!config.validate.mirror) return images;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (!config.augment.flip[axis]) continue;
    for (std::size_t i = 0, count = images.size(); i < count; ++i) {
      images.push_back(images[i]);
      images.back()[axis] = true;
    }
  }
  return images;
}

}  // namespace

std::vector<std::int64_t> window_starts(std::int64_t size, std::int64_t window, double overlap) {
  const auto stride =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(window) * (1 - overlap)));
  std::vector<std::int64_t> starts;
  for (std::int64_t start = 0; start + window < size; start += stride) starts.push_back(start);
  starts.push_back(std::max<std::int64_t>(0, size - window));
  return starts;
}

Volume<std::uint8_t> segment_volume(const Net& net, const Volume<float>& image, const Config& config,
                                    const std::function<void()>& between) {
  const lucid::no_grad guard;
  Accumulator accumulator(image, config);
  std::array<std::vector<std::int64_t>, 3> starts;
  for (int axis = 0; axis < 3; ++axis)
    starts[axis] = window_starts(image.size[axis], accumulator.window()[axis], config.validate.overlap);
  const auto mirrors = mirror_images(config);
  for (const std::int64_t x : starts[0]) {
    for (const std::int64_t y : starts[1]) {
      for (const std::int64_t z : starts[2]) {
        for (const auto& mirror : mirrors) {
          if (between) between();
          accumulator.add(net, {x, y, z}, mirror);
        }
      }
    }
  }
  return accumulator.best();
}

DiceTable dice_table(const Volume<std::uint8_t>& prediction, const Volume<std::uint8_t>& truth,
                     const Config& config) {
  const auto classes = static_cast<std::size_t>(config.class_count());
  std::vector<std::int64_t> common(classes), sizes(classes);
  for (std::size_t i = 0; i < truth.voxels.size(); ++i) {
    ++sizes.at(truth.voxels[i]);
    ++sizes.at(prediction.voxels.at(i));
    if (truth.voxels[i] == prediction.voxels[i]) ++common[truth.voxels[i]];
  }
  DiceTable table;
  for (std::size_t cls = 1; cls < classes; ++cls) {
    table.emplace_back(config.classes[cls - 1].name,
                       sizes[cls] == 0
                           ? std::numeric_limits<double>::quiet_NaN()
                           : 2.0 * static_cast<double>(common[cls]) / static_cast<double>(sizes[cls]));
  }
  return table;
}

double mean_dice(const DiceTable& table) {
  double sum = 0;
  int count = 0;
  for (const auto& [name, dice] : table) {
    if (!std::isnan(dice)) sum += dice, ++count;
  }
  return count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace segment
