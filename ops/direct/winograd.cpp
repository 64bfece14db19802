#include "ops/direct/winograd.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "ops/direct/conv_maps.hpp"
#include "ops/direct/winograd_bands.hpp"
#include "ops/kernels/elementwise.hpp"

namespace lucid::direct {
namespace {

using ops::ConvGeometry;
using ops::ConvPass;
using ops::ConvProblem;

constexpr std::int64_t kStepTiles = 64;   // at most of several depths together
constexpr std::int64_t kBlockTiles = 32;  // whose products wait for their output transform, in 64 or 144 KiB

bool has_cached_weight(const ConvProblem& p) {
  constexpr std::int64_t kCachedWeight = 1 << 19;
  return p.taps() * p.x_channels * p.y_channels <= kCachedWeight;
}

TileSize tile_size(const ConvProblem& p) {
  constexpr std::int64_t kExtraOfCached = 16, kExtra = 100;
  return tile_size_for(p, has_cached_weight(p) ? kExtraOfCached : kExtra);
}

// ---- weight ----

// Where the taps of a group's output f, input c lie:
// at[group * step + f * strides[0] + c * strides[1] + (kd, kh, kw) * strides[2..]].
struct Taps {
  const float* at;
  Strides strides;
  std::int64_t step;

  // The groups' outputs follow each other, `outputs` of each.
  Taps(const Tensor& weight, std::int64_t outputs)
      : at(weight.data<float>()), strides(weight.strides()), step(outputs * strides[0]) {}
  // Outputs and inputs exchanged, the kernel turned round.
  Taps(const Tensor& weight, std::int64_t inputs, const Dims3& kernel) : Taps(weight, inputs) {
    std::swap(strides[0], strides[1]);
    for (std::size_t i = 0; i < 3; ++i) {
      at += (kernel[i] - 1) * strides[2 + i];
      strides[2 + i] = -strides[2 + i];
    }
  }
};

// Blocks of outputs that are computed together: as many of 32 as there are, then of 16 and 8.
constexpr std::int64_t kMostChannels = 2 * kTileChannels;
std::int64_t block_at(std::int64_t output, std::int64_t outputs) {
  std::int64_t block = kMostChannels;
  while (block > outputs - output) block /= 2;
  return block;
}

// [group][point][block of outputs][depth tap][input][output]
Tensor transformed_weight(const ConvProblem& p, const Taps& taps) {
  const TileSize size = tile_size(p);
  const std::int64_t points = size.points();
  const std::int64_t depth = p.geometry.kernel[0], inputs = p.x_channels, rows = depth * inputs;
  const std::int64_t groups = p.geometry.groups;
  const Tensor out = empty({groups, points, p.y_channels, depth, inputs});
  float* const to = out.mutable_data<float>();
  const Strides& s = taps.strides;
  std::vector<std::int64_t> firsts;
  for (std::int64_t f = 0; f < p.y_channels; f += block_at(f, p.y_channels)) firsts.push_back(f);
  const std::int64_t blocks = std::ssize(firsts);
  parallel_for(groups * blocks * rows, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t f = firsts[static_cast<std::size_t>(task / rows % blocks)], row = task % rows,
                         group = task / rows / blocks;
      const std::int64_t c = row % inputs, kd = row / inputs, block = block_at(f, p.y_channels);
      transform_taps(size, {taps.at + group * taps.step + f * s[0] + c * s[1] + kd * s[2], s[0], s[3], s[4]},
                     block, to + group * points * p.y_channels * rows + f * rows + row * block,
                     p.y_channels * rows);
    }
  });
  return out;
}

// ---- the walk ----

// One thread's walk through bands.
class Walk {
 public:
  Walk(const ConvProblem& p, const TileBands& bands, std::span<const std::int64_t> parts,
       std::span<const Tensor> inputs, const Tensor& weight, const Tensor& bias,
       const ops::ConvEpilogue& epilogue, float* out)
      : p_(p),
        g_(p.geometry),
        bands_(bands),
        slots_(bands.step == 1 ? std::min(g_.kernel[0], g_.x[0]) : bands.step + g_.kernel[0] - 1),
        weight_(weight.data<float>()),
        bias_(bias.data<float>()),
        epilogue_(epilogue),
        out_(out),
        products_(empty({bands.size.points(), std::min(kBlockTiles, padded(bands.step * bands.tiles())) *
                                                      std::min(kMostChannels, p.y_channels) +
                                                  kApart})) {
    std::int64_t input = 0;
    for (std::size_t part = 0; part < parts.size(); ++part)
      for (std::int64_t c = 0, count = parts[part] / g_.groups; c < count; c += kTileChannels) {
        const std::int64_t channels = std::min(kTileChannels, count - c);
        chunks_.push_back({inputs[part].data<float>() + c, parts[part], input, channels});
        input += channels;
      }
    transformed_ = zeros({std::ssize(chunks_), points(), point_step()});
    terms_.reserve(static_cast<std::size_t>(g_.kernel[0]) * chunks_.size());
  }

  void run(const TileUnit& unit, std::int64_t group) {
    unit_ = unit;
    group_ = group;
    tiles_ = unit.rows * bands_.wide;
    place_tiles();
    const std::int64_t before = unit.depth->before;
    std::int64_t ready = unit.depths.begin - before;  // depths of x before this are there
    for (std::int64_t d = unit.depths.begin; d < unit.depths.end; d += bands_.step) {
      const ops::Range depths{d, std::min(d + bands_.step, unit.depths.end)};
      if (bands_.step > 1 && d > unit.depths.begin) keep_overlap();
      for (; ready < depths.end - 1 - before + g_.kernel[0]; ++ready)
        transform_depth(ready, slot_of(ready, d));
      produce(depths);
    }
  }

 private:
  // Some channels of one part of the input, in group 0.
  struct Chunk {
    const float* at;
    std::int64_t step;   // elements between voxels
    std::int64_t input;  // the first channel among those of all parts
    std::int64_t channels;
  };

  static std::int64_t padded(std::int64_t tiles) { return ceil_div(tiles, kTileRows) * kTileRows; }
  std::int64_t point_step() const { return (slots_ * bands_.tiles() + kTileRows) * kTileChannels + kApart; }
  bool has_depth(std::int64_t depth) const { return depth >= 0 && depth < unit_.depth->x_count; }
  // Where a depth of x lies. A step of one depth takes slots in turn; in one of several, from `first` on,
  // they lie in order, so that a product's tiles follow each other, and depths outside of x are zeros.
  std::int64_t slot_of(std::int64_t depth, std::int64_t first) const {
    if (bands_.step > 1) return depth - (first - unit_.depth->before);
    return has_depth(depth) ? depth % slots_ : 0;
  }
  std::int64_t slot_step() const { return tiles_ * kTileChannels; }
  // The transformed tiles of a slot, of chunk 0; those of the next are chunk_step() further.
  float* transformed(std::int64_t slot) { return transformed_.mutable_data<float>() + slot * slot_step(); }
  std::int64_t points() const { return bands_.size.points(); }
  std::int64_t chunk_step() const { return points() * point_step(); }

  // The depths that a step reads with the one before it, to their new slots.
  void keep_overlap() {
    const std::int64_t count = (g_.kernel[0] - 1) * slot_step();
    for (std::int64_t i = 0; i < std::ssize(chunks_) * points(); ++i) {
      float* const to = transformed(0) + i * point_step();
      std::memmove(to, to + bands_.step * slot_step(), static_cast<std::size_t>(count) * sizeof(float));
    }
  }

  void transform_depth(std::int64_t depth, std::int64_t slot) {
    float* to = transformed(slot);
    if (!has_depth(depth)) {
      if (bands_.step > 1)
        for (std::int64_t i = 0; i < std::ssize(chunks_) * points(); ++i)
          std::fill_n(to + i * point_step(), slot_step(), 0.0f);
      return;
    }
    const std::int64_t plane = unit_.sample * g_.x[0] + unit_.depth->x_start + depth * unit_.depth->step;
    for (const Chunk& chunk : chunks_) {
      for (std::int64_t i = 0; i < unit_.rows; ++i) {
        const TileBands::Row& row = bands_.row(unit_.first_row + i);
        bands_.for_widths([&](const TileResidue& width, std::int64_t tile) {
          transform_lines(bands_.size,
                          tile_lines(bands_.size, p_, chunk.at + group_ * p_.x_channels, chunk.step, plane,
                                     *row.residue, row.first, width),
                          chunk.channels, bands_.size.count(width.count),
                          to + (i * bands_.wide + tile) * kTileChannels, point_step());
        });
      }
      to += chunk_step();
    }
  }

  // Some depths of the result, of the band.
  void produce(ops::Range depths) {
    const std::int64_t tiles = depths.size() * tiles_;
    float* products = products_.mutable_data<float>();
    for (std::int64_t f = 0, block; f < p_.y_channels; f += block) {
      block = block_at(f, p_.y_channels);
      for (std::int64_t first = 0; first < tiles; first += kBlockTiles) {
        const std::int64_t count = std::min(kBlockTiles, padded(tiles - first)),
                           step = count * block + kApart;
        for (std::int64_t point = 0; point < points(); ++point) {
          gather_terms(depths.begin, f, block, point);
          multiply_tiles(terms_, first, count, block, products + point * step);
        }
        for (std::int64_t t = first; t < std::min(first + count, tiles); ++t)
          transform_output(bands_.size, products + (t - first) * block, step, block,
                           output(depths.begin + t / tiles_, t % tiles_, f),
                           bias_ + group_ * p_.y_channels + f, epilogue_);
      }
    }
  }

  // What is summed over: the depth taps that meet x, and the chunks of channels.
  void gather_terms(std::int64_t d, std::int64_t first_output, std::int64_t block, std::int64_t point) {
    terms_.clear();
    for (std::int64_t kd = 0; kd < g_.kernel[0]; ++kd) {
      const std::int64_t depth = d - unit_.depth->before + kd;
      if (bands_.step == 1 && !has_depth(depth)) continue;
      const float* a = transformed(slot_of(depth, d)) + point * point_step();
      const float* const b =
          weight_ +
          (((group_ * points() + point) * p_.y_channels + first_output) * g_.kernel[0] + kd * block) *
              p_.x_channels;
      for (const Chunk& chunk : chunks_) {
        terms_.push_back({a, b + chunk.input * block, chunk.channels});
        a += chunk_step();
      }
    }
  }

  // Where the tiles of the unit go, in the plane of its residue's first depth.
  void place_tiles() {
    const TileResidue& depth = *unit_.depth;
    const std::int64_t line = g_.y[2] * p_.y_row();
    float* const plane = out_ + (unit_.sample * g_.y[0] + depth.start) * g_.y[1] * line;
    outputs_.clear();
    for (std::int64_t i = 0; i < unit_.rows; ++i) {
      const TileBands::Row& row = bands_.row(unit_.first_row + i);
      const TileResidue& height = *row.residue;
      float* const at = plane + (height.start + row.first * height.step) * line;
      bands_.for_widths([&](const TileResidue& width, std::int64_t) {
        for (std::int64_t w = 0; w < width.count; w += bands_.size.outputs)
          outputs_.push_back({at + (width.start + w * width.step) * p_.y_row(), height.count - row.first,
                              width.count - w, height.step * line, width.step * p_.y_row()});
      });
    }
  }
  TileOutput output(std::int64_t d, std::int64_t tile, std::int64_t channel) const {
    TileOutput out = outputs_[static_cast<std::size_t>(tile)];
    out.at += d * unit_.depth->step * g_.y[1] * g_.y[2] * p_.y_row() + group_ * p_.y_channels + channel;
    return out;
  }

  const ConvProblem& p_;
  const ConvGeometry& g_;
  const TileBands& bands_;
  std::int64_t slots_;  // depths of x that are kept
  const float *weight_, *bias_;
  const ops::ConvEpilogue& epilogue_;
  float* out_;
  Tensor transformed_;  // [chunk][point][slot][tile][channel]
  Tensor products_;     // [point][tile][output]
  std::vector<Chunk> chunks_;
  std::vector<TileOutput> outputs_;  // of the unit's tiles
  std::vector<TileTerm> terms_;
  TileUnit unit_{};
  std::int64_t group_ = 0, tiles_ = 0;  // the unit's group, and its tiles at one depth
};

}  // namespace

bool Winograd::serves(const ConvProblem& p, std::span<const std::int64_t> parts) {
  const ConvGeometry& g = p.geometry;
  if (g.kernel[1] != 3 || g.kernel[2] != 3 || (g.groups > 1 && parts.size() > 1)) return false;
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t least = i == 0 ? 1 : 2;  // positions of a residue
    if (g.stride[i] != 1 || (g.kernel[i] > 1 && g.dilation[i] > g.y[i] / least)) return false;
  }
  for (const std::int64_t channels : parts)
    if (channels / g.groups % kHalfChunk != 0) return false;
  return p.y_channels % kHalfChunk == 0;
}

Winograd::Winograd(const ConvProblem& problem, std::span<const std::int64_t> parts, const Tensor& weight,
                   const Tensor& bias, const ops::ConvEpilogue& epilogue)
    : Winograd(problem, parts, epilogue, transformed_weight(problem, Taps(weight, problem.y_channels)),
               bias) {}

Winograd::Winograd(const ConvProblem& problem, std::span<const std::int64_t> parts,
                   const ops::ConvEpilogue& epilogue, Tensor transformed, const Tensor& bias)
    : problem_(problem),
      parts_(parts.begin(), parts.end()),
      epilogue_(epilogue),
      weight_(std::move(transformed)),
      bias_(zeros({problem.y_row()})) {
  if (bias.defined()) kernels::copy(bias_, bias);
}

void Winograd::run(std::span<const Tensor> inputs, const Tensor& out) const {
  // Long steps share the reading of a large weight; else short ones keep their tiles in the cache.
  const TileBands bands(problem_, tile_size(problem_), {kStepTiles, kTileRows, !has_cached_weight(problem_)},
                        problem_.geometry.groups);
  float* y = out.mutable_data<float>();
  const std::int64_t groups = problem_.geometry.groups;
  parallel_for(bands.units() * groups, 1, [&](std::int64_t begin, std::int64_t end) {
    Walk walk(problem_, bands, parts_, inputs, weight_, bias_, epilogue_, y);
    for (std::int64_t unit = begin; unit < end; ++unit) walk.run(bands.unit(unit / groups), unit % groups);
  });
}

namespace {
// A pass as the pass y that it is computed as; w's is its own.
ConvProblem served_problem(const ConvProblem& p, ConvPass pass) {
  return pass == ConvPass::x ? turned_round(p) : p;
}
TileSize served_size(const ConvProblem& served, ConvPass pass) {
  return pass == ConvPass::w ? summed_tile_size(served) : tile_size(served);
}
}  // namespace

bool has_winograd(const ConvProblem& p, ConvPass pass) {
  const ConvProblem problem = served_problem(p, pass);
  for (const std::int64_t padding : problem.geometry.padding)
    if (padding < 0) return false;
  return Winograd::serves(problem, std::array{problem.x_row()});
}

std::int64_t winograd_tile(const ConvProblem& p, ConvPass pass) {
  return served_size(served_problem(p, pass), pass).outputs;
}

double winograd_products(const ConvProblem& p, ConvPass pass) {
  const ConvProblem served = served_problem(p, pass);
  const ConvGeometry& g = served.geometry;
  const TileSize size = served_size(served, pass);
  return static_cast<double>(size.points() * tiles_of_plane(g, size)) /
         static_cast<double>(g.kernel[1] * g.kernel[2] * g.y[1] * g.y[2]);
}

bool takes_parts(std::span<const Tensor> parts) {
  return std::ranges::all_of(parts, [](const Tensor& part) { return part.shape()[1] % kHalfChunk == 0; });
}

void conv_winograd(const ConvProblem& p, ConvPass pass, std::span<const Tensor> from, const Tensor& weight,
                   const Tensor& bias, const Tensor& to, const ops::PackedWeights& kept) {
  const bool is_forward = pass == ConvPass::y;
  const ConvProblem problem = is_forward ? p : turned_round(p);
  const Tensor transformed = kept.find_or_pack(weight, [&] {
    return transformed_weight(
        problem, is_forward ? Taps(weight, p.y_channels) : Taps(weight, p.y_channels, p.geometry.kernel));
  });
  std::vector<std::int64_t> channels;
  for (const Tensor& part : from) channels.push_back(part.shape()[1]);
  Winograd(problem, channels, {}, transformed, bias).run(from, to);
}

}  // namespace lucid::direct
