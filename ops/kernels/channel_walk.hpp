#pragma once
// How the kernels over channels (ops/kernels/channels.hpp) walk through memory.

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "lucid/parallel.hpp"
#include "ops/kernels/channels.hpp"
#include "ops/kernels/loop_plan.hpp"

namespace lucid::kernels {

inline constexpr std::int64_t kChannelStep = 16;  // columns whose sums are held in registers, at most

// Rows are joined to wide rows, a multiple of kChannelStep elements, so that few channels vectorise as well
// as many do: element i of a wide row belongs to channel i % channels.
struct ChannelWalk {
  static constexpr std::int64_t kWidth = 64;              // least width of a wide row
  static constexpr std::int64_t kUnitElements = 1 << 14;  // of one unit of work

  explicit ChannelWalk(const ChannelBlocks& given) : blocks(given) {
    if (blocks.columns() == 0 || blocks.rows == 0) return;
    joined = kChannelStep / std::gcd(blocks.channels, kChannelStep);
    while (joined * blocks.channels < kWidth) joined *= 2;
    joined = std::min(joined, blocks.rows);
    width = joined * blocks.channels;
    unit_rows = std::min(std::max<std::int64_t>(kUnitElements / width, 16) * joined, blocks.rows);
    units_per_block = (blocks.rows + unit_rows - 1) / unit_rows;
  }

  // Calls f(unit, block, first element, rows) for every unit, in parallel; `make` gives each thread its f.
  template <class Make>
  void run(Make&& make) const {
    const std::int64_t units = blocks.blocks * units_per_block;
    const std::int64_t elements = std::max<std::int64_t>(unit_rows * blocks.channels, 1);
    parallel_walk(units, std::max<std::int64_t>(kElementGrain / elements, 1), [&](Turns& turns) {
      auto f = make();
      while (const auto unit = turns.next()) {
        const std::int64_t block = *unit / units_per_block;
        const std::int64_t row = *unit % units_per_block * unit_rows;
        f(*unit, block, (block * blocks.rows + row) * blocks.channels,
          std::min(unit_rows, blocks.rows - row));
      }
    });
  }

  std::int64_t units() const { return blocks.blocks * units_per_block; }

  ChannelBlocks blocks;
  std::int64_t joined = 1;  // rows in a wide row
  std::int64_t width = 0;   // elements in a wide row
  std::int64_t unit_rows = 1;
  std::int64_t units_per_block = 0;
};

// The first `count` values of `out` repeat `from`, `period` long.
template <class To, class From>
void repeat(To* out, const From* from, std::int64_t period, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = static_cast<To>(from[i % period]);
}

// out[i % period] += from[i]
inline void fold(double* out, const double* from, std::int64_t period, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) out[i % period] += from[i];
}

// A mean of 1e6 has an error of 0.03 in float32: what rounding takes from it goes into the shift.
template <class C>
struct Rounded {
  std::vector<C> mean, scale, shift;
  explicit Rounded(const Affine& from) {
    const std::size_t count = from.mean.size();
    mean.resize(count), scale.resize(count), shift.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      mean[i] = static_cast<C>(from.mean[i]);
      scale[i] = static_cast<C>(from.scale[i]);
      shift[i] =
          static_cast<C>(from.shift[i] - (from.mean[i] - static_cast<double>(mean[i])) * from.scale[i]);
    }
  }
};

template <class T>
double wide(T value) {
  return static_cast<double>(static_cast<Compute<T>>(value));
}

}  // namespace lucid::kernels
