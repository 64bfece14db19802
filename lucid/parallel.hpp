#pragma once
// Loops over index ranges on the process's OpenMP threads (the same that oneDNN uses).

#include <cstdint>
#include <type_traits>

#include "lucid/cpu.hpp"

namespace lucid {

/// Threads that one operation may use; the default is OMP_NUM_THREADS or the processor's cores.
int num_threads();
/// Throws Error when `count` < 1.
void set_num_threads(int count);

namespace detail {
using RangeFunction = void (*)(void* context, std::int64_t begin, std::int64_t end);
void parallel_ranges(std::int64_t count, std::int64_t grain, void* context, RangeFunction function);
}  // namespace detail

/// Calls f(begin, end) on disjoint ranges that cover [0, count), each at least `grain` long (the last may be
/// shorter). Runs in the caller when one range suffices or when already inside a parallel region. The first
/// exception thrown by f is rethrown here. Which range runs where depends on the thread count alone.
template <class F>
void parallel_for(std::int64_t count, std::int64_t grain, F&& f) {
  using Function = std::remove_reference_t<F>;
  detail::parallel_ranges(count, grain, const_cast<void*>(static_cast<const void*>(&f)),
                          [](void* context, std::int64_t begin, std::int64_t end) {
                            (*static_cast<Function*>(context))(begin, end);
                          });
}

}  // namespace lucid
