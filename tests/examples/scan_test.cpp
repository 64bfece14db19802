#include <algorithm>
#include <numeric>

#include "examples/segmentation/overlay.hpp"
#include "examples/segmentation/preprocess.hpp"
#include "tests/examples/support.hpp"

using namespace segment;
using support::TempDir;

TEST_CASE("scan: the demo's data on the demo's grid") {
  const Config config = read_config("examples/segmentation/brain.json");
  const Case brain = load_case(config);
  CHECK(brain.original_size == Size3{181, 217, 181});
  REQUIRE(brain.image.size == Size3{90, 108, 90});
  REQUIRE(brain.classes.size == brain.image.size);
  CHECK(brain.image.affine == brain.classes.affine);
  // 1 mm voxels from (-90, -125, -71): the first 2x2x2 block is centred half a millimetre on.
  CHECK(brain.image.affine == Affine{{{2, 0, 0, -89.5}, {0, 2, 0, -124.5}, {0, 0, 2, -70.5}}});
  std::array<std::int64_t, 4> counts{};
  for (const std::uint8_t cls : brain.classes.voxels) ++counts.at(cls);
  // Counted, averaged and standardised by a separate script.
  CHECK(counts == std::array<std::int64_t, 4>{689395, 154231, 6759, 24415});
  CHECK(brain.image.at(45, 54, 45) == doctest::Approx(-0.409910));
  CHECK(brain.image.at(20, 70, 40) == doctest::Approx(0.335794));

  const Volume<std::uint8_t> left = crop(brain.classes, config.train, "train");
  const Volume<std::uint8_t> right = crop(brain.classes, config.validation, "validation");
  CHECK(left.size == Size3{45, 108, 90});
  CHECK(right.size == left.size);
  CHECK(right.affine[0][3] == 0.5);
  require_patch_fits(config.patch, left.size, "train");
  const auto foreground = [](const Volume<std::uint8_t>& volume) {
    return static_cast<double>(volume.count() - std::count(volume.voxels.begin(), volume.voxels.end(), 0));
  };
  CHECK(foreground(left) / foreground(right) == doctest::Approx(1).epsilon(0.1));
}

TEST_CASE("scan: the prediction goes back to the scan's grid with the scan's affine") {
  const TempDir dir;
  const Config config = read_config("examples/segmentation/brain.json");
  const Case brain = load_case(config);
  const NiftiFile<float> scan = read_image(config.image);
  write_labels(dir / "full.nii.gz",
               upsample_classes(brain.classes, config.downsample, brain.original_size, brain.original_affine),
               *brain.header);
  const NiftiFile<std::int32_t> full = read_labels(dir / "full.nii.gz");
  require_same_grid(config.image, scan.volume, dir / "full.nii.gz", full.volume);
  CHECK(full.volume.affine == scan.volume.affine);

  write_labels(dir / "half.nii.gz", crop(brain.classes, config.validation, "validation"), *brain.header);
  const NiftiFile<std::int32_t> half = read_labels(dir / "half.nii.gz");
  CHECK(half.volume.affine == crop(brain.image, config.validation, "validation").affine);
}

TEST_CASE("scan: the 1 mm config fits the scan") {
  const Config config = read_config("examples/segmentation/brain-1mm.json");
  const Case brain = load_case(config);
  CHECK(brain.image.size == Size3{181, 217, 181});
  require_patch_fits(config.patch, crop(brain.image, config.train, "train").size, "train");
  CHECK(crop(brain.image, config.validation, "validation").size == Size3{90, 217, 181});
}

TEST_CASE("scan: an atlas on another grid, a class that is not there") {
  Config config = read_config("examples/segmentation/brain.json");
  config.classes.push_back({"moon", {{500, 600}}});
  CHECK_ERROR(support::error_of([&] { load_case(config); }), "aal.nii.gz", "\"moon\"", "classes[3].labels");
  const TempDir dir;
  support::write_bytes(dir / "small.nii", support::counting<std::int16_t>(4).bytes());
  config.labels = dir / "small.nii";
  CHECK_ERROR(support::error_of([&] { load_case(config); }), "small.nii", "3x4x5", "181x217x181");
}

TEST_CASE("scan: overlays are drawn from the scan") {
  const Case brain = load_case(read_config("examples/segmentation/brain.json"));
  const std::vector<Overlay> overlays = make_overlays(brain.image, brain.classes, brain.classes);
  REQUIRE(overlays.size() == 3);
  for (const Overlay& overlay : overlays) {
    CAPTURE(overlay.view);
    for (const std::int64_t cls : {1, 2, 3}) {
      // Contours are nearly the pure colour; every class must show in every view.
      const Rgb color = class_color(cls);
      const auto near = [&](Rgb pixel) {
        return std::abs(pixel.r - color.r) + std::abs(pixel.g - color.g) + std::abs(pixel.b - color.b) < 40;
      };
      CHECK(std::count_if(overlay.picture.pixels.begin(), overlay.picture.pixels.end(), near) > 20);
    }
  }
  const char* folder = std::getenv("LUCID_TEST_PICTURES");  // to look at them
  if (folder != nullptr) {
    write_png(std::string(folder) + "/plate.png",
              make_plate(overlays, {"background", "cerebral cortex", "deep grey nuclei", "cerebellum"}));
  }
}
