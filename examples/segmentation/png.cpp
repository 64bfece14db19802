#include "examples/segmentation/png.hpp"

#include <png.h>

#include <algorithm>

#include "examples/segmentation/error.hpp"
#include "examples/segmentation/files.hpp"

namespace segment {

std::vector<std::uint8_t> encode_png(const Picture& picture) {
  if (picture.width < 1 || picture.height < 1 || picture.width > 65535 || picture.height > 65535) {
    fail("png: a picture of ", picture.width, "x", picture.height,
         " pixels cannot be written; use 1 to 65535 a side");
  }
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(picture.width);
  image.height = static_cast<png_uint_32>(picture.height);
  image.format = PNG_FORMAT_RGB;
  static_assert(sizeof(Rgb) == 3);
  std::vector<std::uint8_t> bytes(PNG_IMAGE_PNG_SIZE_MAX(image));
  png_alloc_size_t size = bytes.size();
  if (!png_image_write_to_memory(&image, bytes.data(), &size, 0, picture.pixels.data(), 0, nullptr)) {
    fail("png: libpng failed (", image.message, ")");
  }
  bytes.resize(size);
  return bytes;
}

void write_png(const std::string& path, const Picture& picture) {
  const std::vector<std::uint8_t> bytes = encode_png(picture);
  write_file(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void paste(Picture& into, const Picture& from, std::int64_t x, std::int64_t y) {
  const std::int64_t top = std::max<std::int64_t>(0, -y), bottom = std::min(from.height, into.height - y);
  const std::int64_t left = std::max<std::int64_t>(0, -x), right = std::min(from.width, into.width - x);
  for (std::int64_t row = top; row < bottom; ++row) {
    for (std::int64_t column = left; column < right; ++column) {
      into.at(x + column, y + row) = from.at(column, row);
    }
  }
}

Picture stack(const std::vector<Picture>& pictures, std::int64_t gap, Rgb background) {
  std::int64_t width = 0, height = 0;
  for (const Picture& picture : pictures) {
    width = std::max(width, picture.width);
    height += picture.height + (height > 0 ? gap : 0);
  }
  Picture result(width, height, background);
  std::int64_t y = 0;
  for (const Picture& picture : pictures) {
    paste(result, picture, 0, y);
    y += picture.height + gap;
  }
  return result;
}

}  // namespace segment
