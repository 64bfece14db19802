#include "lucid/parallel.hpp"

#include <omp.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "lucid/error.hpp"
#include "lucid/error_path.hpp"

namespace lucid {

int num_threads() { return omp_get_max_threads(); }

void set_num_threads(int count) {
  check(count >= 1, "set_num_threads", "count is ", count, "; at least 1 is required");
  omp_set_num_threads(count);
}

namespace detail {

// The indices that nobody has taken, in one span for each thread.
struct Spans {
  struct alignas(64) Span {
    std::mutex mutex;
    std::int64_t begin = 0, end = 0;
  };

  Spans(std::int64_t count, std::int64_t threads) : of_thread(static_cast<std::size_t>(threads)) {
    for (std::int64_t i = 0; i < threads; ++i) {
      Span& span = of_thread[static_cast<std::size_t>(i)];
      span.begin = count * i / threads;
      span.end = count * (i + 1) / threads;
    }
  }
  std::vector<Span> of_thread;
};

namespace {

// Threads that share `count` indices: one inside a parallel region.
std::int64_t threads_for(std::int64_t count, std::int64_t grain) {
  if (count <= grain || omp_in_parallel()) return 1;
  return std::min<std::int64_t>((count + grain - 1) / grain, num_threads());
}

// Calls f(thread, threads granted) in as many threads as the runtime grants; rethrows the first exception.
template <class F>
void in_threads(std::int64_t threads, F&& f) {
  const std::string* path = current_error_path();  // outlives the region, as the caller waits for its end
  std::exception_ptr failure;
  std::mutex mutex;
#pragma omp parallel num_threads(static_cast <int>(threads))
  {
    std::optional<ErrorScope> scope;
    if (path) scope.emplace(*path);
    try {
      f(omp_get_thread_num(), omp_get_num_threads());
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

// The last half of a span becomes another, which is empty.
void take_half(Spans::Span& from, Spans::Span& to) {
  std::int64_t begin = 0, end = 0;
  {
    const std::lock_guard lock(from.mutex);
    begin = from.begin + (from.end - from.begin) / 2;
    end = std::exchange(from.end, begin);
  }
  const std::lock_guard lock(to.mutex);
  to.begin = begin;
  to.end = end;
}

}  // namespace

void parallel_ranges(std::int64_t count, std::int64_t grain, void* context, RangeFunction function) {
  if (count <= 0) return;
  const std::int64_t ranges = threads_for(count, std::max<std::int64_t>(grain, 1));
  if (ranges == 1) return function(context, 0, count);
  in_threads(ranges, [&](std::int64_t thread, std::int64_t threads) {
    const std::int64_t share = (count + ranges - 1) / ranges;
    // The runtime may grant fewer threads than asked for: each then takes several ranges.
    for (std::int64_t begin = thread * share; begin < count; begin += threads * share)
      function(context, begin, std::min(count, begin + share));
  });
}

void parallel_turns(std::int64_t count, std::int64_t grain, void* context, TurnsFunction function) {
  if (count <= 0) return;
  const std::int64_t most = threads_for(count, std::max<std::int64_t>(grain, 1));
  Spans spans(count, most);
  const auto take_turns = [&](std::int64_t thread, std::int64_t) {
    Turns turns(spans, thread);
    function(context, turns);
  };
  if (most == 1) return take_turns(0, 1);
  in_threads(most, take_turns);
}

}  // namespace detail

std::optional<std::int64_t> Turns::next() {
  auto& own = spans_.of_thread[static_cast<std::size_t>(thread_)];
  const std::int64_t threads = std::ssize(spans_.of_thread);
  for (std::int64_t i = 1; i <= threads; ++i) {
    {
      const std::lock_guard lock(own.mutex);
      if (own.begin < own.end) return own.begin++;
    }
    if (i < threads)
      detail::take_half(spans_.of_thread[static_cast<std::size_t>((thread_ + i) % threads)], own);
  }
  return std::nullopt;
}

}  // namespace lucid
