#pragma once
// The parts of a Winograd convolution (ops/direct/winograd.hpp) that work on tiles, for chunks of channels:
// of 16, or of 8 where a count is no multiple of that.

#include <cstdint>
#include <span>

#include "ops/conv_epilogue.hpp"
#include "ops/direct/winograd_problem.hpp"

namespace lucid::direct {

inline constexpr std::int64_t kTileChannels = 16;  // of a whole chunk
inline constexpr std::int64_t kHalfChunk = 8;      // what channels are a multiple of
inline constexpr std::int64_t kTileRows = 8;       // what the tiles of a product are a multiple of

// The lines of input that a row of tiles reads, as many as a tile has, of one chunk of channels and one
// phase of columns. A line outside of the input is zeros with a step of 0.
struct TileLines {
  const float* at[kMostSide];
  std::int64_t step[kMostSide];  // elements between columns
  std::int64_t columns;          // of the phase
  std::int64_t first;            // the column that the first tile begins at
};

/// The lines for the tile row that begins at position `first` of the result, of a plane (sample and depth) of
/// sizes[1] x sizes[2] voxels, which are `step` apart.
TileLines tile_lines(TileSize size, const float* plane, std::int64_t step, const Dims3& sizes,
                     const TilePhase& height, std::int64_t first, const TilePhase& width);

/// B^T d B of each tile d of a row of tiles: tile t's point p to to[p * point_step + t * kTileChannels], for
/// a chunk of `channels`.
void transform_lines(TileSize size, const TileLines& lines, std::int64_t channels, std::int64_t tiles,
                     float* to, std::int64_t point_step);

// One chunk of inputs, of one point: a[tile * kTileChannels + k] times b[k * width + j], k < channels.
struct TileTerm {
  const float* a;
  const float* b;
  std::int64_t channels;
};

/// The sums over `terms` for `tiles` tiles, a multiple of kTileRows, from tile `first` on; c is
/// [tile][output], with `width` outputs: 8, 16 or 32.
void multiply_tiles(std::span<const TileTerm> terms, std::int64_t first, std::int64_t tiles,
                    std::int64_t width, float* c);

struct TileOutput {
  float* at;                   // of the tile's first voxel, and of the first channel of the block
  std::int64_t rows, columns;  // that there are, of those of a tile
  std::int64_t row, column;    // elements between voxels
};

/// A^T m A of each tile, and what follows, to `offset` elements behind where it lies. m: the first tile's
/// first product of `width`; products of the next tile follow, those of one point are point_step apart.
void transform_outputs(TileSize size, const float* m, std::int64_t point_step, std::int64_t width,
                       std::span<const TileOutput> tiles, std::int64_t offset, const float* bias,
                       const ops::ConvEpilogue& epilogue);

// rows x columns taps of one output and input, and how far the next output, row and column of taps are.
struct TileTaps {
  const float* at;
  std::int64_t output, row, column;
  std::int64_t rows, columns;  // as many as the tile's size has, or fewer: the last are zeros then
};

/// G g G^T for the taps g of `outputs` outputs, 8, 16 or 32: point p of output f to to[p * point_step + f].
void transform_taps(TileSize size, const TileTaps& taps, std::int64_t outputs, float* to,
                    std::int64_t point_step);

// For the weight's gradient, the same transforms turned round.

/// The size that its tiles have.
TileSize summed_tile_size(const ops::ConvProblem& p, const TileProblems& problems);

// The lines of gradients that a row of tiles reads, of one chunk of channels and one residue of columns; null
// outside.
struct TileGrads {
  const float* at[kMostOutputs];
  std::int64_t step, columns;
};

/// A g A^T of each tile g of a row of tiles: tile t's point p to to[p * point_step + t * width], for a chunk
/// of `channels`.
void transform_grads(TileSize size, const TileGrads& grads, std::int64_t channels, std::int64_t tiles,
                     float* to, std::int64_t point_step, std::int64_t width);

/// G^T m G of kTileChannels numbers: point p of number i from m[p * kTileChannels + i], tap (k, l) to
/// to[(k * size.taps + l) * kTileChannels + i].
void transform_sums(TileSize size, const double* m, double* to);

}  // namespace lucid::direct
