#pragma once
// The elements of a volume that places of a grid read, and their weights. For .cpp files whose functions are
// LUCID_VECTORIZED.

#include <array>

#include "ops/kernels/elementwise.hpp"
#include "ops/kernels/grid_place.hpp"
#include "ops/kernels/grid_sample.hpp"

namespace lucid::kernels::grid {

using Index = std::int64_t;

inline constexpr Index kBlock = 32;  // places whose corners are listed together
inline constexpr int kMostCorners = 16;

// The elements that one place reads: offsets of their first channel, and kSets sets of weights.
template <class A, int kSets>
struct Corners {
  int count;
  Index offset[kMostCorners];
  A weight[kSets][kMostCorners];
};

// Rows (n, d, h) of the input: [first, end).
struct Rows {
  Index first, end;
};

// Coordinates in their own type or in float.
class Coordinates {
 public:
  explicit Coordinates(const Tensor& grid) : components(grid.size(-1)) {
    const DType dtype = grid.dtype() == f64 ? f64 : f32;
    dense_ = grid.dtype() == dtype && grid.is_contiguous() ? grid : empty(grid.shape(), dtype);
    if (!dense_.is_same(grid)) copy(dense_, grid);
    if (dtype == f64)
      wide_ = dense_.data<double>();
    else
      narrow_ = dense_.data<float>();
  }
  DType dtype() const { return dense_.dtype(); }
  /// x, y and z (0 where there are two) of a place.
  std::array<double, 3> at(Index place) const {
    std::array<double, 3> out{};
    for (Index i = 0; i < components; ++i) {
      const Index j = place * components + i;
      out[static_cast<std::size_t>(i)] = wide_ ? wide_[j] : static_cast<double>(narrow_[j]);
    }
    return out;
  }
  const Index components;  ///< 2 or 3

 private:
  Tensor dense_;
  const double* wide_ = nullptr;
  const float* narrow_ = nullptr;
};

struct Problem {
  Problem(const Shape& input, const Tensor& grid, const GridSampling& sampling)
      : coordinates(grid), order(sampling.order), batch(input[0]), channels(input[1]), depth(input[2]) {
    for (std::size_t a = 0; a < 3; ++a) {
      axes[a].size = input[4 - a];
      if (static_cast<Index>(a) >= coordinates.components) continue;
      axes[a].mode = sampling.mode;
      axes[a].padding = sampling.padding;
      axes[a].align_corners = sampling.align_corners;
    }
    places = grid.shape()[1] * grid.shape()[2] * grid.shape()[3];
    blocks = (places + kBlock - 1) / kBlock;
  }
  Index rows() const { return depth * axes[1].size; }  ///< of one sample
  /// Blocks that are worth a thread, each place costing some `work` elements.
  Index grain() const { return kElementGrain / (kBlock * (channels + 8) * 8) + 1; }

  Coordinates coordinates;
  std::array<GridAxis, 3> axes;  // x, y, z
  std::array<int, 3> order;
  Index batch, channels, depth;
  Index places, blocks;  // of one sample
};

// Places [begin, end) of sample `n`, all of one sample.
struct Block {
  Block(const Problem& problem, Index number)
      : n(number / problem.blocks),
        begin(n * problem.places + number % problem.blocks * kBlock),
        count(std::min(kBlock, (n + 1) * problem.places - begin)) {}
  Index n, begin, count;
};

// What one axis reads, without the zeros outside.
template <int kOrders>
struct AxisReads {
  int count = 0;
  Index index[kMostPlaces];
  double weight[kOrders][kMostPlaces];  // of the order wanted, and of the next one
};

template <int kOrders>
[[gnu::always_inline]] inline void read_axis(AxisReads<kOrders>& out, const GridAxis& axis, double coordinate,
                                             int order) {
  const Place place = axis.locate(coordinate);
  double weight[kOrders][kMostPlaces];
  for (int o = 0; o < kOrders; ++o) axis.weigh(place, order + o, weight[o]);
  for (int k = 0; k < place.count; ++k) {
    if (place.index[k] < 0) continue;
    out.index[out.count] = place.index[k];
    for (int o = 0; o < kOrders; ++o) out.weight[o][out.count] = weight[o][k];
    ++out.count;
  }
}

// Lists what one place reads inside `rows` of the sample. One set: weights of problem.order. Three: those of
// the derivatives of that along x, y and z.
template <class A, int kSets>
[[gnu::always_inline]] inline void list_corners(Corners<A, kSets>& out, const Problem& problem, Index at,
                                                Rows rows) {
  const std::array<double, 3> coordinates = problem.coordinates.at(at);
  AxisReads<kSets == 1 ? 1 : 2> reads[3];
  for (std::size_t a = 0; a < 3; ++a) read_axis(reads[a], problem.axes[a], coordinates[a], problem.order[a]);
  const auto& [xs, ys, zs] = reads;
  int count = 0;
  for (int z = 0; z < zs.count; ++z)
    for (int y = 0; y < ys.count; ++y) {
      const Index row = zs.index[z] * problem.axes[1].size + ys.index[y];
      if (row < rows.first || row >= rows.end) continue;
      const double held = zs.weight[0][z] * ys.weight[0][y];
      for (int x = 0; x < xs.count; ++x, ++count) {
        out.offset[count] = (row * problem.axes[0].size + xs.index[x]) * problem.channels;
        if constexpr (kSets == 1) {
          out.weight[0][count] = static_cast<A>(held * xs.weight[0][x]);
        } else {
          out.weight[0][count] = static_cast<A>(held * xs.weight[1][x]);
          out.weight[1][count] = static_cast<A>(zs.weight[0][z] * ys.weight[1][y] * xs.weight[0][x]);
          out.weight[2][count] = static_cast<A>(zs.weight[1][z] * ys.weight[0][y] * xs.weight[0][x]);
        }
      }
    }
  out.count = count;
}

}  // namespace lucid::kernels::grid
