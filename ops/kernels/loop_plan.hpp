#pragma once
// The order in which the elements of tensors that broadcast to one shape are walked. The output's memory
// order decides it, so channels-last tensors are walked as fast as row-major ones.

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "lucid/parallel.hpp"
#include "lucid/tensor.hpp"

namespace lucid::kernels {

inline constexpr std::int64_t kElementGrain = 1 << 15;  // elements that are worth a thread

/// Element strides of `tensor` seen as `shape`: 0 on broadcast axes.
Strides broadcast_strides(const Tensor& tensor, const Shape& shape);

/// Sorts a few axes; stable. std::stable_sort allocates, which small tensors would notice.
template <class Less>
void sort_axes(std::size_t* axes, std::size_t count, Less&& less) {
  for (std::size_t i = 1; i < count; ++i)
    for (std::size_t j = i; j > 0 && less(axes[j], axes[j - 1]); --j) std::swap(axes[j], axes[j - 1]);
}

/// Axes merged and ordered so that the first operand is walked in memory order; the innermost axis is last.
/// What lies beyond `rank` is not set.
template <std::size_t N>
struct LoopPlan {
  std::size_t rank = 0;
  std::int64_t numel = 0;
  std::array<std::int64_t, Shape::kMaxRank> sizes;
  std::array<std::array<std::int64_t, Shape::kMaxRank>, N> strides;
};

template <std::size_t N>
LoopPlan<N> plan_loop(const Shape& shape, const std::array<Strides, N>& strides);
extern template LoopPlan<1> plan_loop(const Shape&, const std::array<Strides, 1>&);
extern template LoopPlan<2> plan_loop(const Shape&, const std::array<Strides, 2>&);
extern template LoopPlan<3> plan_loop(const Shape&, const std::array<Strides, 3>&);
extern template LoopPlan<4> plan_loop(const Shape&, const std::array<Strides, 4>&);

/// plan_loop for tensors that broadcast to the shape of the first, which needs no search where all have the
/// first's layout or one element.
template <std::size_t N>
LoopPlan<N> plan_tensors(const std::array<const Tensor*, N>& tensors);
extern template LoopPlan<2> plan_tensors(const std::array<const Tensor*, 2>&);
extern template LoopPlan<3> plan_tensors(const std::array<const Tensor*, 3>&);
extern template LoopPlan<4> plan_tensors(const std::array<const Tensor*, 4>&);

/// Refers to a function row(offsets, count) of a run along the innermost axis: offsets are in elements, one
/// for each operand. Called by address, so that the walk is compiled once and not for every function, which
/// must outlive this.
template <std::size_t N>
class RowFunction {
 public:
  using Offsets = std::array<std::int64_t, N>;
  template <class Row>
  RowFunction(const Row& row)
      : row_(&row), call_([](const void* target, const Offsets& offsets, std::int64_t count) {
          (*static_cast<const Row*>(target))(offsets, count);
        }) {}
  void operator()(const Offsets& offsets, std::int64_t count) const { call_(row_, offsets, count); }

 private:
  const void* row_;
  void (*call_)(const void*, const Offsets&, std::int64_t);
};

/// Calls row for runs that cover the elements [begin, end) in walking order.
template <std::size_t N>
void for_rows(const LoopPlan<N>& plan, std::int64_t begin, std::int64_t end,
              std::type_identity_t<RowFunction<N>> row);
extern template void for_rows(const LoopPlan<1>&, std::int64_t, std::int64_t, RowFunction<1>);
extern template void for_rows(const LoopPlan<2>&, std::int64_t, std::int64_t, RowFunction<2>);
extern template void for_rows(const LoopPlan<3>&, std::int64_t, std::int64_t, RowFunction<3>);
extern template void for_rows(const LoopPlan<4>&, std::int64_t, std::int64_t, RowFunction<4>);

/// The same, of all elements on the process's threads.
template <std::size_t N>
void parallel_rows(const LoopPlan<N>& plan, std::type_identity_t<RowFunction<N>> row);
extern template void parallel_rows(const LoopPlan<1>&, RowFunction<1>);
extern template void parallel_rows(const LoopPlan<2>&, RowFunction<2>);
extern template void parallel_rows(const LoopPlan<3>&, RowFunction<3>);
extern template void parallel_rows(const LoopPlan<4>&, RowFunction<4>);

}  // namespace lucid::kernels
