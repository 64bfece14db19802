#include "ops/direct/winograd.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "ops/direct/winograd_bands.hpp"
#include "ops/direct/winograd_packed.hpp"
#include "ops/kernels/elementwise.hpp"

namespace lucid::direct {
namespace {

using ops::ConvPass;
using ops::ConvProblem;

constexpr std::int64_t kStepTiles = 64;  // at most of several depths together
// Tiles and outputs whose products wait for their output transform, in at most 288 KiB: the outputs share the
// reading of the tiles.
constexpr std::int64_t kBlockTiles = 32, kBlockOutputs = 64;

bool has_cached_weight(const ConvProblem& p) {
  constexpr std::int64_t kCachedWeight = 1 << 19;
  return p.taps() * p.x_channels * p.y_channels <= kCachedWeight;
}

TileSize tile_size(const ConvProblem& p, const TileProblems& problems) {
  constexpr std::int64_t kExtraOfCached = 16, kExtraOfStride = 50, kExtra = 100;
  if (p.geometry.stride[2] == 1)
    return tile_size_for(problems, has_cached_weight(p) ? kExtraOfCached : kExtra);
  // Samples read a weight of many phases each on its own.
  return tile_size_for(problems, problems.front().phases() > 1 ? kExtraOfStride * p.batch : kExtraOfStride);
}

// One thread's walk through bands.
class Walk {
 public:
  Walk(const TileProblem& p, const TileBands& bands, std::span<const std::int64_t> parts,
       std::span<const Tensor> inputs, const float* weight, const float* bias,
       const ops::ConvEpilogue& epilogue, float* out)
      : p_(p),
        bands_(bands),
        taps_(p.taps(0)),
        slots_(bands.step + taps_ - 1),
        shape_(p, bands.size),
        weight_(weight),
        bias_(bias),
        epilogue_(epilogue),
        out_(out),
        products_(empty({points(), std::min(kBlockTiles, padded(bands.step * bands.tiles())) *
                                           std::min(kBlockOutputs, p.outputs) +
                                       kApart})) {
    for (std::int64_t phase = 0; phase < p.phases(); ++phase) {
      const auto [depth, height, width] = p.phases_of(phase);
      std::int64_t input = 0;
      for (std::size_t part = 0; part < parts.size(); ++part)
        for (std::int64_t c = 0, count = parts[part] / p.groups; c < count; c += kTileChannels) {
          const std::int64_t channels = std::min(kTileChannels, count - c);
          chunks_.push_back({.at = inputs[part].data<float>() + c,
                             .step = parts[part],
                             .channels = channels,
                             .phases = p.phases_at(phase),
                             .weight = phase * shape_.phase_step(),
                             .input = input,
                             .taps = depth->taps,
                             .has_last_row = height->taps == bands.size.taps,
                             .has_last_column = width->taps == bands.size.taps});
          input += channels;
        }
    }
    transformed_ = zeros({points(), point_step()});
    terms_.reserve(static_cast<std::size_t>(taps_) * chunks_.size());
  }

  // What follows is about a group's unit. Its steps are walked through from some depth on.
  void begin(const TileUnit& unit, std::int64_t group, std::int64_t depth) {
    unit_ = unit;
    group_ = group;
    tiles_ = unit.rows * bands_.wide;
    place_tiles();
    first_ = ready_ = depth;
  }
  // The step that begins at depth d: the unit's first, or the next.
  void step(std::int64_t d) {
    const ops::Range depths{d, std::min(d + bands_.step, unit_.depths.end)};
    if (bands_.step > 1 && d > first_) keep_overlap();
    for (; ready_ < depths.end + taps_ - 1; ++ready_) transform_depth(ready_, slot_of(ready_, d));
    produce(depths);
  }

 private:
  // Some channels of one part of the input, in group 0 and one phase.
  struct Chunk {
    const float* at;
    std::int64_t step;  // elements between voxels
    std::int64_t channels;
    std::array<std::size_t, 3> phases;
    std::int64_t weight;                 // where the phase's begins
    std::int64_t input;                  // the first channel among those of all parts
    std::int64_t taps;                   // along depth
    bool has_last_row, has_last_column;  // of points: there is nothing there for a phase with fewer taps
  };

  static std::int64_t padded(std::int64_t tiles) { return ceil_div(tiles, kTileRows) * kTileRows; }
  std::int64_t chunk_step() const { return (slots_ * bands_.tiles() + kTileRows) * kTileChannels; }
  std::int64_t point_step() const { return std::ssize(chunks_) * chunk_step() + kApart; }
  const TilePhase& depth_phase(const Chunk& chunk) const { return unit_.depth->phases[chunk.phases[0]]; }
  // Depth d + t meets tap t of the result's depth d.
  static bool has_depth(const TilePhase& phase, std::int64_t depth) {
    return depth >= phase.before && depth - phase.before < phase.count;
  }
  // Where a depth lies. A step of one depth takes slots in turn; in one of several, from `first` on, they lie
  // in order, so that a product's tiles follow each other, and depths outside of the input are zeros.
  std::int64_t slot_of(std::int64_t depth, std::int64_t first) const {
    return bands_.step > 1 ? depth - first : depth % slots_;
  }
  std::int64_t slot_step() const { return tiles_ * kTileChannels; }
  // The transformed tiles of a slot, of chunk 0; those of the next are chunk_step() further.
  float* transformed(std::int64_t slot) { return transformed_.data_to_write<float>() + slot * slot_step(); }
  std::int64_t points() const { return bands_.size.points(); }

  // The depths that a step reads with the one before it, to their new slots.
  void keep_overlap() {
    const std::int64_t count = (taps_ - 1) * slot_step();
    for (std::int64_t point = 0; point < points(); ++point)
      for (std::int64_t chunk = 0; chunk < std::ssize(chunks_); ++chunk) {
        float* const to = transformed(0) + point * point_step() + chunk * chunk_step();
        std::memmove(to, to + bands_.step * slot_step(), static_cast<std::size_t>(count) * sizeof(float));
      }
  }

  void transform_depth(std::int64_t depth, std::int64_t slot) {
    float* to = transformed(slot);
    for (const Chunk& chunk : chunks_) {
      if (has_depth(depth_phase(chunk), depth))
        transform_plane(chunk, depth, to);
      else if (bands_.step > 1)
        for (std::int64_t point = 0; point < points(); ++point)
          std::fill_n(to + point * point_step(), slot_step(), 0.0f);
      to += chunk_step();
    }
  }

  void transform_plane(const Chunk& chunk, std::int64_t depth, float* to) {
    const TilePhase& phase = depth_phase(chunk);
    const std::int64_t at = unit_.sample * p_.from[0] + phase.start + (depth - phase.before) * phase.step;
    const float* const plane = chunk.at + group_ * p_.inputs + at * p_.from[1] * p_.from[2] * chunk.step;
    for (std::int64_t i = 0; i < unit_.rows; ++i) {
      const TileBands::Row& row = bands_.row(unit_.first_row + i);
      bands_.for_widths([&](const TileResidue& width, std::int64_t tile) {
        transform_lines(
            bands_.size,
            tile_lines(bands_.size, plane, chunk.step, p_.from, row.residue->phases[chunk.phases[1]],
                       row.first, width.phases[chunk.phases[2]]),
            chunk.channels, bands_.size.count(width.count), to + (i * bands_.wide + tile) * kTileChannels,
            point_step());
      });
    }
  }

  // Some depths of the result, of the band.
  void produce(ops::Range depths) {
    const std::int64_t tiles = depths.size() * tiles_;
    float* products = products_.data_to_write<float>();
    for (std::int64_t some = 0; some < p_.outputs; some += kBlockOutputs) {
      const std::int64_t end = std::min(some + kBlockOutputs, p_.outputs);
      for (std::int64_t first = 0; first < tiles; first += kBlockTiles) {
        const std::int64_t count = std::min(kBlockTiles, padded(tiles - first)),
                           step = count * (end - some) + kApart;
        for (std::int64_t point = 0; point < points(); ++point)
          for (std::int64_t f = some, block; f < end; f += block) {
            block = block_at(f, p_.outputs);
            gather_terms(depths.begin, f, block, point);
            multiply_tiles(terms_, first, count, block, products + point * step + count * (f - some));
          }
        for (std::int64_t f = some, block; f < end; f += block) {
          block = block_at(f, p_.outputs);
          finish({first, std::min(first + count, tiles)}, depths.begin, f, block,
                 products + count * (f - some), step);
        }
      }
    }
  }

  // The outputs from f on of some tiles of some depths, the first of which is d.
  void finish(ops::Range tiles, std::int64_t d, std::int64_t f, std::int64_t block, const float* products,
              std::int64_t point_step) {
    const std::int64_t plane = unit_.depth->step * p_.to[1] * p_.to[2] * p_.out_row(),
                       channel = group_ * p_.outputs + f;
    for (std::int64_t t = tiles.begin, end; t < tiles.end; t = end) {
      const std::int64_t depth = t / tiles_;
      end = std::min(tiles.end, (depth + 1) * tiles_);
      transform_outputs(bands_.size, products + (t - tiles.begin) * block, point_step, block,
                        {outputs_.data() + t - depth * tiles_, outputs_.data() + end - depth * tiles_},
                        (d + depth) * plane + channel, bias_ + channel, epilogue_);
    }
  }

  // What is summed over: the depth taps that meet the input, and the chunks of channels.
  void gather_terms(std::int64_t d, std::int64_t first_output, std::int64_t block, std::int64_t point) {
    const std::int64_t last = bands_.size.side() - 1;
    const bool last_row = point / bands_.size.side() == last,
               last_column = point % bands_.size.side() == last;
    const float* const group = weight_ + group_ * shape_.group_step() + point * shape_.point_step() +
                               first_output * taps_ * p_.inputs;
    terms_.clear();
    for (std::int64_t kd = 0; kd < taps_; ++kd) {
      const float* a = transformed(slot_of(d + kd, d)) + point * point_step();
      for (const Chunk& chunk : chunks_) {
        const bool meets = kd < chunk.taps && (bands_.step > 1 || has_depth(depth_phase(chunk), d + kd));
        if (meets && (!last_row || chunk.has_last_row) && (!last_column || chunk.has_last_column))
          terms_.push_back(
              {a, group + chunk.weight + (kd * p_.inputs + chunk.input) * block, chunk.channels});
        a += chunk_step();
      }
    }
  }

  // Where the tiles of the unit go, in the plane of its residue's first depth.
  void place_tiles() {
    const TileResidue& depth = *unit_.depth;
    const std::int64_t line = p_.to[2] * p_.out_row();
    float* const plane = out_ + (unit_.sample * p_.to[0] + depth.start) * p_.to[1] * line;
    outputs_.clear();
    for (std::int64_t i = 0; i < unit_.rows; ++i) {
      const TileBands::Row& row = bands_.row(unit_.first_row + i);
      const TileResidue& height = *row.residue;
      float* const at = plane + (height.start + row.first * height.step) * line;
      bands_.for_widths([&](const TileResidue& width, std::int64_t) {
        for (std::int64_t w = 0; w < width.count; w += bands_.size.outputs)
          outputs_.push_back({at + (width.start + w * width.step) * p_.out_row(), height.count - row.first,
                              width.count - w, height.step * line, width.step * p_.out_row()});
      });
    }
  }

  const TileProblem& p_;
  const TileBands& bands_;
  std::int64_t taps_, slots_;  // along depth, and depths of the input that are kept
  WeightShape shape_;
  const float *weight_, *bias_;
  const ops::ConvEpilogue& epilogue_;
  float* out_;
  Tensor transformed_;  // [point][chunk][slot][tile][channel]
  Tensor products_;     // [point][tile][output]
  std::vector<Chunk> chunks_;
  std::vector<TileOutput> outputs_;  // of the unit's tiles
  std::vector<TileTerm> terms_;
  TileUnit unit_{};
  std::int64_t group_ = 0, tiles_ = 0;  // the unit's group, and its tiles at one depth
  std::int64_t first_ = 0, ready_ = 0;  // the depth that the walk began with, and the next to be transformed
};

// The channels of the input come in `parts`.
bool serves_channels(const ConvProblem& p, ConvPass pass, std::span<const std::int64_t> parts) {
  const std::int64_t groups = p.geometry.groups;
  if (groups > 1 && parts.size() > 1) return false;
  if (p.x_channels == 0 || p.y_channels == 0) return false;
  for (const std::int64_t channels : parts)
    if (channels / groups % kHalfChunk != 0) return false;
  return (pass == ConvPass::x ? p.x_channels : p.y_channels) % kHalfChunk == 0;
}

// Tiles of a size that pass w has, or another.
TileSize served_size(const ConvProblem& p, ConvPass pass, const TileProblems& problems) {
  return pass == ConvPass::w ? summed_tile_size(p, problems) : tile_size(p, problems);
}

}  // namespace

bool Winograd::serves(const ConvProblem& p, ConvPass pass, std::span<const std::int64_t> parts) {
  return serves_channels(p, pass, parts) && !tile_problems(p, pass).empty();
}

Winograd::Winograd(const ConvProblem& problem, ConvPass pass, std::span<const std::int64_t> parts,
                   const Tensor& weight, const Tensor& bias, const ops::ConvEpilogue& epilogue)
    : Winograd(problem, pass, parts, epilogue, Tensor(), bias) {
  weight_ = transformed_weight(problem, pass, problems_, size_, weight);
}

Winograd::Winograd(const ConvProblem& problem, ConvPass pass, std::span<const std::int64_t> parts,
                   const ops::ConvEpilogue& epilogue, Tensor transformed, const Tensor& bias)
    : problems_(tile_problems(problem, pass)),
      size_(tile_size(problem, problems_)),
      has_cached_weight_(has_cached_weight(problem)),
      parts_(parts.begin(), parts.end()),
      epilogue_(epilogue),
      weight_(std::move(transformed)),
      bias_(zeros({problems_.front().out_row()})) {
  if (bias.defined()) kernels::copy(bias_, bias);
}

void Winograd::run(std::span<const Tensor> inputs, const Tensor& out) const {
  // Long steps share the reading of a large weight; else short ones keep their tiles in the cache.
  const TileBands::Steps steps{kStepTiles, kTileRows, !has_cached_weight_};
  const std::int64_t groups = problems_.front().groups;
  // The problems' bands, and where their units, the units' steps and the weights begin.
  std::vector<TileBands> bands;
  std::vector<std::int64_t> first_unit{0}, first_step{0}, first_weight{0};
  for (const TileProblem& problem : problems_) {
    const TileBands& of_problem = bands.emplace_back(problem, size_, steps, groups * std::ssize(problems_));
    const std::int64_t units = of_problem.units() * groups;
    first_unit.push_back(first_unit.back() + units);
    for (std::int64_t unit = 0; unit < units; ++unit)
      first_step.push_back(first_step.back() +
                           ceil_div(of_problem.unit(unit / groups).depths.size(), of_problem.step));
    first_weight.push_back(first_weight.back() + WeightShape(problem, size_).numel());
  }
  const auto index_in = [](const std::vector<std::int64_t>& firsts, std::int64_t at) {
    return static_cast<std::size_t>(std::ranges::upper_bound(firsts, at) - firsts.begin() - 1);
  };
  float* to = out.data_to_write<float>();
  parallel_walk(first_step.back(), 1, [&](Turns& turns) {
    std::optional<Walk> walk;
    std::size_t current = problems_.size(), unit = 0;
    std::int64_t next = -1, depth = 0;  // the step that would follow, and where the unit's begins
    while (const auto step = turns.next()) {
      if (*step != next || *step == first_step[unit + 1]) {
        unit = index_in(first_step, *step);
        const std::size_t problem = index_in(first_unit, static_cast<std::int64_t>(unit));
        const TileBands& of_problem = bands[problem];
        if (std::exchange(current, problem) != problem)
          walk.emplace(problems_[problem], of_problem, parts_, inputs,
                       weight_.data<float>() + first_weight[problem], bias_.data<float>(), epilogue_, to);
        const std::int64_t index = static_cast<std::int64_t>(unit) - first_unit[problem];
        const TileUnit of_step = of_problem.unit(index / groups);
        depth = of_step.depths.begin + (*step - first_step[unit]) * of_problem.step;
        walk->begin(of_step, index % groups, depth);
      }
      walk->step(depth);
      depth += bands[current].step;
      next = *step + 1;
    }
  });
}

bool has_winograd(const ConvProblem& p, ConvPass pass) {
  return Winograd::serves(p, pass, std::array{pass == ConvPass::x ? p.y_row() : p.x_row()});
}

std::int64_t winograd_side(const ConvProblem& p, ConvPass pass) {
  return served_size(p, pass, tile_problems(p, pass)).side();
}

double winograd_products(const ConvProblem& p, ConvPass pass) {
  const TileProblems problems = tile_problems(p, pass);
  return share_of_products(problems, served_size(p, pass, problems));
}

bool takes_parts(std::span<const Tensor> parts) {
  return std::ranges::all_of(parts, [](const Tensor& part) { return part.shape()[1] % kHalfChunk == 0; });
}

void conv_winograd(const ConvProblem& p, ConvPass pass, std::span<const Tensor> from, const Tensor& weight,
                   const Tensor& bias, const Tensor& to, const ops::PackedWeights& kept) {
  const Tensor transformed = kept.find_or_pack(weight, [&] {
    const TileProblems problems = tile_problems(p, pass);
    return transformed_weight(p, pass, problems, tile_size(p, problems), weight);
  });
  std::vector<std::int64_t> channels;
  for (const Tensor& part : from) channels.push_back(part.shape()[1]);
  Winograd(p, pass, channels, {}, transformed, bias).run(from, to);
}

}  // namespace lucid::direct
