#pragma once
// Dot products along lines of voxels, of some channels with some rows at a time: the inner loops of
// ops/direct/weight_dots.cpp.

#include <array>
#include <cstdint>

namespace lucid::direct {

/// Of the lines of a block, padded to whole registers, the product of each row of x with each channel of y is
/// added to totals[channel * totals_step + row]. The sums of a block are in float, the totals in double.
struct LineDots {
  const float* x;               ///< from where `offsets` count
  const std::int64_t* offsets;  ///< of each row's first line
  const float* y;
  std::int64_t y_channel;  ///< from one channel's line to the next
  std::int64_t planes, lines, voxels;
  std::int64_t x_plane, x_line, y_plane, y_line;  ///< steps from one to the next
  double* totals;
  std::int64_t totals_step;
};

/// Channels that are summed at once, and the rows of 1 to 4 channels: 8 to 12 sums in flight hide the latency
/// of a multiplication.
inline constexpr std::int64_t kDotChannels = 4;
inline constexpr std::array<std::int64_t, kDotChannels> kDotRows = {8, 6, 4, 3};

/// `channels` from 1 to kDotChannels, and `rows` from 1 to their kDotRows.
void add_line_dots(const LineDots& dots, std::int64_t rows, std::int64_t channels);

}  // namespace lucid::direct
