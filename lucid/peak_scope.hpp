#pragma once
// The peak of the memory in use over a stretch of the program, leaving memory_stats() as it would be without.

#include <cstddef>
#include <cstdint>

namespace lucid::detail {

/// Bytes that the allocator hands out for a request of `bytes`: what memory_stats() counts.
std::int64_t allocated_bytes(std::size_t bytes);

class PeakScope {
 public:
  PeakScope();
  ~PeakScope();  ///< the peak is again that of the whole program
  PeakScope(const PeakScope&) = delete;
  PeakScope& operator=(const PeakScope&) = delete;
  /// The largest current_bytes since the start or the last call of this.
  std::int64_t next();

 private:
  std::int64_t before_;
};

}  // namespace lucid::detail
