#include "ops/direct/tap_products.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "ops/direct/conv_maps.hpp"
#include "ops/direct/packed_weight.hpp"
#include "ops/direct/scattered_rows.hpp"

namespace lucid::direct {
namespace {

using ops::ConvProblem;

// Positions in order, and how far apart their voxels lie in each operand.
struct Axis {
  std::int64_t count, from_step, to_step;
};

// What a tap reaches: samples, depths, heights and widths, from the first voxel on.
struct Box {
  std::array<Axis, 4> axes;
  RowPlace first;
};

void list_rows(const Box& box, std::vector<RowPlace>& out) {
  out.assign(1, box.first);
  for (const Axis& axis : box.axes) {  // each repeats what the axes in front of it gave
    const std::size_t before = out.size();
    out.resize(before * static_cast<std::size_t>(axis.count));
    for (std::size_t i = before; i < out.size(); ++i)
      out[i] = {out[i - before].a + axis.from_step, out[i - before].c + axis.to_step};
  }
}

class TapProducts {
 public:
  TapProducts(const ConvProblem& p, bool transposed, const Tensor& from, const Tensor& weight,
              const Tensor& bias, const Tensor& to, const ops::PackedWeights& kept)
      : p_(p),
        maps_(p.geometry),
        transposed_(transposed),
        weight_(p, weight, transposed, kept),
        from_(from.data<float>()),
        bias_(bias.defined() ? bias.data<float>() : nullptr),
        to_(to.data_to_write<float>()),
        to_row_(transposed ? p.x_row() : p.y_row()),
        voxels_(to.numel() / to_row_) {}

  void run() const {
    constexpr std::int64_t kMostColumns = 4 * kPanel<float>;
    const std::int64_t columns = weight_.columns(), fair = (columns + num_threads() - 1) / num_threads();
    const std::int64_t step = std::min(padded_to_lanes(fair, kPanel<float>), kMostColumns);
    const std::int64_t steps = (columns + step - 1) / step;
    parallel_walk(steps, grain_of(p_.work(), steps), [&](Turns& turns) {
      std::vector<RowPlace> rows;
      while (const auto i = turns.next()) produce(*i * step, std::min(step, columns - *i * step), rows);
    });
  }

 private:
  Box box_of(std::int64_t tap) const {
    const std::array<const AxisMap*, 3> maps{&maps_.d, &maps_.h, &maps_.w};
    const std::array<std::int64_t, 3> taps{tap / maps_.w.kernel / maps_.h.kernel,
                                           tap / maps_.w.kernel % maps_.h.kernel, tap % maps_.w.kernel};
    std::int64_t x_step = transposed_ ? p_.x_row() : p_.x_step(), y_step = p_.y_row(), x = 0, y = 0;
    std::array<Axis, 4> axes;
    for (std::size_t i = 3; i-- > 0;) {
      const AxisMap& map = *maps[i];
      const Range range = map.y_range(taps[i]);
      if (range.empty()) return {};
      x += (range.begin * map.stride + map.shift(taps[i])) * x_step;
      y += range.begin * y_step;
      axes[2 - i] = axis(range.size(), step_of(map.stride, x_step), y_step);
      x_step *= map.x;
      y_step *= map.y;
    }
    axes[3] = axis(p_.batch, x_step, y_step);
    return transposed_ ? Box{axes, {y, x}} : Box{axes, {x, y}};
  }
  Axis axis(std::int64_t count, std::int64_t x_step, std::int64_t y_step) const {
    return transposed_ ? Axis{count, y_step, x_step} : Axis{count, x_step, y_step};
  }

  // All voxels of the result, of some columns.
  void produce(std::int64_t column, std::int64_t columns, std::vector<RowPlace>& rows) const {
    for (std::int64_t voxel = 0; voxel < voxels_; ++voxel) {
      float* const to = to_ + voxel * to_row_ + column;
      bias_ ? std::copy_n(bias_ + column, columns, to) : std::fill_n(to, columns, 0.0f);
    }
    for (std::int64_t tap = 0; tap < p_.taps(); ++tap) {
      list_rows(box_of(tap), rows);
      add_scattered_rows({.a = from_,
                          .b = weight_.at(0, tap) + column / kPanel<float> * weight_.panel_size(),
                          .c = to_ + column,
                          .places = rows.data(),
                          .rows = static_cast<std::int64_t>(rows.size()),
                          .depth = weight_.depth(),
                          .columns = columns,
                          .b_panel = weight_.panel_size()});
    }
  }

  const ConvProblem& p_;
  Maps maps_;
  bool transposed_;
  PackedWeight<float> weight_;
  const float *from_, *bias_;
  float* to_;
  std::int64_t to_row_, voxels_;
};

}  // namespace

bool has_tap_products(const ConvProblem& p) {
  constexpr std::int64_t kLeastVoxels = 16, kMostVoxels = 1024, kShortLine = 7, kLeastWeight = 1 << 16;
  const Dims3 &x = p.geometry.x, &y = p.geometry.y;
  const std::int64_t voxels = p.batch * y[0] * y[1] * y[2];
  return p.geometry.groups == 1 && p.taps() > 1 && y[2] <= kShortLine && voxels >= kLeastVoxels &&
         voxels <= kMostVoxels && p.batch * x[0] * x[1] * x[2] <= 8 * kMostVoxels &&
         p.taps() * p.x_channels * p.y_channels >= kLeastWeight;
}

void run_tap_products(const ConvProblem& p, bool transposed, const Tensor& from, const Tensor& weight,
                      const Tensor& bias, const Tensor& to, const ops::PackedWeights& kept) {
  TapProducts(p, transposed, from, weight, bias, to, kept).run();
}

}  // namespace lucid::direct
