#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace segment {

struct Rgb {
  std::uint8_t r = 0, g = 0, b = 0;
  bool operator==(const Rgb&) const = default;
};

/// Pixels by rows from the top left.
struct Picture {
  std::int64_t width = 0, height = 0;
  std::vector<Rgb> pixels;

  Picture() = default;
  Picture(std::int64_t width_, std::int64_t height_, Rgb fill = {})
      : width(width_), height(height_), pixels(static_cast<std::size_t>(width_ * height_), fill) {}
  Rgb& at(std::int64_t x, std::int64_t y) { return pixels[static_cast<std::size_t>(y * width + x)]; }
  const Rgb& at(std::int64_t x, std::int64_t y) const {
    return pixels[static_cast<std::size_t>(y * width + x)];
  }
};

/// The picture as a PNG file in memory.
std::vector<std::uint8_t> encode_png(const Picture& picture);

/// Writes a PNG file; it is replaced at once or not at all.
void write_png(const std::string& path, const Picture& picture);

/// Copies `from` into `into` with its top left at (x, y); what lies outside is cut off.
void paste(Picture& into, const Picture& from, std::int64_t x, std::int64_t y);

/// Pictures below each other, left-aligned, `gap` pixels apart.
Picture stack(const std::vector<Picture>& pictures, std::int64_t gap, Rgb background);

}  // namespace segment
