#include "lucid/parallel.hpp"

#include <omp.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <optional>

#include "lucid/error.hpp"
#include "lucid/error_path.hpp"

namespace lucid {

int num_threads() { return omp_get_max_threads(); }

void set_num_threads(int count) {
  check(count >= 1, "set_num_threads", "count is ", count, "; at least 1 is required");
  omp_set_num_threads(count);
}

namespace detail {

void parallel_ranges(std::int64_t count, std::int64_t grain, void* context, RangeFunction function) {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  if (count <= grain) return function(context, 0, count);
  const std::int64_t most = (count + grain - 1) / grain;
  const std::int64_t ranges = std::min<std::int64_t>(most, num_threads());
  if (ranges <= 1 || omp_in_parallel()) return function(context, 0, count);

  const std::string* path = current_error_path();  // outlives the region, as the caller waits for its end
  std::exception_ptr failure;
  std::mutex mutex;
#pragma omp parallel num_threads(static_cast <int>(ranges))
  {
    std::optional<ErrorScope> scope;
    if (path) scope.emplace(*path);
    const std::int64_t share = (count + ranges - 1) / ranges;
    // The runtime may grant fewer threads than asked for: each then takes several ranges.
    for (std::int64_t i = omp_get_thread_num(); i < ranges; i += omp_get_num_threads()) {
      const std::int64_t begin = i * share, end = std::min(count, begin + share);
      if (begin >= end) continue;
      try {
        function(context, begin, end);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
      }
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace detail
}  // namespace lucid
