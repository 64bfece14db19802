#pragma once
// A pass of a convolution as Winograd convolutions (ops/direct/winograd.hpp) of stride 1, whose positions lie
// as far apart as dilation and stride ask.

#include <array>
#include <cstdint>
#include <vector>

#include "ops/conv_problem.hpp"

namespace lucid::direct {

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return a > 0 ? (a - 1) / b + 1 : -(-a / b); }

/// Tiles of outputs x outputs positions of the result: 2 or 4 along each axis for 2 or 3 taps along it, and 2
/// for 5 taps, of which the last ones may be zeros.
struct TileSize {
  std::int64_t outputs, taps;
  constexpr std::int64_t side() const { return outputs + taps - 1; }  ///< of the input
  constexpr std::int64_t points() const { return side() * side(); }
  std::int64_t count(std::int64_t positions) const { return ceil_div(positions, outputs); }
};
inline constexpr std::int64_t kMostOutputs = 4, kMostTaps = 5;  // of a tile along an axis
inline constexpr std::int64_t kMostSide = 6;  // of tiles for 3 taps that cover 4 and for 5 that cover 2

// Along one axis, some positions of the input: start and every step-th from there, `count` in all. Tap t of
// position i of the result meets their position i + t - before, and is tap first_tap + t * tap_step of the
// kernel.
struct TilePhase {
  std::int64_t start, step, count, before;
  std::int64_t first_tap, tap_step, taps;
};

// Along one axis, positions of the result whose taps meet the same positions of the input: start and every
// step-th from there, `count` in all. All residues have equally many phases, over which is summed.
struct TileResidue {
  std::int64_t start, step, count;
  std::vector<TilePhase> phases;
};
using TileAxis = std::vector<TileResidue>;

/// A convolution whose residues have the same taps.
struct TileProblem {
  std::int64_t batch, groups;
  std::int64_t inputs, outputs;  ///< channels of a group
  Dims3 from, to;                ///< sizes of the input and of the result
  std::array<TileAxis, 3> axes;  ///< depth, height and width

  std::int64_t phases(std::size_t axis) const { return std::ssize(axes[axis].front().phases); }
  std::int64_t phases() const { return phases(0) * phases(1) * phases(2); }
  /// The indices of a phase's phases of depth, height and width.
  std::array<std::size_t, 3> phases_at(std::int64_t phase) const {
    return {static_cast<std::size_t>(phase / phases(2) / phases(1)),
            static_cast<std::size_t>(phase / phases(2) % phases(1)),
            static_cast<std::size_t>(phase % phases(2))};
  }
  /// Those of the first residues: all have the same taps.
  std::array<const TilePhase*, 3> phases_of(std::int64_t phase) const {
    const auto at = phases_at(phase);
    return {&axes[0].front().phases[at[0]], &axes[1].front().phases[at[1]], &axes[2].front().phases[at[2]]};
  }
  std::int64_t taps(std::size_t axis) const;  ///< at most, of a phase
  std::int64_t tiles_of_plane(TileSize size) const;
  std::int64_t out_row() const { return outputs * groups; }  ///< elements of a voxel of the result
};

using TileProblems = std::vector<TileProblem>;

/// What a pass is made of. Dilation leaves one problem, in which the positions of each residue are a
/// convolution without it. A stride s sums over s phases of the input to y (and for the weight's gradient),
/// and makes a problem of each phase of the result to x. Where planes are on their own, as in 2D, those of
/// all samples are depths of one sample, which work together. Empty where these have other than 2 to 5 taps
/// along height and width, where the stride exceeds 4 or the kernel or meets dilation, the dilation exceeds
/// 256, or where a residue is empty.
TileProblems tile_problems(const ops::ConvProblem& p, ops::ConvPass pass);

/// The size with the fewer products, where what is done once for each weight counts as `extra` tiles.
TileSize tile_size_for(const TileProblems& problems, std::int64_t extra);

/// Products for each of those of the definition, in a plane.
double share_of_products(const TileProblems& problems, TileSize size);

}  // namespace lucid::direct
