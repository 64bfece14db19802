#pragma once
// Rows too short for a loop each, such as the few channels of every voxel beside an operand that has one
// value for all channels, one for all voxels, or another layout. Several rows are taken as one; what an
// operand has for them is gathered first.

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "ops/kernels/loop_plan.hpp"

namespace lucid::kernels {

namespace detail {
template <std::size_t N>
bool rows_are_short(const LoopPlan<N>& plan);
extern template bool rows_are_short(const LoopPlan<3>&);
extern template bool rows_are_short(const LoopPlan<4>&);
}  // namespace detail

/// Whether the plan's rows are so short, or an operand lies so across them, that several had better be
/// gathered and taken as one.
template <std::size_t N>
bool wants_gathering(const LoopPlan<N>& plan) {
  return plan.rank > 1 && detail::rows_are_short(plan);  // a single run, the common case, asks no further
}

/// An operand: its first element, and bytes of an element (1, 2, 4 or 8).
struct RowSource {
  const void* data;
  std::size_t size;
};

using GatheredRow = const void*;

/// Refers to a function row(offset, count, rows) of `count` elements that lie one after the other: of the
/// first tensor of a plan from `offset` on, of the others in rows[k]. It must outlive this.
class GatheredFunction {
 public:
  template <class Row>
  GatheredFunction(const Row& row)
      : row_(&row),
        call_([](const void* target, std::int64_t offset, std::int64_t count, const GatheredRow* rows) {
          (*static_cast<const Row*>(target))(offset, count, rows);
        }) {}
  void operator()(std::int64_t offset, std::int64_t count, const GatheredRow* rows) const {
    call_(row_, offset, count, rows);
  }

 private:
  const void* row_;
  void (*call_)(const void*, std::int64_t, std::int64_t, const GatheredRow*);
};

/// Calls row for all elements of a plan that wants_gathering(), on the process's threads. `operands` are
/// those after the first.
template <std::size_t N>
void gathered_rows(const LoopPlan<N>& plan, const std::array<RowSource, N - 1>& sources,
                   std::type_identity_t<GatheredFunction> row);
extern template void gathered_rows(const LoopPlan<3>&, const std::array<RowSource, 2>&, GatheredFunction);
extern template void gathered_rows(const LoopPlan<4>&, const std::array<RowSource, 3>&, GatheredFunction);

}  // namespace lucid::kernels
