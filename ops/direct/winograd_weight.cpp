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

using ops::ConvGeometry;
using ops::ConvProblem;

constexpr std::int64_t kSummedPoints = 2048;   // of tiles whose products are summed in registers
constexpr std::int64_t kSummedInFloat = 4096;  // tiles, before the sums are added in double
constexpr std::int64_t kMostSums = 1 << 18;    // elements of a weight that one thread sums at a time
constexpr std::int64_t kWidth = kPanel<float>;
constexpr std::int64_t kMostPoints = TileSize{kMostOutputs}.points();

// One thread's sums of a group over some of the units (sample, band, run): [point][depth tap][x channel][y
// channel].
class Share {
 public:
  Share(const ConvProblem& p, const TileBands& bands, const float* x, const float* y)
      : p_(p),
        g_(p.geometry),
        bands_(bands),
        x_(x),
        y_(y),
        x_chunks_(ceil_div(p.x_channels, kTileChannels)),
        y_panels_(ceil_div(p.y_channels, kWidth)),
        slots_(std::min(bands.step + g_.kernel[0] - 1, g_.x[0])),
        x_tiles_(empty({slots_, x_chunks_, points(), x_point()})),
        y_tiles_(empty({bands.step, y_panels_, points(), y_point()})),
        sums_(zeros({points(), g_.kernel[0], p.x_channels, p.y_channels})) {}

  void add(const TileUnit& unit) {
    unit_ = unit;
    const std::int64_t before = unit.depth->before;
    std::int64_t ready =
        std::max<std::int64_t>(unit.depths.begin - before, 0);  // depths of x before this are there
    for (std::int64_t d = unit.depths.begin; d < unit.depths.end; d += bands_.step) {
      const Range depths{d, std::min(d + bands_.step, unit.depths.end)};
      const std::int64_t last = std::min(depths.end - 1 - before + g_.kernel[0], unit.depth->x_count);
      for (; ready < last; ++ready) transform_x(ready);
      for (std::int64_t at = depths.begin; at < depths.end; ++at) transform_y(at, at - d);
      for (std::int64_t point = 0; point < points(); ++point)
        for (std::int64_t kd = 0; kd < g_.kernel[0]; ++kd) add_products(depths, point, kd);
      summed_ += depths.size() * unit.rows * bands_.wide;
      if (summed_ > kSummedInFloat) flush();
    }
  }

  // to[point][kTileChannels] += the sums of one depth tap and x channel, for `count` y channels.
  void add_to(double* to, std::int64_t kd, std::int64_t x, std::int64_t y, std::int64_t count) const {
    const float* const sums = sums_.data<float>();
    for (std::int64_t point = 0; point < points(); ++point, to += kTileChannels) {
      const std::int64_t at = ((point * g_.kernel[0] + kd) * p_.x_channels + x) * p_.y_channels + y;
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
  std::int64_t x_slot() const { return x_chunks_ * points() * x_point(); }
  std::int64_t y_slot() const { return y_panels_ * points() * y_point(); }

  void flush() {
    float* sums = sums_.mutable_data<float>();
    total_.resize(size(sums_.numel()));
    for (double& total : total_) {
      total += static_cast<double>(*sums);
      *sums++ = 0;
    }
    summed_ = 0;
  }

  void transform_x(std::int64_t depth) {
    const std::int64_t plane = unit_.sample * g_.x[0] + unit_.depth->x_start + depth * unit_.depth->step;
    float* to = x_tiles_.mutable_data<float>() + depth % slots_ * x_slot();
    for (std::int64_t chunk = 0; chunk < x_chunks_; ++chunk, to += points() * x_point())
      for (std::int64_t i = 0; i < unit_.rows; ++i) {
        const TileBands::Row& row = bands_.row(unit_.first_row + i);
        bands_.for_widths([&](const TileResidue& width, std::int64_t tile) {
          transform_lines(bands_.size,
                          tile_lines(bands_.size, p_, x_ + chunk * kTileChannels, p_.x_step(), plane,
                                     *row.residue, row.first, width),
                          chunk_channels(p_.x_channels, chunk), bands_.size.count(width.count),
                          to + (i * bands_.wide + tile) * kTileChannels, x_point());
        });
      }
  }

  void transform_y(std::int64_t depth, std::int64_t slot) {
    const std::int64_t plane = unit_.sample * g_.y[0] + unit_.depth->start + depth * unit_.depth->step;
    float* const to = y_tiles_.mutable_data<float>() + slot * y_slot();
    for (std::int64_t c = 0; c < p_.y_channels; c += kTileChannels)
      for (std::int64_t i = 0; i < unit_.rows; ++i) {
        const TileBands::Row& row = bands_.row(unit_.first_row + i);
        const TileResidue& height = *row.residue;
        const std::int64_t h = height.start + row.first * height.step, line = g_.y[2] * p_.y_row();
        const float* first = y_ + (plane * g_.y[1] + h) * line + c;
        bands_.for_widths([&](const TileResidue& width, std::int64_t tile) {
          const float* const at = first + width.start * p_.y_row();
          TileGrads grads{{}, p_.y_row() * width.step, width.count};
          for (std::int64_t r = 0; r < bands_.size.outputs; ++r)
            grads.at[r] = row.first + r < height.count ? at + r * height.step * line : nullptr;
          transform_grads(
              bands_.size, grads, chunk_channels(p_.y_channels, c / kTileChannels),
              bands_.size.count(width.count),
              to + c / kWidth * points() * y_point() + c % kWidth + (i * bands_.wide + tile) * kWidth,
              y_point(), kWidth);
        });
      }
  }

  // The products of one point at the depths that meet x at depth tap kd, as far as their slots follow each
  // other.
  void add_products(Range depths, std::int64_t point, std::int64_t kd) {
    const std::int64_t shift = kd - unit_.depth->before;
    const std::int64_t last = std::min(depths.end, unit_.depth->x_count - shift);
    for (std::int64_t d = std::max(depths.begin, -shift); d < last;) {
      const std::int64_t slot = (d + shift) % slots_, count = std::min(last - d, slots_ - slot);
      const float* a = x_tiles_.data<float>() + slot * x_slot() + point * x_point();
      const float* b = y_tiles_.data<float>() + (d - depths.begin) * y_slot() + point * y_point();
      float* c = sums_.mutable_data<float>() + (point * g_.kernel[0] + kd) * p_.x_channels * p_.y_channels;
      for (std::int64_t chunk = 0; chunk < x_chunks_; ++chunk)
        add_product(RowsProduct<float>{.a = a + chunk * points() * x_point(),
                                       .a_row = 1,
                                       .a_step = kTileChannels,
                                       .b = b,
                                       .b_row = kWidth,
                                       .c = c + chunk * kTileChannels * p_.y_channels,
                                       .c_row = p_.y_channels,
                                       .rows = chunk_channels(p_.x_channels, chunk),
                                       .depth = unit_.rows * bands_.wide,
                                       .columns = p_.y_channels,
                                       .b_panel = points() * y_point(),
                                       .outer = count,
                                       .a_outer = x_slot(),
                                       .b_outer = y_slot()});
      d += count;
    }
  }

  const ConvProblem& p_;
  const ConvGeometry& g_;
  const TileBands& bands_;
  const float *x_, *y_;
  std::int64_t x_chunks_, y_panels_, slots_;
  Tensor x_tiles_;  // [depth modulo slots][chunk][point][tile][channel]
  Tensor y_tiles_;  // [depth of the step][panel][point][tile][channel]
  Tensor sums_;     // [point][depth tap][x channel][y channel]
  std::vector<double> total_;
  std::int64_t summed_ = 0;  // tiles since the last flush
  TileUnit unit_{};
};

// The taps of one x channel and as many as kTileChannels y channels.
void write_taps(const ConvProblem& p, TileSize size, const std::vector<std::optional<Share>>& shares,
                std::int64_t x, std::int64_t y, float* w, const Strides& s) {
  const std::int64_t count = std::min(kTileChannels, p.y_channels - y);
  for (std::int64_t kd = 0; kd < p.geometry.kernel[0]; ++kd) {
    double sums[kMostPoints * kTileChannels] = {}, taps[9 * kTileChannels];
    for (const std::optional<Share>& share : shares) share->add_to(sums, kd, x, y, count);
    transform_sums(size, sums, taps);
    for (std::int64_t i = 0; i < count; ++i) {
      float* const to = w + (y + i) * s[0] + x * s[1] + kd * s[2];
      for (std::int64_t tap = 0; tap < 9; ++tap)
        to[tap / 3 * s[3] + tap % 3 * s[4]] = static_cast<float>(taps[tap * kTileChannels + i]);
    }
  }
}

// One group, or some x channels of it, whose first channels x, y and the weight w begin with.
void group_weight_grad(const ConvProblem& p, const TileBands& bands, const float* x, const float* y, float* w,
                       const Strides& strides, std::int64_t threads) {
  const std::int64_t units = bands.units();
  threads = std::min(threads, units);
  std::vector<std::optional<Share>> shares(static_cast<std::size_t>(threads));
  parallel_for(threads, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      Share& share = shares[static_cast<std::size_t>(i)].emplace(p, bands, x, y);
      for (std::int64_t unit = units * i / threads; unit < units * (i + 1) / threads; ++unit)
        share.add(bands.unit(unit));
    }
  });
  const std::int64_t blocks = ceil_div(p.y_channels, kTileChannels), tasks = p.x_channels * blocks;
  parallel_for(tasks, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task)
      write_taps(p, bands.size, shares, task / blocks, task % blocks * kTileChannels, w, strides);
  });
}

}  // namespace

TileSize summed_tile_size(const ConvProblem& p) {
  constexpr std::int64_t kFewSums = 1 << 18, kExtraOfFew = 128, kExtra = 300;
  return tile_size_for(p, p.taps() * p.x_channels * p.y_channels <= kFewSums ? kExtraOfFew : kExtra);
}

void conv_winograd_weight_grad(const ConvProblem& p, const Tensor& x, const Tensor& y, const Tensor& weight) {
  const Strides& strides = weight.strides();
  // Slabs of x channels whose sums stay moderate, of equal size: transforming y again for each costs little.
  const std::int64_t chunks = ceil_div(p.x_channels, kTileChannels),
                     most = std::max<std::int64_t>(1, kMostSums / (p.taps() * p.y_channels * kTileChannels)),
                     slab = ceil_div(chunks, ceil_div(chunks, most)) * kTileChannels;
  // Groups at once if there are enough for all threads, else all threads on one group.
  const std::int64_t groups = p.geometry.groups;
  const bool at_once = groups >= 4 * num_threads();
  const TileSize size = summed_tile_size(p);
  const TileBands bands(p, size, {kSummedPoints / size.points(), 1, true}, at_once ? groups : 1);
  parallel_for(groups, at_once ? 1 : groups, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t group = begin; group < end; ++group)
      for (std::int64_t first = 0; first < p.x_channels; first += slab) {
        ConvProblem part = p;
        part.x_channels = std::min(slab, p.x_channels - first);
        part.x_gap = p.x_step() - part.x_row();
        group_weight_grad(
            part, bands, x.data<float>() + group * p.x_channels + first,
            y.data<float>() + group * p.y_channels,
            weight.mutable_data<float>() + group * p.y_channels * strides[0] + first * strides[1], strides,
            at_once ? 1 : num_threads());
      }
  });
}

}  // namespace lucid::direct
