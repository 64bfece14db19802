#include <png.h>

#include <string_view>

#include "examples/segmentation/font.hpp"
#include "examples/segmentation/overlay.hpp"
#include "examples/segmentation/png.hpp"
#include "tests/examples/support.hpp"

using namespace segment;
using support::error_of;
using support::TempDir;

namespace {

Picture read_png(const std::string& path) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  REQUIRE(png_image_begin_read_from_file(&image, path.c_str()));
  image.format = PNG_FORMAT_RGB;
  Picture picture(image.width, image.height);
  REQUIRE(png_image_finish_read(&image, nullptr, picture.pixels.data(), 0, nullptr));
  return picture;
}

std::int64_t count(const Picture& picture, Rgb color) {
  return std::count(picture.pixels.begin(), picture.pixels.end(), color);
}

const Overlay& view(const std::vector<Overlay>& overlays, const std::string& name) {
  for (const Overlay& overlay : overlays) {
    if (overlay.view == name) return overlay;
  }
  FAIL("no view " << name);
  return overlays.front();
}

/// Where one class's pixels are brightest in the left half of a picture, as shares of the panel's sides.
std::pair<double, double> place_of_class(const Overlay& overlay, std::int64_t title) {
  const Picture& picture = overlay.picture;
  const std::int64_t half = picture.width / 2;
  double x = 0, y = 0, n = 0;
  for (std::int64_t row = title; row < picture.height; ++row) {
    for (std::int64_t column = 0; column < half; ++column) {
      const Rgb pixel = picture.at(column, row);
      if (pixel.r == pixel.g && pixel.g == pixel.b) continue;
      x += static_cast<double>(column), y += static_cast<double>(row - title), ++n;
    }
  }
  REQUIRE(n > 0);
  return {x / n / static_cast<double>(half), y / n / static_cast<double>(picture.height - title)};
}

/// A volume whose only class-1 voxels are a block at the patient's right, anterior, superior corner.
std::vector<Overlay> corner_overlays(const Affine& affine, const Size3& first) {
  Volume<float> image({12, 12, 12}, affine);
  for (std::size_t i = 0; i < image.voxels.size(); ++i) image.voxels[i] = static_cast<float>(i % 7);
  Volume<std::uint8_t> truth({12, 12, 12}, affine);
  for (int x = 0; x < 3; ++x) {
    for (int y = 0; y < 3; ++y) {
      for (int z = 0; z < 3; ++z) truth.at(first[0] + x, first[1] + y, first[2] + z) = 1;
    }
  }
  return make_overlays(image, truth, Volume<std::uint8_t>({12, 12, 12}, affine));
}

}  // namespace

TEST_CASE("png: what is written is read back") {
  const TempDir dir;
  Picture picture(3, 2, {1, 2, 3});
  picture.at(2, 1) = {250, 128, 0};
  write_png(dir / "a.png", picture);
  const Picture back = read_png(dir / "a.png");
  CHECK(back.width == 3);
  CHECK(back.pixels == picture.pixels);
  CHECK(dir.file_count() == 1);
  CHECK_ERROR(error_of([&] { write_png(dir / "b.png", Picture()); }), "0x0");
}

TEST_CASE("picture: paste cuts off, stack keeps every pixel") {
  Picture ground(4, 4);
  paste(ground, Picture(3, 3, {9, 9, 9}), 2, -1);
  CHECK(count(ground, {9, 9, 9}) == 4);
  CHECK(ground.at(2, 0) == Rgb{9, 9, 9});
  const Picture both = stack({Picture(2, 2, {1, 1, 1}), Picture(3, 1, {2, 2, 2})}, 2, {0, 0, 0});
  CHECK(both.width == 3);
  CHECK(both.height == 5);
  CHECK(count(both, {1, 1, 1}) == 4);
  CHECK(count(both, {2, 2, 2}) == 3);
}

TEST_CASE("picture: text stays inside and differs by letter") {
  Picture a(40, 20), b(40, 20), blank(40, 20);
  draw_text(a, 0, 0, "axial", {255, 255, 255}, 1);
  draw_text(b, 0, 0, "AXIAL", {255, 255, 255}, 1);
  CHECK(a.pixels == b.pixels);
  CHECK(a.pixels != blank.pixels);
  draw_text(blank, 0, 0, "\xc3\xa9", {255, 255, 255}, 1);
  CHECK(count(blank, {255, 255, 255}) == 0);
  draw_text(b, -1000, 15, "truth", {255, 255, 255}, 3);
}

TEST_CASE("overlay: upright whatever the affine") {
  constexpr std::int64_t title = 30;
  // Right, anterior, superior corner: right and up in the coronal and axial views, left (anterior) and up
  // sagittally.
  const auto check = [&](const std::vector<Overlay>& overlays) {
    for (const char* name : {"sagittal", "coronal", "axial"}) {
      CAPTURE(name);
      const auto [x, y] = place_of_class(view(overlays, name), title);
      CHECK((name == std::string_view("sagittal") ? x < 0.3 : x > 0.7));
      CHECK(y < 0.3);
    }
  };
  check(corner_overlays(identity_affine, {9, 9, 9}));
  check(corner_overlays({{{-1, 0, 0, 0}, {0, -1, 0, 0}, {0, 0, -1, 0}}}, {0, 0, 0}));
  check(corner_overlays({{{0, 0.1, -2, 0}, {2, 0, 0.1, 0}, {0, -2, 0, 0}}}, {9, 0, 0}));
}

TEST_CASE("overlay: the slice with the most classes, the prediction on the right") {
  Volume<float> image({8, 8, 8}, identity_affine);
  for (std::size_t i = 0; i < image.voxels.size(); ++i) image.voxels[i] = static_cast<float>(i % 5);
  Volume<std::uint8_t> truth({8, 8, 8}, identity_affine), prediction({8, 8, 8}, identity_affine);
  for (int x = 0; x < 8; ++x) {
    for (int y = 0; y < 8; ++y) truth.at(x, y, 1) = 1;  // many voxels of one class
  }
  truth.at(1, 1, 5) = 1, truth.at(2, 5, 5) = 2, truth.at(5, 5, 5) = 3;  // few of three
  prediction.at(4, 4, 5) = 3;
  const std::vector<Overlay> overlays = make_overlays(image, truth, prediction);
  REQUIRE(overlays.size() == 3);
  CHECK(view(overlays, "axial").slice == 5);
  const Picture& picture = view(overlays, "axial").picture;
  std::int64_t left = 0, right = 0;
  for (std::int64_t row = 30; row < picture.height; ++row) {
    for (std::int64_t column = 0; column < picture.width; ++column) {
      const Rgb pixel = picture.at(column, row);
      if (pixel.g > pixel.r + 40) (column < picture.width / 2 ? left : right) += 1;
    }
  }
  CHECK(left > 0);
  CHECK(right > 0);
  CHECK_ERROR(error_of([&] {
                make_overlays(image, truth, Volume<std::uint8_t>({8, 8, 7}, identity_affine));
              }),
              "8x8x7", "8x8x8");
}

TEST_CASE("overlay: thick slices keep their proportions") {
  const Affine affine{{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 5, 0}}};
  const Volume<float> image({40, 20, 4}, affine);
  const Volume<std::uint8_t> classes({40, 20, 4}, affine);
  const Picture coronal = view(make_overlays(image, classes, classes), "coronal").picture;
  CHECK((coronal.width - 8) / 2 == 2 * (coronal.height - 30));  // 40 mm across, 20 mm up
}
