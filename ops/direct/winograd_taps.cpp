// The transforms of the weight and of its gradient's sums, in double.

#include <cstring>

#include "lucid/cpu.hpp"
#include "ops/direct/winograd_filter.hpp"
#include "ops/direct/winograd_tiles.hpp"

namespace lucid::direct {
namespace {

// G g G^T of kHalfChunk outputs.
template <class F>
LUCID_VECTORIZED void transform_some_taps(const TileTaps& taps, float* to, std::int64_t point_step) {
  constexpr std::int64_t n = kHalfChunk;
  double g[F::kTaps][F::kTaps][n] = {}, half[F::kSide][F::kTaps][n];
  for (std::int64_t f = 0; f < n; ++f)
    for (std::int64_t i = 0; i < taps.rows; ++i)
      for (std::int64_t j = 0; j < taps.columns; ++j)
        g[i][j][f] = taps.at[f * taps.output + i * taps.row + j * taps.column];
  for (int j = 0; j < F::kTaps; ++j)
    for (std::int64_t f = 0; f < n; ++f) {
      double column[F::kTaps], points[F::kSide];
      for (int i = 0; i < F::kTaps; ++i) column[i] = g[i][j][f];
      F::taps(column, points);
      for (int i = 0; i < F::kSide; ++i) half[i][j][f] = points[i];
    }
  for (int i = 0; i < F::kSide; ++i) {
    float row[F::kSide][n];  // here first: stores whose distance varies are not vectorised
    for (std::int64_t f = 0; f < n; ++f) {
      double taps_of_row[F::kTaps], points[F::kSide];
      for (int j = 0; j < F::kTaps; ++j) taps_of_row[j] = half[i][j][f];
      F::taps(taps_of_row, points);
      for (int j = 0; j < F::kSide; ++j) row[j][f] = static_cast<float>(points[j]);
    }
    for (int j = 0; j < F::kSide; ++j)
      std::memcpy(to + (F::kSide * i + j) * point_step, row[j], sizeof(row[j]));
  }
}

// G^T m G of kTileChannels sums.
template <class F>
LUCID_VECTORIZED void transform_sums_of(const double* m, double* to) {
  constexpr std::int64_t n = kTileChannels;
  double half[F::kTaps][F::kSide][n];
  for (int j = 0; j < F::kSide; ++j)
    for (std::int64_t f = 0; f < n; ++f) {
      double column[F::kSide], taps[F::kTaps];
      for (int i = 0; i < F::kSide; ++i) column[i] = m[(F::kSide * i + j) * n + f];
      F::sums(column, taps);
      for (int i = 0; i < F::kTaps; ++i) half[i][j][f] = taps[i];
    }
  for (int i = 0; i < F::kTaps; ++i)
    for (std::int64_t f = 0; f < n; ++f) {
      double row[F::kSide], taps[F::kTaps];
      for (int j = 0; j < F::kSide; ++j) row[j] = half[i][j][f];
      F::sums(row, taps);
      for (int j = 0; j < F::kTaps; ++j) to[(F::kTaps * i + j) * n + f] = taps[j];
    }
}

}  // namespace

void transform_taps(TileSize size, const TileTaps& taps, std::int64_t outputs, float* to,
                    std::int64_t point_step) {
  with_filter(size, [&]<class F>(F) {
    TileTaps some = taps;
    for (std::int64_t f = 0; f < outputs; f += kHalfChunk, some.at += kHalfChunk * taps.output)
      transform_some_taps<F>(some, to + f, point_step);
  });
}

void transform_sums(TileSize size, const double* m, double* to) {
  with_filter(size, [&]<class F>(F) { transform_sums_of<F>(m, to); });
}

}  // namespace lucid::direct
