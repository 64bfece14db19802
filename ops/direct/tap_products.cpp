#include "ops/direct/tap_products.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "ops/direct/conv_maps.hpp"
#include "ops/direct/packed_weight.hpp"

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
  std::int64_t from, to;
};

// What so many rows of a product cost, in sums that are in flight: blocks of six or four, and fewer wait for
// each other.
std::int64_t cost_of_rows(std::int64_t rows) {
  constexpr std::int64_t kLeast = 4, kMost = 6;
  const std::int64_t left = rows % kMost;
  return rows - left + (left == 0 ? 0 : left <= kLeast ? kLeast : kMost + 2);
}

// Brings the rows and lines of a product to the end: neighbours that follow each other become one axis, and
// the axis whose rows waste least comes last.
void arrange(std::array<Axis, 4>& axes) {
  std::size_t last = axes.size() - 1;  // those behind are done
  for (std::size_t i = last; i-- > 0;) {
    const Axis outer = std::exchange(axes[i], Axis{1, 0, 0});
    Axis& inner = axes[last];
    if (outer.count == 1) continue;
    if (inner.count == 1)
      inner = outer;
    else if (outer.from_step == step_of(inner.count, inner.from_step) &&
             outer.to_step == step_of(inner.count, inner.to_step))
      inner.count *= outer.count;
    else
      axes[--last] = outer;
  }
  const auto waste = [](const Axis& axis) {
    return static_cast<double>(cost_of_rows(axis.count)) / static_cast<double>(axis.count);
  };
  std::ranges::stable_sort(axes, std::ranges::greater{}, waste);
  std::ranges::stable_sort(axes.begin(), axes.end() - 1, std::ranges::less{}, &Axis::count);
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
        to_(to.mutable_data<float>()),
        to_row_(transposed ? p.x_row() : p.y_row()),
        voxels_(to.numel() / to_row_) {
    for (std::int64_t tap = 0; tap < p.taps(); ++tap) boxes_.push_back(box_of(tap));
  }

  void run() const {
    constexpr std::int64_t kMostColumns = 4 * kPanel<float>;
    const std::int64_t columns = weight_.columns(), fair = (columns + num_threads() - 1) / num_threads();
    const std::int64_t step = std::min(padded_to_lanes(fair, kPanel<float>), kMostColumns);
    const std::int64_t steps = (columns + step - 1) / step;
    parallel_for(steps, grain_of(p_.work(), steps), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) produce(i * step, std::min(step, columns - i * step));
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
      if (range.empty()) return {{}, 0, 0};
      x += (range.begin * map.stride + map.shift(taps[i])) * x_step;
      y += range.begin * y_step;
      axes[i + 1] = axis(range.size(), step_of(map.stride, x_step), y_step);
      x_step *= map.x;
      y_step *= map.y;
    }
    axes[0] = axis(p_.batch, x_step, y_step);
    arrange(axes);
    return transposed_ ? Box{axes, y, x} : Box{axes, x, y};
  }
  Axis axis(std::int64_t count, std::int64_t x_step, std::int64_t y_step) const {
    return transposed_ ? Axis{count, y_step, x_step} : Axis{count, x_step, y_step};
  }

  // All voxels of the result, of some columns.
  void produce(std::int64_t column, std::int64_t columns) const {
    for (std::int64_t voxel = 0; voxel < voxels_; ++voxel) {
      float* const to = to_ + voxel * to_row_ + column;
      bias_ ? std::copy_n(bias_ + column, columns, to) : std::fill_n(to, columns, 0.0f);
    }
    for (std::int64_t tap = 0; tap < p_.taps(); ++tap) {
      const auto& [axes, from, to] = boxes_[static_cast<std::size_t>(tap)];
      const auto& [outer, inner, lines, rows] = axes;
      RowsProduct<float> product{.a = nullptr,
                                 .a_row = rows.from_step,
                                 .a_step = 1,
                                 .b = weight_.at(0, tap) + column / kPanel<float> * weight_.panel_size(),
                                 .b_row = kPanel<float>,
                                 .c = nullptr,
                                 .c_row = rows.to_step,
                                 .rows = rows.count,
                                 .depth = weight_.depth(),
                                 .columns = columns,
                                 .b_panel = weight_.panel_size(),
                                 .lines = lines.count,
                                 .a_line = lines.from_step,
                                 .c_line = lines.to_step};
      for (std::int64_t i = 0; i < outer.count; ++i)
        for (std::int64_t j = 0; j < inner.count; ++j) {
          product.a = from_ + from + i * outer.from_step + j * inner.from_step;
          product.c = to_ + to + column + i * outer.to_step + j * inner.to_step;
          add_product(product);
        }
    }
  }

  const ConvProblem& p_;
  Maps maps_;
  bool transposed_;
  PackedWeight<float> weight_;
  const float *from_, *bias_;
  float* to_;
  std::int64_t to_row_, voxels_;
  std::vector<Box> boxes_;  // of each tap
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
