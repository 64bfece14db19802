#include "examples/segmentation/preprocess.hpp"

#include <cmath>

#include "tests/examples/support.hpp"

using namespace segment;
using support::error_of;

namespace {

template <class T>
Volume<T> counting_volume(const Size3& size) {
  Volume<T> volume(size, identity_affine);
  for (std::int64_t x = 0; x < size[0]; ++x) {
    for (std::int64_t y = 0; y < size[1]; ++y) {
      for (std::int64_t z = 0; z < size[2]; ++z) volume.at(x, y, z) = static_cast<T>(x + 10 * y + 100 * z);
    }
  }
  return volume;
}

}  // namespace

TEST_CASE("preprocess: blocks are averaged, odd ends are dropped, the origin is the first block's centre") {
  Volume<float> image = counting_volume<float>({5, 4, 7});
  image.affine = {{{-1, 0, 0, 90}, {0, 2, 0, -126}, {0, 0, 3, -72}}};
  const Volume<float> half = downsample_mean(image, 2);
  CHECK(half.size == Size3{2, 2, 3});
  CHECK(half.at(0, 0, 0) == 0.5f + 5 + 50);
  CHECK(half.at(1, 1, 2) == 2.5f + 25 + 450);
  CHECK(half.affine == Affine{{{-2, 0, 0, 89.5}, {0, 4, 0, -125}, {0, 0, 6, -70.5}}});
  CHECK(downsample_mean(image, 1).voxels == image.voxels);
  CHECK_ERROR(error_of([&] { downsample_mean(image, 5); }), "factor 5", "5x4x7");
}

TEST_CASE("preprocess: labels are subsampled on the same grid and come back as blocks") {
  const Volume<std::int32_t> labels = counting_volume<std::int32_t>({5, 4, 7});
  const Volume<std::int32_t> half = downsample_labels(labels, 2);
  CHECK(half.size == Size3{2, 2, 3});
  CHECK(half.at(1, 1, 2) == 2 + 20 + 400);
  CHECK(half.affine == downsample_mean(counting_volume<float>({5, 4, 7}), 2).affine);

  Volume<std::uint8_t> classes(half.size, half.affine);
  for (std::size_t i = 0; i < classes.voxels.size(); ++i) classes.voxels[i] = static_cast<std::uint8_t>(i);
  const Volume<std::uint8_t> full = upsample_classes(classes, 2, labels.size, labels.affine);
  CHECK(full.size == labels.size);
  CHECK(full.affine == labels.affine);
  CHECK(full.at(0, 0, 0) == classes.at(0, 0, 0));
  CHECK(full.at(3, 1, 5) == classes.at(1, 0, 2));
  CHECK(full.at(4, 3, 6) == classes.at(1, 1, 2));  // the dropped ends take their neighbour's
}

TEST_CASE("preprocess: labels become classes") {
  Volume<std::int32_t> labels({1, 1, 6}, identity_affine);
  labels.voxels = {0, 1, 70, 71, 80, -4};
  const Volume<std::uint8_t> classes =
      group_labels(labels, {{"a", {{1, 70}, {79, 90}}}, {"b", {{71, 78}, {-5, -3}}}});
  CHECK(classes.voxels == std::vector<std::uint8_t>{0, 1, 1, 2, 1, 2});
  CHECK(group_labels(labels, {{"zero", {{0, 0}}}}).voxels[0] == 1);
}

TEST_CASE("preprocess: nonzero voxels get mean 0 and deviation 1") {
  Volume<float> image({1, 2, 4}, identity_affine);
  image.voxels = {0, 0, 2, 4, 6, 8, 0, 0};
  standardise_nonzero(image, "scan.nii");
  const float deviation = std::sqrt(5.0f);
  CHECK(image.voxels[2] == doctest::Approx(-3 / deviation));
  CHECK(image.voxels[5] == doctest::Approx(3 / deviation));
  CHECK(image.voxels[0] == doctest::Approx(-5 / deviation));
  for (const float value : {0.0f, 3.0f}) {
    Volume<float> flat({2, 2, 2}, identity_affine, value);
    CHECK_ERROR(error_of([&] { standardise_nonzero(flat, "scan.nii"); }), "scan.nii", "all equal");
  }
}

TEST_CASE("preprocess: crops carry their place along") {
  Volume<float> image = counting_volume<float>({5, 4, 7});
  image.affine = {{{0, 2, 0, 1}, {3, 0, 0, 2}, {0, 0, 4, 3}}};
  Region region;
  region.range[0] = {1, 4};
  region.range[2] = {5, 7};
  const Volume<float> part = crop(image, region, "train");
  CHECK(part.size == Size3{3, 4, 2});
  CHECK(part.at(0, 0, 0) == 501);
  CHECK(part.at(2, 3, 1) == 3 + 30 + 600);
  CHECK(part.affine == Affine{{{0, 2, 0, 1}, {3, 0, 0, 5}, {0, 0, 4, 23}}});
  region.range[1] = {0, 5};
  CHECK_ERROR(error_of([&] { crop(image, region, "validation"); }), "validation.y", "[0, 5]", "4 voxels");
}

TEST_CASE("preprocess: a patch must fit") {
  CHECK(error_of([] { require_patch_fits({4, 5, 6}, {4, 5, 6}, "train"); }).empty());
  CHECK_ERROR(error_of([] {
                require_patch_fits({4, 6, 6}, {4, 5, 6}, "train");
              }),
              "patch: 4x6x6", "train", "4x5x6", "along y", "at most 5");
}
