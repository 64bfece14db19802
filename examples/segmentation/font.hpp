#pragma once

#include <string_view>

#include "examples/segmentation/png.hpp"

namespace segment {

inline constexpr std::int64_t glyph_width = 6,
                              glyph_height = 9;  ///< in pixels at zoom 1, with the space between

/// Writes text with its top left at (x, y) in a small built-in font: letters (without case), digits, - . , (
/// ) / %. Other characters show as a space. What lies outside the picture is cut off.
void draw_text(Picture& picture, std::int64_t x, std::int64_t y, std::string_view text, Rgb color,
               std::int64_t zoom = 2);

}  // namespace segment
