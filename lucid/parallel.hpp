#pragma once
// Loops over index ranges on the process's OpenMP threads (the same that oneDNN uses).

#include <cstdint>
#include <optional>
#include <type_traits>

#include "lucid/cpu.hpp"

namespace lucid {

/// Threads that one operation may use; the default is OMP_NUM_THREADS or the processor's cores.
int num_threads();
/// Throws Error when `count` < 1.
void set_num_threads(int count);

namespace detail {
struct Spans;
}  // namespace detail

/// What one thread takes of the indices of a parallel_walk().
class Turns {
 public:
  Turns(detail::Spans& spans, std::int64_t thread) : spans_(spans), thread_(thread) {}
  /// The next index, mostly the one behind the last; nothing once all are taken.
  std::optional<std::int64_t> next();

 private:
  detail::Spans& spans_;
  std::int64_t thread_;
};

namespace detail {
using RangeFunction = void (*)(void* context, std::int64_t begin, std::int64_t end);
void parallel_ranges(std::int64_t count, std::int64_t grain, void* context, RangeFunction function);
using TurnsFunction = void (*)(void* context, Turns& turns);
void parallel_turns(std::int64_t count, std::int64_t grain, void* context, TurnsFunction function);
}  // namespace detail

/// Calls f(begin, end) on disjoint ranges that cover [0, count), at most one for every `grain` indices. Runs
/// in the caller when one range suffices or when already inside a parallel region. The first exception thrown
/// by f is rethrown here. Which range runs where depends on the thread count alone.
template <class F>
void parallel_for(std::int64_t count, std::int64_t grain, F&& f) {
  using Function = std::remove_reference_t<F>;
  detail::parallel_ranges(count, grain, const_cast<void*>(static_cast<const void*>(&f)),
                          [](void* context, std::int64_t begin, std::int64_t end) {
                            (*static_cast<Function*>(context))(begin, end);
                          });
}

/// Calls f(turns) once in each of several threads, at most one for every `grain` indices; together they take
/// those of [0, count) once. Every thread walks through neighbours, and may keep something from one to the
/// next. One that has come to its end takes half of what another has left: all are busy until the last index,
/// also where a core is slow for a while. So which thread takes what is up to chance, and f must not let a
/// result depend on it. Runs in the caller where parallel_for() does. The first exception thrown by f is
/// rethrown here; what its thread had left is done by others, if there are any.
template <class F>
void parallel_walk(std::int64_t count, std::int64_t grain, F&& f) {
  using Function = std::remove_reference_t<F>;
  detail::parallel_turns(count, grain, const_cast<void*>(static_cast<const void*>(&f)),
                         [](void* context, Turns& turns) { (*static_cast<Function*>(context))(turns); });
}

/// Calls f(begin, end) on ranges of `grain` indices, and on what is left of them, which cover [0, count).
/// Like parallel_walk(), for work in which each index has a result of its own.
template <class F>
void parallel_blocks(std::int64_t count, std::int64_t grain, F&& f) {
  if (count <= 0) return;
  const std::int64_t last = (count - 1) / grain;
  if (last == 0) return f(std::int64_t{0}, count);
  parallel_walk(last + 1, 1, [&](Turns& turns) {
    while (const auto i = turns.next()) f(*i * grain, *i < last ? (*i + 1) * grain : count);
  });
}

}  // namespace lucid
