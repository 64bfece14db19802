#include "ops/direct/weight_dots.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/direct/conv_maps.hpp"
#include "ops/direct/line_dots.hpp"
#include "ops/direct/rows.hpp"
#include "ops/direct/weight_share_y_rows.hpp"
#include "ops/kernels/transpose.hpp"

namespace lucid::direct {
namespace {

using ops::ConvProblem;

constexpr std::int64_t kMostChannels = 16;  // of either operand in a group

// The positions of x along an axis that a block of y meets, in slots: all from the first to the last, or
// where these are fewer those of each position of y and each tap.
class Slots {
 public:
  Slots(const AxisMap& axis, std::int64_t count)
      : axis_(axis), is_sparse_(is_sparse(axis, count)), count_(count_of(axis, count, is_sparse_)) {}
  std::int64_t count() const { return count_; }
  /// What slot meets tap k of y's position i, both counted from the block's first.
  std::int64_t of(std::int64_t i, std::int64_t k) const {
    return is_sparse_ ? i * axis_.kernel + k : i * axis_.stride + k * axis_.dilation;
  }
  /// In x, where it may lie outside, when the block's first position of y is `first`.
  std::int64_t position(std::int64_t first, std::int64_t slot) const {
    const std::int64_t from = first * axis_.stride - axis_.padding;
    return from +
           (is_sparse_ ? slot / axis_.kernel * axis_.stride + slot % axis_.kernel * axis_.dilation : slot);
  }

 private:
  static bool is_sparse(const AxisMap& axis, std::int64_t count) {
    return axis.kernel * count <= (count - 1) * axis.stride + (axis.kernel - 1) * axis.dilation;
  }
  static std::int64_t count_of(const AxisMap& axis, std::int64_t count, bool sparse) {
    return sparse ? axis.kernel * count : (count - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1;
  }

  AxisMap axis_;
  bool is_sparse_;
  std::int64_t count_;
};

// Every stride-th position of a line of x, from each of some first ones on: the same lines as y has, but for
// `reach` more voxels that taps further on meet.
struct Phases {
  std::vector<std::int64_t> first;         // of each phase, in order
  std::vector<std::int64_t> phase, shift;  // of each tap
  std::int64_t reach = 0;

  // All of them, or those that taps meet.
  Phases(const AxisMap& w, bool all) {
    for (std::int64_t k = 0; k < (all ? w.stride : w.kernel); ++k)
      first.push_back(all ? k : k * w.dilation % w.stride);
    std::ranges::sort(first);
    first.erase(std::unique(first.begin(), first.end()), first.end());
    for (std::int64_t k = 0; k < w.kernel; ++k) {
      phase.push_back(std::ranges::lower_bound(first, k * w.dilation % w.stride) - first.begin());
      shift.push_back(k * w.dilation / w.stride);
    }
    reach = shift.back();
  }
  std::int64_t count() const { return std::ssize(first); }
};

// Voxels of x that are copied for each of y.
std::int64_t met_by_voxel(const ConvProblem& p) {
  std::int64_t out = 1;
  for (std::size_t i = 0; i < 3; ++i) out *= std::min(p.geometry.kernel[i], p.geometry.stride[i]);
  return out;
}

// Whether taps meet x often enough, since the zeros around it are multiplied as well.
bool meets_often(const ConvProblem& p) {
  double all = 1, inside = 1;
  for (std::size_t i = 0; i < 3; ++i) {
    const AxisMap axis(p.geometry, i);
    double met = 0;
    for (std::int64_t k = 0; k < axis.kernel; ++k)
      met += static_cast<double>(std::max<std::int64_t>(0, axis.y_range(k).size()));
    all *= static_cast<double>(axis.kernel) * static_cast<double>(axis.y);
    inside *= met;
  }
  constexpr double kLeast = 0.4;  // 3 taps on 3 voxels along each axis meet 0.47
  return inside >= kLeast * all;
}

// Voxels of y along each axis that are summed together: a core's cache holds what they meet.
Dims3 block_of(const ConvProblem& p, std::int64_t groups) {
  constexpr std::int64_t kLongestLine = 512, kCachedElements = 49152, kMostVoxels = 1 << 12,
                         kLeastVoxels = 1 << 8, kBlocksOfThread = 4;
  const Dims3 &y = p.geometry.y, &kernel = p.geometry.kernel;
  const std::int64_t of_voxel = groups * (met_by_voxel(p) * p.x_channels + p.y_channels),
                     fair = p.y_voxels() / (kBlocksOfThread * num_threads()),
                     voxels = std::clamp(kCachedElements / of_voxel, kLeastVoxels,
                                         std::clamp(fair, kLeastVoxels, kMostVoxels));
  const std::int64_t w = std::min(y[2], kLongestLine), lines = std::max<std::int64_t>(1, voxels / w);
  // Planes and lines share what they meet with their neighbours.
  const auto root = static_cast<std::int64_t>(std::sqrt(static_cast<double>(lines)));
  const std::int64_t planes = kernel[0] > 1 ? root : 1;
  const std::int64_t h = std::min(y[1], lines / planes);
  return {std::min(y[0], lines / h), h, w};
}

class WeightDots {
 public:
  WeightDots(const ConvProblem& p, const Tensor& x, const Tensor& y)
      : p_(p),
        maps_(p.geometry),
        groups_(groups_at_once(p)),
        block_(block_of(p, groups_)),
        planes_(maps_.d, block_[0]),
        lines_(maps_.h, block_[1]),
        phases_(maps_.w, maps_.w.stride <= kFewChannels / (groups_ * p.x_channels)),
        y_line_(padded_to_lanes(block_[2], register_lanes<float>())),
        x_line_(padded_to_lanes(y_line_ + phases_.reach, register_lanes<float>())),
        x_(x.data<float>()),
        y_(y.data<float>()) {
    for (std::size_t i = 0; i < 3; ++i) blocks_[i] = (p.geometry.y[i] + block_[i] - 1) / block_[i];
    for (std::int64_t c = 0; c < p.x_channels; ++c)
      for (std::int64_t kd = 0; kd < maps_.d.kernel; ++kd)
        for (std::int64_t kh = 0; kh < maps_.h.kernel; ++kh)
          for (std::int64_t kw = 0; kw < maps_.w.kernel; ++kw)
            rows_.push_back(planes_.of(0, kd) * x_plane_step() + lines_.of(0, kh) * x_line_step() +
                            phases_.phase[static_cast<std::size_t>(kw)] * x_phase_step() + c * x_line_ +
                            phases_.shift[static_cast<std::size_t>(kw)]);
  }

  void run(float* w) const {
    constexpr std::int64_t kManySums = 1 << 12, kMostEach = 8;
    const std::int64_t sums = p_.geometry.groups * p_.y_channels * std::ssize(rows_),
                       group_blocks = (p_.geometry.groups + groups_ - 1) / groups_,
                       blocks = p_.batch * blocks_[0] * blocks_[1] * blocks_[2];
    // Each thread has several parts of few sums, and where there are many blocks of groups these will do.
    const std::int64_t each = std::clamp<std::int64_t>(kManySums / sums, 1, kMostEach),
                       parts = std::min(blocks, 1 + (each * num_threads() - 1) / group_blocks);
    std::vector<double> totals(static_cast<std::size_t>(parts * sums));
    const std::int64_t tasks = parts * group_blocks;
    parallel_walk(tasks, grain_of(p_.work(), tasks), [&](Turns& turns) {
      const Scratch scratch{zeros({planes_.count() * x_plane_step()}),
                            zeros({block_[0] * block_[1] * y_line_step()})};
      while (const auto task = turns.next()) {
        const std::int64_t part = *task / group_blocks, group = *task % group_blocks * groups_;
        for (std::int64_t block = blocks * part / parts; block < blocks * (part + 1) / parts; ++block)
          add_block(block, {group, std::min(group + groups_, p_.geometry.groups)}, scratch,
                    totals.data() + part * sums);
      }
    });
    write_totals(totals, sums, w);
  }

 private:
  struct Scratch {
    Tensor x;  // [slot of planes][of lines][phase][channel of the groups][voxel]
    Tensor y;  // [plane][line][channel][voxel]
  };

  static constexpr std::int64_t kFewChannels = 8;

  // Groups whose channels fill two lines of the cache.
  static std::int64_t groups_at_once(const ConvProblem& p) {
    const std::int64_t channels = p.x_channels + p.y_channels;
    return std::min(p.geometry.groups, (2 * kLanes<float> + channels - 1) / channels);
  }

  std::int64_t x_phase_step() const { return groups_ * p_.x_channels * x_line_; }
  std::int64_t x_line_step() const { return phases_.count() * x_phase_step(); }
  std::int64_t x_plane_step() const { return lines_.count() * x_line_step(); }
  std::int64_t y_line_step() const { return groups_ * p_.y_channels * y_line_; }

  void add_block(std::int64_t block, Range groups, const Scratch& scratch, double* totals) const {
    const std::int64_t w = block % blocks_[2], h = block / blocks_[2] % blocks_[1],
                       d = block / blocks_[2] / blocks_[1] % blocks_[0],
                       n = block / blocks_[2] / blocks_[1] / blocks_[0];
    const auto range = [&](std::size_t axis, std::int64_t i) {
      return Range{i * block_[axis], std::min((i + 1) * block_[axis], p_.geometry.y[axis])};
    };
    const Range ds = range(0, d), hs = range(1, h), ws = range(2, w);
    copy_y(n, ds, hs, ws, groups, scratch.y.data_to_write<float>());
    copy_x(n, ds, hs, ws, groups, scratch.x.data_to_write<float>());
    for (std::int64_t group = groups.begin; group < groups.end; ++group)
      add_group(ds.size(), hs.size(), ws.size(), group - groups.begin, scratch,
                totals + group * p_.y_channels * std::ssize(rows_));
  }

  void copy_y(std::int64_t n, Range ds, Range hs, Range ws, Range groups, float* to) const {
    const std::int64_t channels = groups.size() * p_.y_channels;
    for (std::int64_t d = ds.begin; d < ds.end; ++d)
      for (std::int64_t h = hs.begin; h < hs.end; ++h, to += y_line_step()) {
        const std::int64_t voxel = ((n * maps_.d.y + d) * maps_.h.y + h) * maps_.w.y + ws.begin;
        if (blocks_[2] > 1) std::fill_n(to, y_line_step(), 0.0f);
        copy_channels(to, y_line_, y_ + voxel * p_.y_row() + groups.begin * p_.y_channels, p_.y_row(),
                      channels, ws.size());
      }
  }

  void copy_x(std::int64_t n, Range ds, Range hs, Range ws, Range groups, float* to) const {
    const std::int64_t channels = groups.size() * p_.x_channels;
    const std::int64_t planes_met = planes_.of(ds.size() - 1, maps_.d.kernel - 1) + 1,
                       lines_met = lines_.of(hs.size() - 1, maps_.h.kernel - 1) + 1;
    for (std::int64_t plane = 0; plane < planes_met; ++plane)
      for (std::int64_t line = 0; line < lines_met; ++line) {
        const std::int64_t d = planes_.position(ds.begin, plane), h = lines_.position(hs.begin, line);
        const bool is_inside = d >= 0 && d < maps_.d.x && h >= 0 && h < maps_.h.x;
        float* const at = to + plane * x_plane_step() + line * x_line_step();
        if (!is_inside || blocks_[2] > 1) std::fill_n(at, x_line_step(), 0.0f);
        if (is_inside)
          copy_x_line(x_ + ((n * maps_.d.x + d) * maps_.h.x + h) * maps_.w.x * p_.x_step() +
                          groups.begin * p_.x_channels,
                      ws, channels, at);
      }
  }

  // Of all phases that have a voxel at once, where the voxels between them are copied too: they are the
  // channels of a wider voxel.
  void copy_x_line(const float* from, Range ws, std::int64_t channels, float* to) const {
    const std::int64_t stride = maps_.w.stride, step = p_.x_step(), phases = phases_.count(),
                       first = ws.begin * stride - maps_.w.padding, count = ws.size() + phases_.reach;
    Range common{0, phases == stride && channels == step ? count : 0};
    const auto met_by = [&](std::int64_t phase) {
      return positions(count, stride, first + phases_.first[static_cast<std::size_t>(phase)], maps_.w.x);
    };
    for (std::int64_t i = 0; i < phases; ++i) {
      const Range met = met_by(i);
      common = {std::max(common.begin, met.begin), std::min(common.end, met.end)};
    }
    if (!common.empty())
      copy_channels(to + common.begin, x_line_, from + (common.begin * stride + first) * step, stride * step,
                    phases * channels, common.size());
    for (std::int64_t i = 0; i < phases; ++i) {
      const auto [before, behind] = without(met_by(i), common);
      for (const Range part : {before, behind})
        if (!part.empty())
          copy_channels(
              to + i * x_phase_step() + part.begin, x_line_,
              from + (part.begin * stride + first + phases_.first[static_cast<std::size_t>(i)]) * step,
              step_of(stride, step), channels, part.size());
    }
  }

  // Voxels that are `step` apart to the lines of their channels.
  static void copy_channels(float* to, std::int64_t line, const float* from, std::int64_t step,
                            std::int64_t channels, std::int64_t voxels) {
    if (channels == 1 && step == 1) return std::copy_n(from, voxels, to), void();
    kernels::transpose(to, from, line, step, channels, voxels);
  }

  void add_group(std::int64_t planes, std::int64_t lines, std::int64_t voxels, std::int64_t group,
                 const Scratch& scratch, double* totals) const {
    const std::int64_t rows = std::ssize(rows_), channels = p_.y_channels,
                       channel_parts = (channels + kDotChannels - 1) / kDotChannels;
    for (std::int64_t i = 0; i < channel_parts; ++i) {
      const Range cs{channels * i / channel_parts, channels * (i + 1) / channel_parts};
      const std::int64_t most = kDotRows[static_cast<std::size_t>(cs.size() - 1)],
                         row_parts = (rows + most - 1) / most;
      for (std::int64_t j = 0; j < row_parts; ++j) {
        const Range rs{rows * j / row_parts, rows * (j + 1) / row_parts};
        add_line_dots({.x = scratch.x.data<float>() + group * p_.x_channels * x_line_,
                       .offsets = rows_.data() + rs.begin,
                       .y = scratch.y.data<float>() + (group * channels + cs.begin) * y_line_,
                       .y_channel = y_line_,
                       .planes = planes,
                       .lines = lines,
                       .voxels = voxels,
                       .x_plane = step_of(planes_.of(1, 0), x_plane_step()),
                       .x_line = step_of(lines_.of(1, 0), x_line_step()),
                       .y_plane = lines * y_line_step(),
                       .y_line = y_line_step(),
                       .totals = totals + cs.begin * rows + rs.begin,
                       .totals_step = rows},
                      rs.size(), cs.size());
      }
    }
  }

  const ConvProblem& p_;
  Maps maps_;
  std::int64_t groups_;  // that are copied together
  Dims3 block_, blocks_;
  Slots planes_, lines_;
  Phases phases_;
  std::int64_t y_line_, x_line_;
  std::vector<std::int64_t> rows_;  // offset of each [channel of x][tap] in the copy of x
  const float *x_, *y_;
};

}  // namespace

// Fitted to 600 random problems of usual kernels (AVX2, not measured with wide registers), of which it takes
// 3 % more time than the faster way of each.
bool has_weight_dots(const ConvProblem& p) {
  constexpr std::int64_t kMostTaps = 512, kMostReach = 16;    // so that the copies stay small
  constexpr std::int64_t kMostOfGroup = 32, kMostOfOne = 12;  // products of a tap, where voxels meet many
  constexpr std::int64_t kFewOfGroup = 24, kFewOfOne = 3;     // the same, or channels of y, of few taps
  constexpr std::int64_t kManyTaps = 9;                       // of each voxel that is copied
  const std::int64_t x = p.x_channels, y = p.y_channels, lanes = register_lanes<float>();
  const ops::ConvGeometry& g = p.geometry;
  const bool is_grouped = g.groups > 1;
  for (std::size_t i = 0; i < 3; ++i)
    if (g.kernel[i] > 1 && (g.kernel[i] > kMostTaps || g.dilation[i] > kMostReach / (g.kernel[i] - 1)))
      return false;
  if (p.y_voxels() == 0 || p.taps() > kMostTaps || std::max(x, y) > kMostChannels) return false;
  if (YRowsShare<float>::fits(p) || (!is_grouped && y % lanes == 0)) return false;  // vectors are full
  if (2 * g.y[2] < lanes || !meets_often(p)) return false;
  const bool is_narrow = 4 * y <= 3 * lanes;
  if (p.taps() == 1) return is_narrow;
  if (p.taps() >= kManyTaps * met_by_voxel(p))
    return is_narrow || x * y <= (is_grouped ? kMostOfGroup : kMostOfOne);
  if (y % lanes == 0) return false;
  return is_grouped ? x * y <= kFewOfGroup : x * y <= kMostOfOne && y <= kFewOfOne;
}

void weight_dots(const ConvProblem& p, const Tensor& x, const Tensor& y, const Tensor& out) {
  WeightDots(p, x, y).run(out.data_to_write<float>());
}

}  // namespace lucid::direct
