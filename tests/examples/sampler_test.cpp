#include "examples/segmentation/sampler.hpp"

#include <map>

#include "tests/examples/support.hpp"

using namespace segment;
using support::error_of;

namespace {

/// 6x5x4 voxels whose image value is their index; class 2 at one voxel, class 1 at two.
struct Fixture {
  Volume<float> image{{6, 5, 4}, identity_affine};
  Volume<std::uint8_t> classes{{6, 5, 4}, identity_affine};
  Config config;

  Fixture() {
    for (std::size_t i = 0; i < image.voxels.size(); ++i) image.voxels[i] = static_cast<float>(i);
    classes.at(4, 2, 1) = 2;
    classes.at(0, 0, 0) = classes.at(3, 3, 3) = 1;
    config.classes = {{"a", {{1, 1}}}, {"b", {{2, 2}}}};
    config.patch = {3, 3, 2};
    config.foreground_fraction = 1;
  }
  Sampler sampler() const { return Sampler(image, classes, config); }
};

/// The voxel of the volume that element (x, y, z) of the first patch shows.
Size3 voxel(const Patches& patches, std::int64_t x, std::int64_t y, std::int64_t z) {
  const auto value = static_cast<std::int64_t>(patches.image[0][0][x][y][z].item<float>());
  return {value / 20, value / 4 % 5, value % 4};
}

}  // namespace

TEST_CASE("sampler: patches are blocks of the volume with their classes") {
  Fixture fixture;
  fixture.config.batch = 2;
  fixture.config.foreground_fraction = 0.5;
  const Sampler sampler = fixture.sampler();
  lucid::Generator generator(3);
  for (int round = 0; round < 20; ++round) {
    const Patches patches = sampler.draw(generator);
    REQUIRE(patches.image.shape() == lucid::Shape{2, 1, 3, 3, 2});
    REQUIRE(patches.classes.shape() == lucid::Shape{2, 3, 3, 2});
    const auto values = patches.image.to_vector<float>();
    const auto classes = patches.classes.to_vector<std::int64_t>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto from = static_cast<std::size_t>(values[i]);
      CHECK(classes[i] == fixture.classes.voxels[from]);
    }
    const Size3 first = voxel(patches, 0, 0, 0), last = voxel(patches, 2, 2, 1);
    for (int axis = 0; axis < 3; ++axis) CHECK(last[axis] - first[axis] == fixture.config.patch[axis] - 1);
  }
}

TEST_CASE("sampler: foreground patches are centred on a class drawn uniformly, within the volume") {
  const Fixture fixture;
  const Sampler sampler = fixture.sampler();
  lucid::Generator generator(0);
  std::map<Size3, int> starts;
  constexpr int draws = 3000;
  for (int i = 0; i < draws; ++i) ++starts[voxel(sampler.draw(generator), 0, 0, 0)];
  // Centre minus half a patch, moved inside: (4,2,1) -> (3,1,0); (0,0,0) -> (0,0,0); (3,3,3) -> (2,2,2).
  REQUIRE(starts.size() == 3);
  CHECK(starts[{3, 1, 0}] / double(draws) == doctest::Approx(0.5).epsilon(0.1));
  CHECK(starts[{0, 0, 0}] / double(draws) == doctest::Approx(0.25).epsilon(0.15));
  CHECK(starts[{2, 2, 2}] / double(draws) == doctest::Approx(0.25).epsilon(0.15));
}

TEST_CASE("sampler: without a foreground share every place is as likely") {
  Fixture fixture;
  fixture.config.foreground_fraction = 0;
  const Sampler sampler = fixture.sampler();
  lucid::Generator generator(0);
  std::map<Size3, int> starts;
  for (int i = 0; i < 3600; ++i) ++starts[voxel(sampler.draw(generator), 0, 0, 0)];
  REQUIRE(starts.size() == 4 * 3 * 3);
  for (const auto& [start, count] : starts) CHECK(count / 100.0 == doctest::Approx(1).epsilon(0.4));
}

TEST_CASE("sampler: flips, scale and shift") {
  Fixture fixture;
  fixture.config.augment = {{true, false, false}, 0.1, 0.5};
  for (float& value : fixture.image.voxels) value = value < 60 ? 1.0F : 2.0F;  // x < 3, x >= 3
  const Sampler sampler = fixture.sampler();
  lucid::Generator generator(1);
  int flipped = 0, crossing = 0;
  double smallest = 1e9, largest = -1e9;
  for (int i = 0; i < 2000; ++i) {
    const Patches patches = sampler.draw(generator);
    const auto low = patches.image[0][0][0][0][0].item<float>(),
               high = patches.image[0][0][2][0][0].item<float>();
    const auto b = patches.classes.to_vector<std::int64_t>();
    if (low == high) {
      smallest = std::min(smallest, double(low)), largest = std::max(largest, double(low));
      continue;
    }
    ++crossing;
    if (low > high) ++flipped;
    // value = voxel * scale + shift, voxels 1 and 2: the difference is the scale
    CHECK(std::abs(high - low) >= 0.9F - 1e-5F);
    CHECK(std::abs(high - low) <= 1.1F + 1e-5F);
  }
  REQUIRE(crossing > 200);
  CHECK(flipped / double(crossing) == doctest::Approx(0.5).epsilon(0.15));
  CHECK(smallest < 0.55);
  CHECK(smallest >= 0.9 - 0.5);
  CHECK(largest > 2.4);
  CHECK(largest <= 2.2 + 0.5);
}

TEST_CASE("sampler: a patch depends on the generator's state alone") {
  Fixture fixture;
  fixture.config.augment = {{true, true, true}, 0.1, 0.1};
  fixture.config.foreground_fraction = 0.5;
  const Sampler sampler = fixture.sampler();
  lucid::Generator generator(7);
  for (int i = 0; i < 5; ++i) sampler.draw(generator);
  lucid::Generator again(0);
  again.set_state(generator.seed(), generator.offset());
  const Patches a = sampler.draw(generator), b = sampler.draw(again), c = sampler.draw(again);
  CHECK(a.image.to_vector<float>() == b.image.to_vector<float>());
  CHECK(a.classes.to_vector<std::int64_t>() == b.classes.to_vector<std::int64_t>());
  CHECK(a.image.to_vector<float>() != c.image.to_vector<float>());
}

TEST_CASE("sampler: refuses what it cannot sample") {
  Fixture fixture;
  fixture.config.patch = {3, 6, 2};
  CHECK_ERROR(error_of([&] { fixture.sampler(); }), "3x6x2 is larger than the train volume 6x5x4",
              "at most 5");
  Fixture empty;
  empty.classes.at(4, 2, 1) = 0;
  CHECK_ERROR(error_of([&] { empty.sampler(); }), "class \"b\" has no voxel in the training region");
}
