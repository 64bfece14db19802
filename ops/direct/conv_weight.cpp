#include <algorithm>
#include <memory>
#include <numeric>

#include "ops/direct/conv.hpp"
#include "ops/direct/conv_maps.hpp"
#include "ops/direct/patch_sums.hpp"
#include "ops/direct/rows.hpp"
#include "ops/direct/weight_by_channels.hpp"
#include "ops/direct/weight_dots.hpp"
#include "ops/direct/weight_share_x_rows.hpp"
#include "ops/direct/weight_share_y_rows.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/kernels/transpose.hpp"

namespace lucid::direct {
namespace {

// Sums of one thread at a time.
constexpr std::int64_t kShareElements = 1 << 20;

std::int64_t sums_of(const ConvProblem& p) {
  return p.geometry.groups * p.taps() * p.x_channels * p.y_channels;
}

constexpr std::int64_t kBlockChannels = 16, kBlockTaps = 64;

// The sums of all shares for some channels of a group and all taps, added in Sum, to a weight whose y
// channels are `row` apart.
template <class Sum, class T>
void write_block(const ConvProblem& p, const std::vector<std::unique_ptr<WeightShare<T>>>& shares,
                 std::int64_t group, Range xs, Range ys, T* w, std::int64_t row) {
  const std::int64_t taps = p.taps(), columns = xs.size() * taps;
  std::vector<T> sums(static_cast<std::size_t>(columns * kBlockChannels));
  T* at = sums.data();
  for (std::int64_t x = xs.begin; x < xs.end; ++x)
    for (std::int64_t tap = 0; tap < taps; ++tap, at += kBlockChannels) {
      Sum totals[kBlockChannels] = {};
      for (const auto& share : shares) share->add_to(totals, group, tap, x, ys.begin, ys.size());
      for (std::int64_t j = 0; j < kBlockChannels; ++j) at[j] = static_cast<T>(totals[j]);
    }
  kernels::transpose(w + (group * p.y_channels + ys.begin) * row + xs.begin * taps, sums.data(), row,
                     kBlockChannels, ys.size(), columns);
}

template <class T>
std::unique_ptr<WeightShare<T>> share_of(const ConvProblem& p, const T* x, const T* y, Range tap_lines) {
  if (YRowsShare<T>::fits(p)) return std::make_unique<YRowsShare<T>>(p, x, y, tap_lines);
  return std::make_unique<XRowsShare<T>>(p, x, y, tap_lines);
}

// Whether threads take voxels rather than lines of taps, of which each reads all of y: their sums stay in a
// core's cache, and to add them up takes little.
bool splits_voxels(const ConvProblem& p, std::int64_t pieces, std::int64_t threads) {
  constexpr std::int64_t kMostSums = 1 << 15, kLeastVoxels = 1 << 10;
  return sums_of(p) <= kMostSums && p.y_voxels() >= kLeastVoxels * threads && pieces >= threads;
}

// How many shares of pieces each thread has: of few sums, which are soon added up, several, so that one that
// is done takes those of others.
std::int64_t shares_each(std::int64_t sums, std::int64_t pieces) {
  constexpr std::int64_t kManySums = 1 << 12, kLeastPieces = 4, kMost = 8;
  return std::clamp<std::int64_t>(std::min(kManySums / sums, pieces / (kLeastPieces * num_threads())), 1,
                                  kMost);
}

// The threads share the lines of taps as far as they go, then the pieces of y; or the pieces alone.
template <class T>
void weight_grad_by_lines(const ConvProblem& p, const T* x, const T* y, T* w, std::int64_t row) {
  const std::int64_t tap_lines = p.geometry.kernel[0] * p.geometry.kernel[1];
  constexpr double kWorthAThread = 1 << 16;
  const auto threads =
      static_cast<std::int64_t>(std::min<double>(num_threads(), 1 + p.work() / kWorthAThread));
  const std::int64_t pieces = WeightShare<T>::pieces(p);
  const std::int64_t line_parts = splits_voxels(p, pieces, threads) ? 1 : std::gcd(tap_lines, threads),
                     piece_parts = std::min(pieces, threads / line_parts * shares_each(sums_of(p), pieces));
  const std::int64_t parts = line_parts * piece_parts;
  std::vector<std::unique_ptr<WeightShare<T>>> shares(static_cast<std::size_t>(parts));
  parallel_walk(parts, (parts + threads - 1) / threads, [&](Turns& turns) {
    while (const auto i = turns.next()) {
      const std::int64_t line = *i % line_parts, part = *i / line_parts;
      auto& share = shares[static_cast<std::size_t>(*i)];
      share = share_of(p, x, y, {tap_lines * line / line_parts, tap_lines * (line + 1) / line_parts});
      share->add(pieces * part / piece_parts, pieces * (part + 1) / piece_parts);
    }
  });

  const auto write = piece_parts == 1 ? write_block<T, T> : write_block<double, T>;  // of one share a tap
  const std::int64_t y_blocks = (p.y_channels + kBlockChannels - 1) / kBlockChannels;
  const std::int64_t x_step = std::max<std::int64_t>(1, kBlockTaps / p.taps());
  const std::int64_t x_blocks = (p.x_channels + x_step - 1) / x_step,
                     tasks = p.geometry.groups * y_blocks * x_blocks;
  parallel_for(tasks, grain_of_copies(sums_of(p), tasks), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t x_first = task % x_blocks * x_step,
                         y_first = task / x_blocks % y_blocks * kBlockChannels;
      write(p, shares, task / x_blocks / y_blocks, {x_first, std::min(x_first + x_step, p.x_channels)},
            {y_first, std::min(y_first + kBlockChannels, p.y_channels)}, w, row);
    }
  });
}

// Sums of (y channels, x channels) to which voxel after voxel adds, x as it lies.
template <class T>
void weight_grad_by_voxels(const ConvProblem& p, const T* x, const T* y, T* w) {
  constexpr std::int64_t kAtOnce = 1024;  // voxels whose sums are in T before they are added in double
  const std::int64_t voxels = p.y_voxels(), pieces = (voxels + kAtOnce - 1) / kAtOnce,
                     sums = p.y_channels * p.x_channels;
  const std::int64_t parts = std::min(pieces, shares_each(sums, pieces) * num_threads());
  std::vector<double> totals(static_cast<std::size_t>(parts * sums));
  parallel_walk(parts, 1, [&](Turns& turns) {
    std::vector<T> products(static_cast<std::size_t>(sums));
    while (const auto part = turns.next())
      for (std::int64_t piece = pieces * *part / parts; piece < pieces * (*part + 1) / parts; ++piece) {
        const std::int64_t first = piece * kAtOnce;
        store_product(RowsProduct<T>{.a = y + first * p.y_channels,
                                     .a_row = 1,
                                     .a_step = p.y_channels,
                                     .b = x + first * p.x_step(),
                                     .b_row = p.x_step(),
                                     .c = products.data(),
                                     .c_row = p.x_channels,
                                     .rows = p.y_channels,
                                     .depth = std::min(kAtOnce, voxels - first),
                                     .columns = p.x_channels,
                                     .b_panel = kPanel<T>});
        for (std::int64_t i = 0; i < sums; ++i)
          totals[static_cast<std::size_t>(*part * sums + i)] +=
              static_cast<double>(products[static_cast<std::size_t>(i)]);
      }
  });
  write_totals(totals, sums, w);
}

// Slabs of x channels of a large weight, of equal size.
std::int64_t slab_of(const ConvProblem& p) {
  constexpr std::int64_t kLeast = 16;
  if (p.geometry.groups > 1) return p.x_channels;
  const std::int64_t most = std::max<std::int64_t>(
                                1, kShareElements /
                                       (p.taps() * padded_to_lanes(p.y_channels, kLeast) * kLeast)) *
                            kLeast,
                     slabs = (p.x_channels + most - 1) / most;
  return padded_to_lanes((p.x_channels + slabs - 1) / slabs, kLeast);
}

// One tap that meets every voxel, whose lines may be of any length: as long as a piece of them.
ConvProblem with_long_lines(const ConvProblem& p) {
  const std::int64_t voxels = p.y_voxels();
  if (voxels == 0 || !meets_every_voxel(p)) return p;
  std::int64_t line = std::min(voxels, WeightShare<float>::kCachedVoxels);
  while (voxels % line != 0) --line;
  if (line <= p.geometry.y[2]) return p;
  ConvProblem out = p;
  out.batch = 1;
  out.geometry.x = out.geometry.y = {1, voxels / line, line};
  return out;
}

template <class T>
void weight_grad(const ConvProblem& p, const Tensor& input, const Tensor& grad, const Tensor& out) {
  const T* x = input.data<T>();
  const T* y = grad.data<T>();
  T* w = out.data_to_write<T>();
  if (is_voxelwise(p)) return weight_grad_by_voxels(p, x, y, w);
  const std::int64_t slab = slab_of(p), taps = p.taps();
  ConvProblem part = with_long_lines(p);
  for (std::int64_t first = 0; first < p.x_channels; first += slab) {
    part.x_channels = std::min(slab, p.x_channels - first);
    part.x_gap = p.x_step() - part.x_row();
    weight_grad_by_lines(part, x + first, y, w + first * taps, p.x_channels * taps);
  }
}

}  // namespace

bool is_voxelwise(const ConvProblem& p) {
  constexpr std::int64_t kFewChannels = 8;
  return meets_every_voxel(p) && p.geometry.groups == 1 && p.y_channels <= kFewChannels &&
         p.x_channels % kLanes<float> == 0;
}

bool takes_gaps(ops::ConvPass pass) { return pass != ops::ConvPass::x; }

void conv_weight_grad(const ConvProblem& p, const Tensor& x, const Tensor& y, const Tensor& out) {
  if (!out.is_contiguous()) {
    const Tensor rows = empty(out.shape(), out.dtype());
    conv_weight_grad(p, x, y, rows);
    return kernels::copy(out, rows);
  }
  if (has_weight_by_channels(p)) return weight_grad_by_channels(p, x, y, out);
  if (out.dtype() == f32 && has_patch_sums(p)) return patch_weight_grad(p, x, y, out);
  if (out.dtype() == f32 && has_weight_dots(p)) return weight_dots(p, x, y, out);
  out.dtype() == f64 ? weight_grad<double>(p, x, y, out) : weight_grad<float>(p, x, y, out);
}

}  // namespace lucid::direct
