#include "ops/kernels/gather.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "ops/kernels/layout.hpp"
#include "ops/kernels/loop_plan.hpp"

namespace lucid::kernels {
namespace {

using Index = std::int64_t;

constexpr Index kLanes = 16;             // adjacent elements summed together at the least
constexpr Index kSumElements = 1 << 15;  // accumulators that stay in cache

Shape with_size(Shape shape, std::size_t axis, Index size) {
  shape[axis] = size;
  return shape;
}

// Lanes [first, last) of one outer block: sums over picks of source (picks, inner) into out (size, inner).
template <class T>
void sum_lanes(T* out, const T* source, const Picks& picks, Index size, Index inner, Index first, Index last,
               std::vector<Accumulator<T>>& sums) {
  const Index lanes = last - first;
  sums.assign(static_cast<std::size_t>(size * lanes), 0);
  for (std::size_t j = 0; j < picks.size(); ++j) {
    const T* from = source + static_cast<Index>(j) * inner + first;
    Accumulator<T>* to = sums.data() + picks[j] * lanes;
    for (Index i = 0; i < lanes; ++i) to[i] += static_cast<Accumulator<T>>(from[i]);
  }
  for (Index p = 0; p < size; ++p)
    for (Index i = 0; i < lanes; ++i)
      out[p * inner + first + i] = static_cast<T>(sums[static_cast<std::size_t>(p * lanes + i)]);
}

// The shape without `axis`, and strides of three operands on it.
struct Columns {
  Shape shape;
  std::array<Strides, 3> strides;
};

Columns columns_of(std::size_t axis, const Tensor& walked, const Tensor& other, const Tensor& indexed) {
  Columns columns{walked.shape(), {walked.strides(), other.strides(), indexed.strides()}};
  columns.shape.erase(axis);
  for (Strides& strides : columns.strides) strides.erase(axis);
  return columns;
}

// Calls row(offsets, count, strides) for each position along the axis and runs of columns; strides are those
// of the three operands along a run.
template <class Row>
void for_columns(const Columns& columns, const std::array<Index, 2>& steps, Index length, Row&& row) {
  constexpr Index kBlock = 1024;  // columns taken through all positions while they stay in cache
  const auto plan = plan_loop<3>(columns.shape, columns.strides);
  if (plan.numel == 0) return;
  std::array<Index, 3> strides;
  for (std::size_t k = 0; k < 3; ++k) strides[k] = plan.strides[k][plan.rank - 1];
  parallel_for((plan.numel + kBlock - 1) / kBlock, 16, [&](Index begin, Index end) {
    for (Index block = begin; block < end; ++block)
      for (Index i = 0; i < length; ++i)
        for_rows(plan, block * kBlock, std::min(plan.numel, (block + 1) * kBlock),
                 [&](std::array<Index, 3> at, Index count) {
                   at[0] += i * steps[0];
                   at[1] += i * steps[1];
                   row(at, count, strides);
                 });
  });
}

[[noreturn]] void raise_out_of_range(const char* op, Index value, Index size, std::size_t axis) {
  raise(op, "index ", value, " is out of range for axis ", axis, " of size ", size);
}

inline Index checked_position(const char* op, Index value, Index size, std::size_t axis) {
  if (value < 0 || value >= size) raise_out_of_range(op, value, size, axis);
  return value;
}

}  // namespace

Tensor pick_slices(const Tensor& given, std::size_t axis, const Picks& picks) {
  const Tensor input = densified(given);
  const auto count = static_cast<Index>(picks.size());
  const Tensor out = empty_in_order(with_size(input.shape(), axis, count), input.strides(), input.dtype());
  if (out.numel() == 0) return out;
  const AxisBlocks blocks = blocks_around(input.shape(), input.strides(), axis);
  const Index bytes = blocks.inner * size_of(input.dtype());
  const std::byte* from = input.impl().storage->data() + input.offset() * size_of(input.dtype());
  std::byte* to = out.impl().storage->data();
  const auto copy_all = [&](auto copy_one) {
    parallel_for(blocks.outer * count, std::max<Index>(1, (1 << 17) / bytes), [&](Index begin, Index end) {
      Index o = begin / count, j = begin % count;
      for (Index i = begin; i < end; ++i) {
        copy_one(to + i * bytes, from + (o * blocks.size + picks[static_cast<std::size_t>(j)]) * bytes);
        if (++j == count) j = 0, ++o;
      }
    });
  };
  if (bytes == 4)
    copy_all([](std::byte* a, const std::byte* b) { std::memcpy(a, b, 4); });
  else if (bytes == 8)
    copy_all([](std::byte* a, const std::byte* b) { std::memcpy(a, b, 8); });
  else
    copy_all(
        [bytes](std::byte* a, const std::byte* b) { std::memcpy(a, b, static_cast<std::size_t>(bytes)); });
  return out;
}

Tensor sum_slices(const Tensor& given, std::size_t axis, const Picks& picks, Index size) {
  const Tensor source = densified(given);
  const Tensor out = empty_in_order(with_size(source.shape(), axis, size), source.strides(), source.dtype());
  if (out.numel() == 0) return out;
  const AxisBlocks blocks = blocks_around(out.shape(), source.strides(), axis);
  const auto count = static_cast<Index>(picks.size());
  dispatch_all(source.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* to = out.data_to_write<T>();
    const T* from = source.data<T>();
    const Index lanes = std::clamp<Index>(kSumElements / size, std::min(kLanes, blocks.inner), blocks.inner);
    const Index groups = (blocks.inner + lanes - 1) / lanes;
    const Index work = std::max<Index>(1, lanes * (count + size));
    parallel_for(blocks.outer * groups, std::max<Index>(1, kElementGrain / work),
                 [&](Index begin, Index end) {
                   std::vector<Accumulator<T>> sums;
                   for (Index i = begin; i < end; ++i) {
                     const Index o = i / groups, first = i % groups * lanes;
                     sum_lanes(to + o * size * blocks.inner, from + o * count * blocks.inner, picks, size,
                               blocks.inner, first, std::min(first + lanes, blocks.inner), sums);
                   }
                 });
  });
  return out;
}

void gather(const Tensor& out, const Tensor& input, std::size_t axis, const Tensor& index) {
  const Index step = input.strides()[axis], size = input.shape()[axis];
  const std::array<Index, 2> steps{out.strides()[axis], index.strides()[axis]};
  dispatch_all(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* to = out.data_to_write<T>();
    const T* from = input.data<T>();
    const auto* picks = index.data<Index>();
    for_columns(columns_of(axis, out, index, input), steps, out.shape()[axis],
                [&](const auto& at, Index count, const std::array<Index, 3>& given) {
                  const std::array<Index, 3> strides = given;  // which what is written cannot change
                  for (Index i = 0; i < count; ++i) {
                    const Index pick = checked_position("gather", picks[at[1] + i * strides[1]], size, axis);
                    to[at[0] + i * strides[0]] = from[at[2] + i * strides[2] + pick * step];
                  }
                });
  });
}

void scatter_add(const Tensor& out, std::size_t axis, const Tensor& index, const Tensor& source) {
  const Index step = out.strides()[axis], size = out.shape()[axis];
  const std::array<Index, 2> steps{source.strides()[axis], index.strides()[axis]};
  dispatch_all(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* to = out.data_to_write<T>();
    const T* from = source.data<T>();
    const auto* picks = index.data<Index>();
    for_columns(columns_of(axis, source, index, out), steps, source.shape()[axis],
                [&](const auto& at, Index count, const std::array<Index, 3>& given) {
                  const std::array<Index, 3> strides = given;  // which what is written cannot change
                  for (Index i = 0; i < count; ++i) {
                    const Index pick =
                        checked_position("scatter_add", picks[at[1] + i * strides[1]], size, axis);
                    T& target = to[at[2] + i * strides[2] + pick * step];
                    target = static_cast<T>(target + from[at[0] + i * strides[0]]);
                  }
                });
  });
}

}  // namespace lucid::kernels
