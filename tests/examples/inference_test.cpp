#include "examples/segmentation/inference.hpp"

#include <cmath>

#include "autograd/grad_mode.hpp"
#include "tests/examples/support.hpp"

using namespace segment;

namespace {

using Starts = std::vector<std::int64_t>;

Config two_classes(const Size3& patch) {
  Config config;
  config.classes = {{"one", {{1, 1}}}};
  config.patch = patch;
  return config;
}

/// Logits (-v, v) of an image of v.
lucid::Tensor sign_net(const lucid::Tensor& x) {
  const lucid::Shape& s = x.shape();
  const auto values = x.to_vector<float>();
  std::vector<float> logits;
  for (const float v : values) logits.push_back(-v);
  logits.insert(logits.end(), values.begin(), values.end());
  return lucid::Tensor::from(logits, {1, 2, s[2], s[3], s[4]});
}

}  // namespace

TEST_CASE("inference: windows cover an axis") {
  CHECK(window_starts(10, 10, 0.5) == Starts{0});
  CHECK(window_starts(11, 10, 0.5) == Starts{0, 1});
  CHECK(window_starts(8, 4, 0) == Starts{0, 4});
  CHECK(window_starts(9, 4, 0) == Starts{0, 4, 5});
  CHECK(window_starts(108, 48, 0.5) == Starts{0, 24, 48, 60});
  CHECK(window_starts(3, 1, 0.9) == Starts{0, 1, 2});
  for (std::int64_t size = 1; size < 30; ++size) {
    for (std::int64_t window = 1; window <= size; ++window) {
      const Starts starts = window_starts(size, window, 0.25);
      CHECK(starts.front() == 0);
      CHECK(starts.back() == size - window);
      for (std::size_t i = 1; i < starts.size(); ++i) {
        CHECK(starts[i] > starts[i - 1]);
        CHECK(starts[i] - starts[i - 1] <= std::max<std::int64_t>(1, window * 3 / 4));
      }
    }
  }
}

TEST_CASE("inference: every voxel gets its own class back, whatever the windows") {
  Volume<float> image({9, 7, 5}, identity_affine);
  Volume<std::uint8_t> truth(image.size, identity_affine);
  for (std::size_t i = 0; i < image.voxels.size(); ++i) {
    truth.voxels[i] = (i * 7919) % 13 < 5;
    image.voxels[i] = truth.voxels[i] ? 1.0F + static_cast<float>(i) : -1.0F - static_cast<float>(i);
  }
  for (const Size3& patch : {Size3{4, 4, 4}, Size3{9, 7, 5}, Size3{1, 2, 3}, Size3{100, 3, 100}}) {
    for (const char* weighting : {"gaussian", "uniform"}) {
      for (const bool mirror : {false, true}) {
        Config config = two_classes(patch);
        config.augment.flip = {true, false, true};
        config.validate.weighting = weighting;
        config.validate.mirror = mirror;
        int windows = 0;
        const auto net = [&](const lucid::Tensor& x) {
          CHECK_FALSE(lucid::autograd::is_recording());
          ++windows;
          return sign_net(x);
        };
        CHECK(segment_volume(net, image, config).voxels == truth.voxels);
        if (patch[0] == 9) CHECK(windows == (mirror ? 4 : 1));
      }
    }
  }
  CHECK(lucid::autograd::is_recording());
}

TEST_CASE("inference: mirror images are averaged in place") {
  // A net that answers class 1 for the first voxel of its window alone, more surely than 0 elsewhere.
  const auto net = [](const lucid::Tensor& x) {
    const auto size = static_cast<std::size_t>(x.numel());
    std::vector<float> logits(2 * size, 0.0F);
    for (std::size_t i = 0; i < size; ++i) logits[i] = 0.1F;
    logits[size] = 9.0F;
    return lucid::Tensor::from(logits, {1, 2, x.size(2), x.size(3), x.size(4)});
  };
  Config config = two_classes({4, 2, 2});
  config.augment.flip = {true, false, true};
  const Volume<float> image({4, 2, 2}, identity_affine);
  Volume<std::uint8_t> expected(image.size, identity_affine);
  expected.at(0, 0, 0) = 1;
  CHECK(segment_volume(net, image, config).voxels == expected.voxels);
  config.validate.mirror = true;
  expected.at(3, 0, 0) = expected.at(0, 0, 1) = expected.at(3, 0, 1) =
      1;  // a quarter each of 0.9999 against 0.4750
  config.classes.push_back({"two", {{2, 2}}});
  config.classes.pop_back();
  const auto result = segment_volume(net, image, config);
  for (const auto& [x, z] : {std::pair{0, 0}, {3, 0}, {0, 1}, {3, 1}}) CHECK(result.at(x, 0, z) == 1);
  CHECK(std::count(result.voxels.begin(), result.voxels.end(), 1) == 4);
}

TEST_CASE("inference: a bell trusts the middle of a window") {
  // Windows of 4 at 0 and 2 overlap in voxels 2 and 3. Each window says 1 in its first half and 0 in its
  // second: at 2 the second window, whose start it is, speaks against the first, whose third voxel is nearer
  // to its middle.
  const auto net = [](const lucid::Tensor& x) {
    std::vector<float> logits(8, 0.0F);
    logits[4] = logits[5] = 2.0F;
    logits[2] = logits[3] = 2.0F;
    return lucid::Tensor::from(logits, {1, 2, x.size(2), 1, 1});
  };
  Config config = two_classes({4, 1, 1});
  const Volume<float> image({6, 1, 1}, identity_affine);
  CHECK(segment_volume(net, image, config).voxels == std::vector<std::uint8_t>{1, 1, 0, 1, 0, 0});
}

TEST_CASE("inference: stops between windows") {
  const Volume<float> image({8, 1, 1}, identity_affine);
  int calls = 0;
  CHECK_THROWS_AS(segment_volume(sign_net, image, two_classes({2, 1, 1}),
                                 [&] {
                                   if (++calls == 3) throw 1;
                                 }),
                  int);
  CHECK(calls == 3);
}

TEST_CASE("inference: Dice from counts") {
  Config config = two_classes({1, 1, 1});
  config.classes.push_back({"two", {{2, 2}}});
  config.classes.push_back({"three", {{3, 3}}});
  Volume<std::uint8_t> truth({6, 1, 1}, identity_affine), prediction = truth;
  truth.voxels = {0, 1, 1, 1, 2, 0};
  prediction.voxels = {1, 1, 1, 0, 0, 0};
  const DiceTable table = dice_table(prediction, truth, config);
  REQUIRE(table.size() == 3);
  CHECK(table[0].first == "one");
  CHECK(table[0].second == doctest::Approx(2.0 * 2 / (3 + 3)));
  CHECK(table[1].second == 0);
  CHECK(std::isnan(table[2].second));
  CHECK(mean_dice(table) == doctest::Approx(1.0 / 3));
  CHECK(std::isnan(mean_dice({})));
}
