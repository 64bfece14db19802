// The transforms of the weight and of its gradient's sums, in double.

#include "lucid/cpu.hpp"
#include "ops/direct/winograd_filter.hpp"
#include "ops/direct/winograd_tiles.hpp"

namespace lucid::direct {
namespace {

// G g G^T of kHalfChunk outputs.
template <int M>
LUCID_VECTORIZED void transform_some_taps(const TileTaps& taps, float* to, std::int64_t point_step) {
  constexpr std::int64_t n = kHalfChunk;
  constexpr int kSide = M + 2;
  double g[3][3][n], half[kSide][3][n];
  for (std::int64_t f = 0; f < n; ++f)
    for (std::int64_t i = 0; i < 3; ++i)
      for (std::int64_t j = 0; j < 3; ++j)
        g[i][j][f] = taps.at[f * taps.output + i * taps.row + j * taps.column];
  for (int j = 0; j < 3; ++j)
    for (std::int64_t f = 0; f < n; ++f) {
      double points[kSide];
      Filter<M>::taps({g[0][j][f], g[1][j][f], g[2][j][f]}, points);
      for (int i = 0; i < kSide; ++i) half[i][j][f] = points[i];
    }
  for (int i = 0; i < kSide; ++i)
    for (std::int64_t f = 0; f < n; ++f) {
      double points[kSide];
      Filter<M>::taps({half[i][0][f], half[i][1][f], half[i][2][f]}, points);
      for (int j = 0; j < kSide; ++j) to[(kSide * i + j) * point_step + f] = static_cast<float>(points[j]);
    }
}

// G^T m G of kTileChannels sums.
template <int M>
LUCID_VECTORIZED void transform_sums_of(const double* m, double* to) {
  constexpr std::int64_t n = kTileChannels;
  constexpr int kSide = M + 2;
  double half[3][kSide][n];
  for (int j = 0; j < kSide; ++j)
    for (std::int64_t f = 0; f < n; ++f) {
      double column[kSide], taps[3];
      for (int i = 0; i < kSide; ++i) column[i] = m[(kSide * i + j) * n + f];
      Filter<M>::sums(column, taps);
      for (int i = 0; i < 3; ++i) half[i][j][f] = taps[i];
    }
  for (int i = 0; i < 3; ++i)
    for (std::int64_t f = 0; f < n; ++f) {
      double row[kSide], taps[3];
      for (int j = 0; j < kSide; ++j) row[j] = half[i][j][f];
      Filter<M>::sums(row, taps);
      for (int j = 0; j < 3; ++j) to[(3 * i + j) * n + f] = taps[j];
    }
}

}  // namespace

void transform_taps(TileSize size, const TileTaps& taps, std::int64_t outputs, float* to,
                    std::int64_t point_step) {
  const auto transform = size.outputs == 4 ? transform_some_taps<4> : transform_some_taps<2>;
  for (std::int64_t f = 0; f < outputs; f += kHalfChunk)
    transform({taps.at + f * taps.output, taps.output, taps.row, taps.column}, to + f, point_step);
}

void transform_sums(TileSize size, const double* m, double* to) {
  size.outputs == 4 ? transform_sums_of<4>(m, to) : transform_sums_of<2>(m, to);
}

}  // namespace lucid::direct
