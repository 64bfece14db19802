#include "ops/direct/winograd_problem.hpp"

#include <algorithm>

namespace lucid::direct {
namespace {

using ops::ConvGeometry;
using ops::ConvPass;

std::int64_t count_from(std::int64_t start, std::int64_t step, std::int64_t size) {
  return std::max<std::int64_t>(0, ceil_div(size - start, step));
}

// Without a stride the result to x is a convolution too, by the kernel turned round.
TileAxis dilated_axis(const ConvGeometry& g, std::size_t axis, bool to_x) {
  const std::int64_t kernel = g.kernel[axis], step = kernel > 1 ? g.dilation[axis] : 1;
  const std::int64_t from = to_x ? g.y[axis] : g.x[axis], to = to_x ? g.x[axis] : g.y[axis];
  const std::int64_t padding = to_x ? (kernel - 1) * step - g.padding[axis] : g.padding[axis];
  TileAxis out;
  for (std::int64_t start = 0; start < std::min(step, to); ++start) {
    const std::int64_t before = ceil_div(padding - start, step), first = start + before * step - padding;
    out.push_back({start,
                   step,
                   count_from(start, step, to),
                   {{first, step, count_from(first, step, from), before, to_x ? kernel - 1 : 0, to_x ? -1 : 1,
                     kernel}}});
  }
  return out;
}

// Position i of y meets positions (i + t) * stride + phase - padding of x at taps t * stride + phase.
TileAxis summed_phases(const ConvGeometry& g, std::size_t axis) {
  const std::int64_t stride = g.stride[axis];
  TileResidue all{0, 1, g.y[axis], {}};
  for (std::int64_t phase = 0; phase < stride; ++phase) {
    const std::int64_t before = ceil_div(g.padding[axis] - phase, stride),
                       first = phase - g.padding[axis] + before * stride;
    all.phases.push_back({first, stride, count_from(first, stride, g.x[axis]), before, phase, stride,
                          ceil_div(g.kernel[axis] - phase, stride)});
  }
  return {all};
}

// The positions (m + i) * stride + phase - padding of x, of which m makes the first that there is, meet
// positions m + i - t of y at taps t * stride + phase.
TileAxis phase_of_result(const ConvGeometry& g, std::size_t axis, std::int64_t phase) {
  const std::int64_t stride = g.stride[axis], taps = ceil_div(g.kernel[axis] - phase, stride);
  const std::int64_t m = ceil_div(g.padding[axis] - phase, stride),
                     first = m * stride + phase - g.padding[axis];
  return {{first,
           stride,
           count_from(first, stride, g.x[axis]),
           {{0, 1, g.y[axis], taps - 1 - m, phase + (taps - 1) * stride, -stride, taps}}}};
}

bool serves(const ConvGeometry& g, bool to_x) {
  constexpr std::int64_t kMostStride = 4, kMostDilation = 256;  // their cubes are the phases and residues
  for (std::size_t i = 0; i < 3; ++i) {
    if (g.x[i] == 0 || g.y[i] == 0 || (g.kernel[i] > 1 && g.dilation[i] > kMostDilation)) return false;
    if (g.stride[i] > 1 && (g.stride[i] > kMostStride || g.kernel[i] < g.stride[i] || g.dilation[i] > 1))
      return false;
    const std::int64_t residues = g.kernel[i] == 1 ? 1 : to_x ? g.stride[i] * g.dilation[i] : g.dilation[i];
    if ((to_x ? g.x : g.y)[i] < residues) return false;
  }
  const std::int64_t taps = ceil_div(g.kernel[1], g.stride[1]);
  return taps >= 2 && taps <= kMostTaps && ceil_div(g.kernel[2], g.stride[2]) == taps;
}

// Along one axis, products of a row of tiles' points in all phases.
std::int64_t points_along(const TileProblem& p, std::size_t axis, TileSize size) {
  std::int64_t out = 0;
  for (const TilePhase& phase : p.axes[axis].front().phases) out += size.side() - (phase.taps < size.taps);
  return out;
}
std::int64_t taps_along(const TileProblem& p, std::size_t axis) {
  std::int64_t out = 0;
  for (const TilePhase& phase : p.axes[axis].front().phases) out += phase.taps;
  return out;
}

}  // namespace

std::int64_t TileProblem::taps(std::size_t axis) const {
  return axes[axis].front().phases.front().taps;  // the first phase has the most
}

std::int64_t TileProblem::tiles_of_plane(TileSize size) const {
  std::int64_t along[2] = {};
  for (std::size_t axis = 1; axis < 3; ++axis)
    for (const TileResidue& residue : axes[axis]) along[axis - 1] += size.count(residue.count);
  return along[0] * along[1];
}

TileProblems tile_problems(const ops::ConvProblem& p, ConvPass pass) {
  ConvGeometry g = p.geometry;
  std::int64_t batch = p.batch;
  // x may have planes that no tap meets, which would part those of two samples.
  if (g.kernel[0] == 1 && g.stride[0] == 1 && g.padding[0] == 0 && g.x[0] == g.y[0]) {
    g.x[0] = g.y[0] *= batch;
    batch = 1;
  }
  const bool to_x = pass == ConvPass::x;
  if (!serves(g, to_x)) return {};
  std::array<std::vector<TileAxis>, 3> axes;
  for (std::size_t i = 0; i < 3; ++i)
    if (g.stride[i] == 1)
      axes[i] = {dilated_axis(g, i, to_x)};
    else if (!to_x)
      axes[i] = {summed_phases(g, i)};
    else
      for (std::int64_t phase = 0; phase < g.stride[i]; ++phase)
        axes[i].push_back(phase_of_result(g, i, phase));
  TileProblems out;
  for (const TileAxis& depth : axes[0])
    for (const TileAxis& height : axes[1])
      for (const TileAxis& width : axes[2])
        out.push_back({batch,
                       g.groups,
                       to_x ? p.y_channels : p.x_channels,
                       to_x ? p.x_channels : p.y_channels,
                       to_x ? g.y : g.x,
                       to_x ? g.x : g.y,
                       {depth, height, width}});
  return out;
}

TileSize tile_size_for(const TileProblems& problems, std::int64_t extra) {
  const TileProblem& p = problems.front();
  if (p.taps(1) > 3) return {2, kMostTaps};
  const auto products = [&](TileSize size) {
    std::int64_t depths = 0;
    for (const TileResidue& residue : p.axes[0]) depths += residue.count;
    return size.points() * (p.batch * depths * p.tiles_of_plane(size) + extra);
  };
  const TileSize small{2, p.taps(1)}, large{kMostOutputs, p.taps(1)};
  return products(large) < products(small) ? large : small;
}

double share_of_products(const TileProblems& problems, TileSize size) {
  double products = 0, defined = 0;
  for (const TileProblem& p : problems) {
    products +=
        static_cast<double>(points_along(p, 1, size) * points_along(p, 2, size) * p.tiles_of_plane(size));
    double along = 1;
    for (std::size_t axis = 1; axis < 3; ++axis) {
      std::int64_t positions = 0;
      for (const TileResidue& residue : p.axes[axis]) positions += residue.count;
      along *= static_cast<double>(taps_along(p, axis) * positions);
    }
    defined += along;
  }
  return defined > 0 ? products / defined : 1;
}

}  // namespace lucid::direct
