#pragma once
// How Winograd convolutions (ops/direct/winograd.hpp) cut y among threads: the result, or its gradient that a
// weight's comes from.

#include <algorithm>
#include <array>
#include <vector>

#include "lucid/parallel.hpp"
#include "ops/direct/winograd_tiles.hpp"
#include "ops/range.hpp"

namespace lucid::direct {

/// Elements between the points of transformed tiles, lest all fall into one set of the first-level cache.
inline constexpr std::int64_t kApart = kTileChannels;

/// Some tile rows of a sample, and a run of depths of one residue, through which a thread walks step by step.
/// One that begins in the middle transforms the depths before it again, too.
struct TileUnit {
  std::int64_t sample, first_row, rows;
  const TileResidue* depth;
  ops::Range depths;
};

/// Bands of tile rows, runs of depths, and steps of depths in a run.
struct TileBands {
  static constexpr std::int64_t kTiles = 64;  ///< of a band: they share the reading of a weight

  /// The first of the positions of one residue along height that a row of tiles covers.
  struct Row {
    const TileResidue* residue;
    std::int64_t first;
  };
  struct Run {
    const TileResidue* residue;
    ops::Range depths;
  };

  /// How many depths make a step: those of at most `most_tiles`, but no more than leave a step for each
  /// thread.
  struct Steps {
    std::int64_t most_tiles;
    std::int64_t multiple;  ///< that a step's tiles are rounded up to
    bool are_long;          ///< as many as that; else the fewest that leave little idle by the rounding
  };

  /// The problem must outlive this. `at_once`: how many such are worked on at the same time, groups and
  /// problems.
  TileBands(const TileProblem& problem, TileSize tile, const Steps& steps, std::int64_t at_once)
      : size(tile), samples(problem.batch), residues(problem.axes) {
    for (const TileResidue& height : residues[1])
      for (std::int64_t first = 0; first < height.count; first += size.outputs)
        tile_rows.push_back({&height, first});
    for (const TileResidue& width : residues[2]) wide += size.count(width.count);
    const std::int64_t high = std::ssize(tile_rows);
    bands = ceil_div(high, std::clamp<std::int64_t>(kTiles / wide, 1, high));
    rows = ceil_div(high, bands);
    bands = ceil_div(high, rows);
    step = step_for(steps, at_once);
    for (const TileResidue& depth : residues[0]) {
      const std::int64_t count = ceil_div(depth.count, step), parts = split(count, shared_with(at_once)).runs;
      for (std::int64_t i = 0; i < parts; ++i)
        runs.push_back(
            {&depth, {count * i / parts * step, std::min(count * (i + 1) / parts * step, depth.count)}});
    }
  }

  std::int64_t tiles() const { return rows * wide; }  ///< of a whole band
  std::int64_t units() const { return samples * bands * std::ssize(runs); }
  TileUnit unit(std::int64_t index) const {
    const std::int64_t count = std::ssize(runs), first_row = index / count % bands * rows;
    const Run& run = runs[static_cast<std::size_t>(index % count)];
    return {index / count / bands, first_row, std::min(rows, std::ssize(tile_rows) - first_row), run.residue,
            run.depths};
  }
  const Row& row(std::int64_t index) const { return tile_rows[static_cast<std::size_t>(index)]; }

  /// Calls f(residue, first tile) for the widths of a row of tiles.
  template <class F>
  void for_widths(F&& f) const {
    std::int64_t tile = 0;
    for (const TileResidue& width : residues[2]) {
      f(width, tile);
      tile += size.count(width.count);
    }
  }

  TileSize size;
  std::int64_t samples;
  const std::array<TileAxis, 3>& residues;  ///< of depth, height and width
  std::vector<Row> tile_rows;
  std::vector<Run> runs;
  std::int64_t wide = 0;     ///< tiles of a row
  std::int64_t rows, bands;  ///< tile rows in a band
  std::int64_t step;         ///< depths of a step

 private:
  // Runs of equal length, and what the busiest thread then does of the whole.
  struct Split {
    std::int64_t runs;
    double busiest;
  };
  // The fewest runs of so many steps that leave threads equal work: each transforms the depths before it
  // again. There are steps `times` over.
  static Split split(std::int64_t steps, std::int64_t times) {
    constexpr double kWorthIt = 0.97;
    const std::int64_t threads = num_threads();
    const auto ratio = [](std::int64_t a, std::int64_t b) {
      return static_cast<double>(a) / static_cast<double>(b);
    };
    Split best{1, 1};
    for (std::int64_t runs = 1; runs <= std::min(steps, 2 * threads); ++runs) {
      const double busiest =
          ratio(ceil_div(steps, runs), steps) * ratio(ceil_div(runs * times, threads), times);
      if (busiest < kWorthIt * best.busiest) best = {runs, busiest};
    }
    return best;
  }
  // What has the depths of a residue: groups, problems, samples, bands and residues.
  std::int64_t shared_with(std::int64_t at_once) const {
    return std::max<std::int64_t>(1, at_once * samples * bands * std::ssize(residues[0]));
  }

  std::int64_t step_for(const Steps& steps, std::int64_t at_once) const {
    const std::int64_t depths = residues[0].front().count,
                       share = ceil_div(shared_with(at_once) * depths, num_threads());
    const std::int64_t most = std::clamp<std::int64_t>(steps.most_tiles / tiles(), 1,
                                                       std::max<std::int64_t>(1, std::min(depths, share)));
    if (steps.are_long) return most;
    // A step reads the weight, which takes as long as a group of tiles.
    const auto groups_of_tiles = [&](std::int64_t count) {
      return count ? ceil_div(count * tiles(), steps.multiple) + 1 : 0;
    };
    constexpr double kWorthIt = 0.96;
    std::int64_t best = 1;
    double least = 1e18;
    for (std::int64_t count = 1; count <= most; ++count) {
      const std::int64_t all = depths / count * groups_of_tiles(count) + groups_of_tiles(depths % count);
      const double cost =
          static_cast<double>(all) * split(ceil_div(depths, count), shared_with(at_once)).busiest;
      if (cost < kWorthIt * least) best = count, least = cost;
    }
    return best;
  }
};

}  // namespace lucid::direct
