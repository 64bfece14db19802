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

// The input as the grid sees it. Small, so that a loop keeps a copy of its own, which no store may change.
struct Frame {
  GridSampleMode mode;
  std::array<GridAxis, 3> axes;  // x, y, z
  std::array<int, 3> order;
  Index channels;
};

struct Problem {
  Problem(const Shape& input, const Tensor& grid, const GridSampling& sampling)
      : coordinates(grid), batch(input[0]), channels(input[1]) {
    frame.mode = sampling.mode;
    frame.order = sampling.order;
    frame.channels = channels;
    for (std::size_t a = 0; a < 3; ++a) {
      frame.axes[a].size = input[4 - a];
      if (static_cast<Index>(a) >= coordinates.components) continue;
      frame.axes[a].padding = sampling.padding;
      frame.axes[a].align_corners = sampling.align_corners;
      frame.axes[a].halves_away = coordinates.components == 3;
    }
    rows = input[2] * input[3];
    elements = rows * input[4] * channels;
    places = grid.shape()[1] * grid.shape()[2] * grid.shape()[3];
    blocks = (places + kBlock - 1) / kBlock;
  }
  /// Blocks that are worth a thread, each place costing about as much as this many elements.
  Index grain() const { return kElementGrain / (kBlock * (channels + 8) * 8) + 1; }

  Coordinates coordinates;
  Frame frame;
  Index batch, channels;
  Index rows, elements;  // of the input, in one sample
  Index places, blocks;  // of the grid, in one sample
};

// Places [begin, end) of sample `n`, all of one sample.
struct Block {
  Block(const Problem& problem, Index number)
      : n(number / problem.blocks),
        begin(n * problem.places + number % problem.blocks * kBlock),
        count(std::min(kBlock, (n + 1) * problem.places - begin)) {}
  Index n, begin, count;
};

// What one axis reads, with weights of the order wanted and of the kOrders - 1 next ones.
template <GridSampleMode kMode, int kOrders>
struct AxisReads {
  static constexpr int kCount = reads_of(kMode);
  [[gnu::always_inline]] AxisReads(const GridAxis& axis, double coordinate, int order)
      : place(axis.locate<kMode>(coordinate)) {
    for (int o = 0; o < kOrders; ++o) weigh(place, order + o, weight[o]);
  }
  Place<kMode> place;
  double weight[kOrders][kCount];
};

// Images have no third axis to read along: theirs is one element, at coordinate 0.
constexpr GridSampleMode depth_mode(GridSampleMode mode) {
  return mode == GridSampleMode::bicubic ? GridSampleMode::nearest : mode;
}

// Lists what one place reads inside `rows` of the sample. One set: weights of frame.order. Three: those of
// the derivatives of that along x, y and z.
template <GridSampleMode kMode, class A, int kSets>
[[gnu::always_inline]] inline void list_corners(Corners<A, kSets>& out, const Frame& frame,
                                                const std::array<double, 3>& coordinates, Rows rows) {
  constexpr int kOrders = kSets == 1 ? 1 : 2;
  const AxisReads<kMode, kOrders> xs(frame.axes[0], coordinates[0], frame.order[0]),
      ys(frame.axes[1], coordinates[1], frame.order[1]);
  const AxisReads<depth_mode(kMode), kOrders> zs(frame.axes[2], coordinates[2], frame.order[2]);
  int count = 0;
  for (int z = 0; z < zs.kCount; ++z)
    for (int y = 0; y < ys.kCount; ++y) {
      const Index row = zs.place.index[z] * frame.axes[1].size + ys.place.index[y];
      if (zs.place.index[z] < 0 || ys.place.index[y] < 0 || row < rows.first || row >= rows.end) continue;
      const double held = zs.weight[0][z] * ys.weight[0][y];
      for (int x = 0; x < xs.kCount; ++x) {
        if (xs.place.index[x] < 0) continue;
        out.offset[count] = (row * frame.axes[0].size + xs.place.index[x]) * frame.channels;
        if constexpr (kSets == 1) {
          out.weight[0][count] = static_cast<A>(held * xs.weight[0][x]);
        } else {
          out.weight[0][count] = static_cast<A>(held * xs.weight[1][x]);
          out.weight[1][count] = static_cast<A>(zs.weight[0][z] * ys.weight[1][y] * xs.weight[0][x]);
          out.weight[2][count] = static_cast<A>(zs.weight[1][z] * ys.weight[0][y] * xs.weight[0][x]);
        }
        ++count;
      }
    }
  out.count = count;
}

}  // namespace lucid::kernels::grid
