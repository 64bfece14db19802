#pragma once
// How Winograd convolutions cut the result of pass y (ops/direct/winograd.hpp) among threads.

#include <algorithm>

#include "lucid/parallel.hpp"
#include "ops/conv_problem.hpp"
#include "ops/direct/winograd_tiles.hpp"
#include "ops/range.hpp"

namespace lucid::direct {

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Elements between the points of transformed tiles, lest all 16 fall into one set of the first-level cache.
inline constexpr std::int64_t kApart = kTileChannels;

/// What one thread does at a time: some tile rows of a sample, and a run of depths.
struct TileUnit {
  std::int64_t sample, first_row, rows;
  ops::Range depths;
};

/// Bands of tile rows, runs of depths, and steps of depths in a run.
struct TileBands {
  static constexpr std::int64_t kTiles = 64;  ///< of a band: they share the reading of a weight
  static constexpr std::int64_t kUnitsPerThread = 4;

  /// Enough depths in a step for `step_tiles` tiles, but no more than leave a step for each thread.
  TileBands(const ops::ConvProblem& p, std::int64_t step_tiles)
      : samples(p.batch), result_depths(p.geometry.y[0]) {
    high = ceil_div(p.geometry.y[1], 2);
    wide = ceil_div(p.geometry.y[2], 2);
    rows = std::clamp<std::int64_t>(kTiles / wide, 1, high);
    bands = ceil_div(high, rows);
    const std::int64_t share = ceil_div(samples * bands * result_depths, num_threads());
    step = std::clamp<std::int64_t>(step_tiles / tiles(), 1,
                                    std::max<std::int64_t>(1, std::min(result_depths, share)));
    const std::int64_t wanted = ceil_div(kUnitsPerThread * num_threads(), bands * samples);
    depths = std::min(result_depths, ceil_div(ceil_div(result_depths, wanted), step) * step);
    runs = ceil_div(result_depths, depths);
  }

  std::int64_t tiles() const { return rows * wide; }  ///< of a whole band
  std::int64_t units() const { return samples * bands * runs; }
  TileUnit unit(std::int64_t index) const {
    const std::int64_t begin = index % runs * depths, first_row = index / runs % bands * rows;
    return {index / runs / bands,
            first_row,
            std::min(rows, high - first_row),
            {begin, std::min(begin + depths, result_depths)}};
  }

  std::int64_t samples, result_depths;
  std::int64_t high, wide;          ///< tiles
  std::int64_t rows, bands;         ///< tile rows in a band
  std::int64_t step, depths, runs;  ///< depths in a step and in a run
};

}  // namespace lucid::direct
