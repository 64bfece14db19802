// Sampling at the places of a grid: each result is a sum over elements of the input, weighted by a kernel of
// the distance; affine grids.

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "ops/reference/definitions.hpp"

namespace lucid::reference {
namespace {

using nlohmann::json;

bool aligned(const json& options) {
  return !options["align_corners"].is_null() && options["align_corners"].get<bool>();
}

struct Sampler {
  explicit Sampler(const json& options)
      : mode(options["mode"]), padding(options["padding_mode"]), align_corners(aligned(options)) {}

  double position(double coordinate, std::int64_t size) const {
    const auto n = static_cast<double>(size);
    return align_corners ? (coordinate + 1) / 2 * (n - 1) : ((coordinate + 1) * n - 1) / 2;
  }

  // A position inside [0, size - 1] for border and reflection: mirrored as often as it takes.
  double padded(double at, std::int64_t size) const {
    const double low = align_corners ? 0 : -0.5, high = static_cast<double>(size - 1) - low;
    if (padding == "reflection" && low == high) return low;
    while (padding == "reflection" && (at < low || at > high)) at = at < low ? 2 * low - at : 2 * high - at;
    return padding == "zeros" ? at : std::clamp(at, 0.0, static_cast<double>(size - 1));
  }

  double weight(double distance) const {
    const double a = -0.75, d = std::abs(distance);
    if (mode == "bilinear") return std::max(0.0, 1 - d);
    if (d <= 1) return (a + 2) * d * d * d - (a + 3) * d * d + 1;
    return d < 2 ? a * (d * d * d - 5 * d * d + 8 * d - 4) : 0;
  }

  // What one axis reads: (element, weight).
  std::vector<std::pair<std::int64_t, double>> taps(double coordinate, std::int64_t size, bool volume) const {
    double at = position(coordinate, size);
    if (mode != "bicubic") at = padded(at, size);
    if (mode == "nearest")  // halves go away from 0 in volumes, to even in images
      return {{static_cast<std::int64_t>(volume ? std::round(at) : std::nearbyint(at)), 1.0}};
    std::vector<std::pair<std::int64_t, double>> out;
    for (double i = std::floor(at) - 2; i <= std::floor(at) + 3; ++i)
      if (const double w = weight(at - i); w != 0)
        out.emplace_back(static_cast<std::int64_t>(padded(i, size)), w);
    return out;
  }

  std::string mode, padding;
  bool align_corners;
};

double sampled(const Sampler& sampler, const Array& input, const Array& grid, const Index& out) {
  const std::size_t axes = input.rank() - 2;
  std::vector<std::pair<Index, double>> reads = {{{out[0], out[1]}, 1.0}};
  for (std::size_t axis = 0; axis < axes; ++axis) {
    Index where = out;
    where.erase(where.begin() + 1);
    where.push_back(static_cast<std::int64_t>(axes - 1 - axis));  // x belongs to the last axis
    const std::int64_t size = input.shape[axis + 2];
    std::vector<std::pair<Index, double>> longer;
    for (const auto& [index, weight] : reads)
      for (const auto& [i, w] : sampler.taps(grid.at(where), size, axes == 3)) {
        if (i < 0 || i >= size) continue;
        longer.emplace_back(index, weight * w);
        longer.back().first.push_back(i);
      }
    reads = longer;
  }
  double sum = 0;
  for (const auto& [index, weight] : reads) sum += weight * input.at(index);
  return sum;
}

Arrays grid_sample(const Arrays& in, const json& options) {
  const Sampler sampler(options);
  Shape shape = in[0].shape;
  for (std::size_t axis = 2; axis < shape.size(); ++axis) shape[axis] = in[1].shape[axis - 1];
  return {generate(shape, [&](const Index& index) { return sampled(sampler, in[0], in[1], index); })};
}

Arrays affine_grid(const Arrays& in, const json& options) {
  const auto size = options["size"].get<std::vector<std::int64_t>>();
  const std::size_t axes = size.size() - 2;
  Shape shape = Shape::filled(axes + 2, static_cast<std::int64_t>(axes));
  shape[0] = size[0];
  for (std::size_t axis = 0; axis < axes; ++axis) shape[axis + 1] = size[axis + 2];
  return {generate(shape, [&](const Index& index) {
    double sum = in[0].at({index[0], index[axes + 1], static_cast<std::int64_t>(axes)});
    for (std::size_t axis = 0; axis < axes; ++axis) {
      const auto n = static_cast<double>(shape[axis + 1]), i = static_cast<double>(index[axis + 1]);
      const double span = aligned(options) ? n - 1 : n;
      const double centre = n == 1 ? 0 : (2 * i - (n - 1)) / span;
      sum += centre * in[0].at({index[0], index[axes + 1], static_cast<std::int64_t>(axes - 1 - axis)});
    }
    return sum;
  })};
}

}  // namespace

void define_grid_sample(Definitions& d) {
  d["grid_sample"] = grid_sample;
  d["affine_grid"] = affine_grid;
}

}  // namespace lucid::reference
