#pragma once
// The parts of a Winograd convolution (ops/direct/winograd.hpp) that work on tiles, for chunks of channels:
// of 16, or of 8 where a count is no multiple of that.

#include <cstdint>
#include <span>
#include <vector>

#include "ops/conv_epilogue.hpp"
#include "ops/conv_problem.hpp"

namespace lucid::direct {

inline constexpr std::int64_t kTileChannels = 16;  // of a whole chunk
inline constexpr std::int64_t kHalfChunk = 8;      // what channels are a multiple of
inline constexpr std::int64_t kTileRows = 8;       // what the tiles of a product are a multiple of

/// Tiles of outputs x outputs positions of the result, 2 or 4 along each axis, and what they come from.
struct TileSize {
  std::int64_t outputs;
  constexpr std::int64_t side() const { return outputs + 2; }  ///< of the input
  constexpr std::int64_t points() const { return side() * side(); }
  std::int64_t count(std::int64_t positions) const { return (positions + outputs - 1) / outputs; }
};
inline constexpr std::int64_t kMostOutputs = 4;  // of a tile along an axis

// The positions of one axis whose taps meet each other: those of y are `start` and every `step`-th from
// there, `count` in all, and those of x likewise from x_start. Tap k of position i meets position i + k -
// before of x. Without dilation there is one residue, of all positions.
struct TileResidue {
  std::int64_t start, count, x_start, x_count, before, step;
};
std::vector<TileResidue> residues_of(const ops::ConvGeometry& geometry, std::size_t axis);

/// Tiles that cover a plane (one sample and depth) of y.
std::int64_t tiles_of_plane(const ops::ConvGeometry& geometry, TileSize size);
/// The size with the fewer products, where what is done once for each weight counts as `extra` tiles.
TileSize tile_size_for(const ops::ConvProblem& p, std::int64_t extra);
/// That of the weight's gradient (winograd_weight.cpp).
TileSize summed_tile_size(const ops::ConvProblem& p);

// The lines of input that a row of tiles reads, as many as a tile has, of one chunk of channels and one
// residue of columns. A line outside of the input is zeros with a step of 0.
struct TileLines {
  const float* at[kMostOutputs + 2];
  std::int64_t step[kMostOutputs + 2];  // elements between columns
  std::int64_t columns;                 // of the residue
  std::int64_t first;                   // the column that the first tile begins at
};

/// The lines for positions `first` and the next of `height`, of the plane (sample and depth) of x, whose
/// voxels are `step` apart, from x's first channel.
TileLines tile_lines(TileSize size, const ops::ConvProblem& p, const float* x, std::int64_t step,
                     std::int64_t plane, const TileResidue& height, std::int64_t first,
                     const TileResidue& width);

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

/// A^T m A of one tile, and what follows. m: the tile's first product of `width`; products of one point are
/// point_step apart.
void transform_output(TileSize size, const float* m, std::int64_t point_step, std::int64_t width,
                      const TileOutput& out, const float* bias, const ops::ConvEpilogue& epilogue);

// 3x3 taps of one output and input, and how far the next output, row and column of taps are.
struct TileTaps {
  const float* at;
  std::int64_t output, row, column;
};

/// G g G^T for the taps g of `outputs` outputs, 8, 16 or 32: point p of output f to to[p * point_step + f].
void transform_taps(TileSize size, const TileTaps& taps, std::int64_t outputs, float* to,
                    std::int64_t point_step);

// For the weight's gradient, the same transforms turned round.

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

/// G^T m G of kTileChannels numbers: point p of number i from m[p * kTileChannels + i], tap k to
/// to[k * kTileChannels + i].
void transform_sums(TileSize size, const double* m, double* to);

}  // namespace lucid::direct
