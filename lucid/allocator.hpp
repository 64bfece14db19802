#pragma once
// A caching allocator: volumetric training frees and asks for the same large blocks every step, and giving
// them back to the system each time costs more in page faults than the arithmetic.

#include <cstddef>
#include <cstdint>

namespace lucid {

struct MemoryStats {
  std::int64_t current_bytes = 0;       ///< held by live tensors, rounded up to size classes
  std::int64_t peak_bytes = 0;          ///< the largest current_bytes since the start or reset_peak_memory()
  std::int64_t cached_bytes = 0;        ///< freed and kept for reuse, in blocks of more than 512 bytes
  std::int64_t allocations = 0;         ///< blocks handed out
  std::int64_t system_allocations = 0;  ///< of these, blocks that came from the system, not the cache
};

/// Counters of the allocator, of all threads together.
MemoryStats memory_stats();
/// Sets peak_bytes to current_bytes.
void reset_peak_memory();
/// Gives all cached blocks back to the system. Of those of at most 512 bytes, of which each thread keeps up
/// to 16 MiB for itself whatever the limit, the calling thread's.
void empty_cache();
/// Blocks are cached while the cache holds less than `bytes` (default: a quarter of the machine's memory).
void set_cache_limit(std::int64_t bytes);

namespace detail {
/// 64-byte aligned, uninitialised; nullptr for 0 bytes. Throws Error when the system has no memory for it.
void* allocate(std::size_t bytes);
/// `bytes` must be what allocate() was asked for.
void deallocate(void* pointer, std::size_t bytes) noexcept;
}  // namespace detail

}  // namespace lucid
