// The weight's gradient by the transforms of the forward pass turned round: with tiles x of the input and g
// of the result's gradient it is G^T [sum of (B^T x B) * (A g A^T)] G.

#include <algorithm>
#include <optional>
#include <vector>

#include "ops/direct/conv_maps.hpp"
#include "ops/direct/rows.hpp"
#include "ops/direct/winograd.hpp"
#include "ops/direct/winograd_bands.hpp"

namespace lucid::direct {
namespace {

using ops::ConvPass;
using ops::ConvProblem;

constexpr std::int64_t kSummedPoints = 2048;   // of tiles whose products are summed in registers
constexpr std::int64_t kSummedInFloat = 4096;  // tiles, before the sums are added in double
constexpr std::int64_t kMostSums = 1 << 18;    // elements of a weight that one thread sums at a time
constexpr std::int64_t kWidth = kPanel<float>;
constexpr std::int64_t kMostPoints = kMostSide * kMostSide;

// The sums of a group over some of the units (sample, band, run): [point][phase][depth tap][x
// channel][y channel].
class Share {
 public:
  // x and y: of voxels that are x_step and y_step apart.
  Share(const TileProblem& p, const TileBands& bands, const float* x, std::int64_t x_step, const float* y,
        std::int64_t y_step)
      : p_(p),
        bands_(bands),
        x_(x),
        x_step_(x_step),
        y_(y),
        y_step_(y_step),
        taps_(p.taps(0)),
        x_chunks_(ceil_div(p.inputs, kTileChannels)),
        y_panels_(ceil_div(p.outputs, kWidth)),
        slots_(bands.step + taps_ - 1),
        x_tiles_(empty({slots_, p.phases(), x_chunks_, points(), x_point()})),
        y_tiles_(empty({bands.step, y_panels_, points(), y_point()})),
        sums_(zeros({points(), p.phases(), taps_, p.inputs, p.outputs})) {}

  void add(const TileUnit& unit) {
    unit_ = unit;
    std::int64_t ready = unit.depths.begin;  // depths of x before this are there
    for (std::int64_t d = unit.depths.begin; d < unit.depths.end; d += bands_.step) {
      const Range depths{d, std::min(d + bands_.step, unit.depths.end)};
      for (; ready < depths.end + taps_ - 1; ++ready)
        for (std::int64_t phase = 0; phase < p_.phases(); ++phase) transform_x(ready, phase);
      for (std::int64_t at = depths.begin; at < depths.end; ++at) transform_y(at, at - d);
      for (std::int64_t point = 0; point < points(); ++point)
        for (std::int64_t phase = 0; phase < p_.phases(); ++phase) add_products(depths, point, phase);
      summed_ += depths.size() * unit.rows * bands_.wide;
      if (summed_ > kSummedInFloat) flush();
    }
  }

  // to[point][kTileChannels] += the sums of one phase, depth tap and x channel, for `count` y channels.
  void add_to(double* to, std::int64_t phase, std::int64_t kd, std::int64_t x, std::int64_t y,
              std::int64_t count) const {
    const float* const sums = sums_.data<float>();
    for (std::int64_t point = 0; point < points(); ++point, to += kTileChannels) {
      const std::int64_t at = sums_at(point, phase, kd) + x * p_.outputs + y;
      for (std::int64_t i = 0; i < count; ++i) to[i] += static_cast<double>(sums[at + i]);
      if (!total_.empty())
        for (std::int64_t i = 0; i < count; ++i) to[i] += total_[size(at + i)];
    }
  }

 private:
  std::int64_t points() const { return bands_.size.points(); }
  static std::int64_t chunk_channels(std::int64_t channels, std::int64_t chunk) {
    return std::min(kTileChannels, channels - chunk * kTileChannels);
  }
  static std::size_t size(std::int64_t count) { return static_cast<std::size_t>(count); }
  std::int64_t x_point() const { return bands_.tiles() * kTileChannels + kApart; }
  std::int64_t y_point() const { return bands_.tiles() * kWidth + kApart; }
  std::int64_t x_phase() const { return x_chunks_ * points() * x_point(); }
  std::int64_t x_slot() const { return p_.phases() * x_phase(); }
  std::int64_t y_slot() const { return y_panels_ * points() * y_point(); }
  std::int64_t sums_at(std::int64_t point, std::int64_t phase, std::int64_t kd) const {
    return ((point * p_.phases() + phase) * taps_ + kd) * p_.inputs * p_.outputs;
  }

  void flush() {
    float* sums = sums_.data_to_write<float>();
    total_.resize(size(sums_.numel()));
    for (double& total : total_) {
      total += static_cast<double>(*sums);
      *sums++ = 0;
    }
    summed_ = 0;
  }

  // Depth d + t meets tap t of the result's depth d.
  void transform_x(std::int64_t depth, std::int64_t phase) {
    const auto phases = p_.phases_at(phase);
    const TilePhase& from = unit_.depth->phases[phases[0]];
    const std::int64_t at = depth - from.before;
    if (at < 0 || at >= from.count) return;
    const std::int64_t plane = unit_.sample * p_.from[0] + from.start + at * from.step;
    const float* x = x_ + plane * p_.from[1] * p_.from[2] * x_step_;
    float* to = x_tiles_.data_to_write<float>() + depth % slots_ * x_slot() + phase * x_phase();
    for (std::int64_t chunk = 0; chunk < x_chunks_; ++chunk, to += points() * x_point(), x += kTileChannels)
      for (std::int64_t i = 0; i < unit_.rows; ++i) {
        const TileBands::Row& row = bands_.row(unit_.first_row + i);
        bands_.for_widths([&](const TileResidue& width, std::int64_t tile) {
          transform_lines(bands_.size,
                          tile_lines(bands_.size, x, x_step_, p_.from, row.residue->phases[phases[1]],
                                     row.first, width.phases[phases[2]]),
                          chunk_channels(p_.inputs, chunk), bands_.size.count(width.count),
                          to + (i * bands_.wide + tile) * kTileChannels, x_point());
        });
      }
  }

  void transform_y(std::int64_t depth, std::int64_t slot) {
    const std::int64_t plane = unit_.sample * p_.to[0] + unit_.depth->start + depth * unit_.depth->step;
    float* const to = y_tiles_.data_to_write<float>() + slot * y_slot();
    for (std::int64_t c = 0; c < p_.outputs; c += kTileChannels)
      for (std::int64_t i = 0; i < unit_.rows; ++i) {
        const TileBands::Row& row = bands_.row(unit_.first_row + i);
        const TileResidue& height = *row.residue;
        const std::int64_t h = height.start + row.first * height.step, line = p_.to[2] * y_step_;
        const float* first = y_ + (plane * p_.to[1] + h) * line + c;
        bands_.for_widths([&](const TileResidue& width, std::int64_t tile) {
          const float* const at = first + width.start * y_step_;
          TileGrads grads{{}, y_step_ * width.step, width.count};
          for (std::int64_t r = 0; r < bands_.size.outputs; ++r)
            grads.at[r] = row.first + r < height.count ? at + r * height.step * line : nullptr;
          transform_grads(
              bands_.size, grads, chunk_channels(p_.outputs, c / kTileChannels),
              bands_.size.count(width.count),
              to + c / kWidth * points() * y_point() + c % kWidth + (i * bands_.wide + tile) * kWidth,
              y_point(), kWidth);
        });
      }
  }

  // The products of one point and phase. At the last row or column of points a phase with fewer taps needs
  // none.
  void add_products(Range depths, std::int64_t point, std::int64_t phase) {
    const std::int64_t side = bands_.size.side(), last = side - 1, taps = bands_.size.taps;
    const auto [depth, height, width] = p_.phases_of(phase);
    if ((point / side == last && height->taps < taps) || (point % side == last && width->taps < taps)) return;
    for (std::int64_t kd = 0; kd < depth->taps; ++kd) add_products(depths, point, phase, kd);
  }
  // Those at the depths that meet x at depth tap kd, as far as their slots follow each other.
  void add_products(Range depths, std::int64_t point, std::int64_t phase, std::int64_t kd) {
    const TilePhase& from = unit_.depth->phases[p_.phases_at(phase)[0]];
    const std::int64_t last = std::min(depths.end, from.count + from.before - kd);
    for (std::int64_t d = std::max(depths.begin, from.before - kd); d < last;) {
      const std::int64_t slot = (d + kd) % slots_, count = std::min(last - d, slots_ - slot);
      const float* a = x_tiles_.data<float>() + slot * x_slot() + phase * x_phase() + point * x_point();
      const float* b = y_tiles_.data<float>() + (d - depths.begin) * y_slot() + point * y_point();
      float* c = sums_.data_to_write<float>() + sums_at(point, phase, kd);
      for (std::int64_t chunk = 0; chunk < x_chunks_; ++chunk)
        add_product(RowsProduct<float>{.a = a + chunk * points() * x_point(),
                                       .a_row = 1,
                                       .a_step = kTileChannels,
                                       .b = b,
                                       .b_row = kWidth,
                                       .c = c + chunk * kTileChannels * p_.outputs,
                                       .c_row = p_.outputs,
                                       .rows = chunk_channels(p_.inputs, chunk),
                                       .depth = unit_.rows * bands_.wide,
                                       .columns = p_.outputs,
                                       .b_panel = points() * y_point(),
                                       .outer = count,
                                       .a_outer = x_slot(),
                                       .b_outer = y_slot()});
      d += count;
    }
  }

  const TileProblem& p_;
  const TileBands& bands_;
  const float* x_;
  std::int64_t x_step_;
  const float* y_;
  std::int64_t y_step_;
  std::int64_t taps_, x_chunks_, y_panels_, slots_;
  Tensor x_tiles_;  // [depth modulo slots][phase][chunk][point][tile][channel]
  Tensor y_tiles_;  // [depth of the step][panel][point][tile][channel]
  Tensor sums_;     // [point][phase][depth tap][x channel][y channel]
  std::vector<double> total_;
  std::int64_t summed_ = 0;  // tiles since the last flush
  TileUnit unit_{};
};

// The taps of one phase, x channel and as many as kTileChannels y channels.
void write_taps(const TileProblem& p, TileSize size, const std::vector<std::optional<Share>>& shares,
                std::int64_t phase, std::int64_t x, std::int64_t y, float* w, const Strides& s) {
  const std::int64_t count = std::min(kTileChannels, p.outputs - y);
  const auto [depth, height, width] = p.phases_of(phase);
  for (std::int64_t kd = 0; kd < depth->taps; ++kd) {
    double sums[kMostPoints * kTileChannels] = {}, taps[kMostTaps * kMostTaps * kTileChannels];
    for (const std::optional<Share>& share : shares) share->add_to(sums, phase, kd, x, y, count);
    transform_sums(size, sums, taps);
    for (std::int64_t i = 0; i < count; ++i) {
      float* const to = w + (y + i) * s[0] + x * s[1] + (depth->first_tap + kd * depth->tap_step) * s[2];
      for (std::int64_t kh = 0; kh < height->taps; ++kh)
        for (std::int64_t kw = 0; kw < width->taps; ++kw)
          to[(height->first_tap + kh * height->tap_step) * s[3] +
             (width->first_tap + kw * width->tap_step) * s[4]] =
              static_cast<float>(taps[(kh * size.taps + kw) * kTileChannels + i]);
    }
  }
}

// One group, or some channels of it, whose first channels x, y and the weight w begin with.
void group_weight_grad(const TileProblem& p, const TileBands& bands, const float* x, std::int64_t x_step,
                       const float* y, std::int64_t y_step, float* w, const Strides& strides,
                       std::int64_t threads) {
  // Fixed parts, so that results repeat: several for each thread, lest one wait for another on a slow core,
  // unless their sums take longer than that.
  constexpr std::int64_t kParts = 4, kFewSums = 1 << 16;
  const std::int64_t sums = bands.size.points() * p.phases() * p.taps(0) * p.inputs * p.outputs;
  const std::int64_t units = bands.units(),
                     parts = std::min(units, threads > 1 && sums <= kFewSums ? kParts * threads : threads);
  std::vector<std::optional<Share>> shares(static_cast<std::size_t>(parts));
  parallel_walk(parts, 1, [&](Turns& turns) {
    while (const auto part = turns.next()) {
      Share& share = shares[static_cast<std::size_t>(*part)].emplace(p, bands, x, x_step, y, y_step);
      for (std::int64_t unit = units * *part / parts; unit < units * (*part + 1) / parts; ++unit)
        share.add(bands.unit(unit));
    }
  });
  const std::int64_t blocks = ceil_div(p.outputs, kTileChannels), tasks = p.phases() * p.inputs * blocks;
  parallel_for(tasks, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task)
      write_taps(p, bands.size, shares, task / blocks / p.inputs, task / blocks % p.inputs,
                 task % blocks * kTileChannels, w, strides);
  });
}

}  // namespace

TileSize summed_tile_size(const ConvProblem& p, const TileProblems& problems) {
  const std::int64_t sums = p.taps() * p.x_channels * p.y_channels;
  if (p.geometry.stride[2] > 1) {
    constexpr std::int64_t kFewSums = 1 << 16, kExtraOfFew = 128, kExtra = 64;
    return tile_size_for(problems, sums / (sums <= kFewSums ? kExtraOfFew : kExtra));
  }
  constexpr std::int64_t kExtra = 100;
  return tile_size_for(problems, kExtra);
}

namespace {

// Of how many x channels a block sums: equally many in each, at most `most` where that is a chunk or more,
// and few enough that the blocks, `times` over, are several for each thread.
std::int64_t block_inputs(std::int64_t channels, std::int64_t times, std::int64_t most) {
  constexpr std::int64_t kBlocks = 4;
  const std::int64_t chunks = ceil_div(channels, kTileChannels),
                     of_block = std::max<std::int64_t>(1, most / kTileChannels),
                     least = std::min(chunks, ceil_div(kBlocks * num_threads(), times));
  return ceil_div(chunks, std::max(ceil_div(chunks, of_block), least)) * kTileChannels;
}

}  // namespace

void conv_winograd_weight_grad(const ConvProblem& p, const Tensor& x, const Tensor& y, const Tensor& weight) {
  const Strides& strides = weight.strides();
  const TileProblems problems = tile_problems(p, ConvPass::w);
  const TileProblem& problem = problems.front();
  const TileSize size = summed_tile_size(p, problems);
  const TileBands::Steps steps{kSummedPoints / size.points(), 1, true};
  const std::int64_t groups = p.geometry.groups, y_step = problem.out_row();
  float* const w = weight.data_to_write<float>();  // not in threads: it counts the tensor's version
  // The channels from x_first and y_first on.
  const auto add = [&](const TileBands& bands, std::int64_t group, std::int64_t x_first, std::int64_t x_count,
                       std::int64_t y_first, std::int64_t y_count, std::int64_t threads) {
    TileProblem part = problem;
    part.inputs = std::min(x_count, p.x_channels - x_first);
    part.outputs = std::min(y_count, p.y_channels - y_first);
    group_weight_grad(part, bands, x.data<float>() + group * p.x_channels + x_first, p.x_step(),
                      y.data<float>() + group * p.y_channels + y_first, y_step,
                      w + (group * p.y_channels + y_first) * strides[0] + x_first * strides[1], strides,
                      threads);
  };

  // Groups at once if there are enough for all threads, else all threads on one group.
  const bool at_once = groups >= 4 * num_threads();

  // Of few tiles there are so many sums for every product that they must not leave the second-level cache:
  // each thread takes blocks of both channels, for which it transforms the tiles again: the more channels of
  // x, the less often those of y.
  constexpr std::int64_t kFewTiles = 256, kNearSums = 1 << 17, kOutputs = 2 * kWidth;
  const std::int64_t tiles = p.batch * p.geometry.y[0] * problem.tiles_of_plane(size),
                     sums_of_pair = size.points() * problem.phases() * problem.taps(0),
                     sums = sums_of_pair * p.x_channels * p.y_channels;
  if (tiles <= kFewTiles && (sums > kNearSums || (groups > 1 && !at_once))) {
    const std::int64_t down = ceil_div(p.y_channels, kOutputs),
                       inputs =
                           block_inputs(p.x_channels, groups * down, kNearSums / (sums_of_pair * kOutputs)),
                       across = ceil_div(p.x_channels, inputs);
    const TileBands bands(problem, size, steps, groups * across * down);
    return parallel_walk(groups * across * down, 1, [&](Turns& turns) {
      while (const auto i = turns.next())
        add(bands, *i / down / across, *i / down % across * inputs, inputs, *i % down * kOutputs, kOutputs,
            1);
    });
  }

  // Slabs of x channels whose sums stay moderate, of equal size: transforming y again for each costs little.
  const std::int64_t chunks = ceil_div(p.x_channels, kTileChannels),
                     most = std::max<std::int64_t>(1, kMostSums / (p.taps() * p.y_channels * kTileChannels)),
                     slab = ceil_div(chunks, ceil_div(chunks, most)) * kTileChannels;
  const TileBands bands(problem, size, steps, at_once ? groups : 1);
  parallel_for(groups, at_once ? 1 : groups, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t group = begin; group < end; ++group)
      for (std::int64_t first = 0; first < p.x_channels; first += slab)
        add(bands, group, first, slab, 0, p.y_channels, at_once ? 1 : num_threads());
  });
}

}  // namespace lucid::direct
