#include "lucid/allocator.hpp"

#include <unistd.h>

#if defined(__linux__)
#include <malloc.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#endif

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "lucid/error.hpp"
#include "lucid/peak_scope.hpp"
#include "lucid/small_blocks.hpp"

namespace lucid {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = 2 << 20;
constexpr std::size_t kSurelyFits = 1 << 30;  // bytes: fewer are not worth asking how much memory there is

// Size classes: four to an octave, so at most a quarter of a block is unused.
std::size_t size_class(std::size_t bytes) {
  if (bytes <= kAlignment) return kAlignment;
  const std::size_t step = std::max(kAlignment, std::bit_floor(bytes - 1) / 4);
  return (bytes + step - 1) / step * step;
}

// Whether `bytes` are more than the machine's memory and swap: a system that overcommits would hand them out,
// and end the program when they are filled.
bool exceeds_machine(std::size_t bytes) {
#if defined(__linux__)
  struct sysinfo info;
  return sysinfo(&info) == 0 && bytes / info.mem_unit > info.totalram + info.totalswap;
#else
  return bytes > SIZE_MAX / 2;
#endif
}

// Large blocks lie on huge pages where the system grants them: their first touch costs a fault for each
// 2 MiB and not for each 4 KiB, and walks with large strides find their addresses sooner.
void* from_system(std::size_t size) {
#if defined(__linux__)
  void* block = nullptr;
  if (size >= kHugePage) {
    // The heap may take twice the addresses for it; where those are limited, any boundary serves.
    if (posix_memalign(&block, kHugePage, size) == 0) {
      madvise(block, size, MADV_HUGEPAGE);  // a wish: where it isn't granted the pages are small
      return block;
    }
  }
#endif
  return std::aligned_alloc(kAlignment, size);
}

// Relaxed: each is right by itself; together they are a snapshot only while nothing else runs.
struct Counters {
  std::atomic<std::int64_t> current_bytes{0}, peak_bytes{0}, cached_bytes{0}, allocations{0},
      system_allocations{0};

  void* hand_out(void* block, std::size_t size) {
    const auto bytes = static_cast<std::int64_t>(size);
    allocations.fetch_add(1, std::memory_order_relaxed);
    const std::int64_t now = current_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    std::int64_t peak = peak_bytes.load(std::memory_order_relaxed);
    while (now > peak && !peak_bytes.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
    }
    return block;
  }
  void take_back(std::size_t size) {
    current_bytes.fetch_sub(static_cast<std::int64_t>(size), std::memory_order_relaxed);
  }
};

class CachingAllocator {
 public:
  void* allocate(std::size_t bytes) {
    const std::size_t size = size_class(bytes);
    if (void* cached = size <= detail::kSmallLimit ? detail::take_small(size) : take(size))
      return counters_.hand_out(cached, size);
    void* fresh = nullptr;
    if (size <= kSurelyFits || !exceeds_machine(bytes)) {
      fresh = from_system(size);
      if (!fresh) {
        empty();
        fresh = from_system(size);
      }
    }
    if (!fresh)
      raise("memory", "no memory for ", bytes, " bytes; ", counters_.current_bytes.load(),
            " bytes are held by tensors. Use a smaller batch or patch");
    counters_.system_allocations.fetch_add(1, std::memory_order_relaxed);
    return counters_.hand_out(fresh, size);
  }

  void deallocate(void* pointer, std::size_t bytes) noexcept {
    const std::size_t size = size_class(bytes);
    counters_.take_back(size);
    const bool kept = size <= detail::kSmallLimit ? detail::keep_small(pointer, size) : keep(pointer, size);
    if (!kept) std::free(pointer);
  }

  void empty() {
    detail::drop_small();
    {
      const std::lock_guard lock(mutex_);
      for (auto& [size, blocks] : free_) {
        for (void* block : blocks) std::free(block);
        blocks.clear();
      }
      counters_.cached_bytes = 0;
    }
#if defined(__GLIBC__)
    malloc_trim(0);  // else blocks below others stay in the process
#endif
  }

  MemoryStats stats() const {
    return {counters_.current_bytes, counters_.peak_bytes, counters_.cached_bytes, counters_.allocations,
            counters_.system_allocations};
  }
  void reset_peak() { counters_.peak_bytes = counters_.current_bytes.load(); }
  void raise_peak(std::int64_t bytes) {
    std::int64_t peak = counters_.peak_bytes;
    while (peak < bytes && !counters_.peak_bytes.compare_exchange_weak(peak, bytes)) {
    }
  }
  void set_limit(std::int64_t bytes) {
    empty();
    const std::lock_guard lock(mutex_);
    limit_ = std::max<std::int64_t>(bytes, 0);
  }

 private:
  void* take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    const auto found = free_.find(size);
    if (found == free_.end() || found->second.empty()) return nullptr;
    void* block = found->second.back();
    found->second.pop_back();
    counters_.cached_bytes -= static_cast<std::int64_t>(size);
    return block;
  }

  bool keep(void* pointer, std::size_t size) noexcept {
    const std::lock_guard lock(mutex_);
    if (counters_.cached_bytes + static_cast<std::int64_t>(size) > limit_) return false;
    try {
      free_[size].push_back(pointer);
    } catch (...) {
      return false;
    }
    counters_.cached_bytes += static_cast<std::int64_t>(size);
    return true;
  }

  std::mutex mutex_;  // guards free_ and limit_
  std::unordered_map<std::size_t, std::vector<void*>> free_;
  Counters counters_;
  std::int64_t limit_ = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) / 4 * sysconf(_SC_PAGESIZE);
};

// Never destroyed: tensors with static lifetime may be freed after it would be.
CachingAllocator& allocator() {
  static auto* instance = new CachingAllocator;
  return *instance;
}

}  // namespace

MemoryStats memory_stats() { return allocator().stats(); }
void reset_peak_memory() { allocator().reset_peak(); }
void empty_cache() { allocator().empty(); }
void set_cache_limit(std::int64_t bytes) { allocator().set_limit(bytes); }

namespace detail {
void* allocate(std::size_t bytes) { return bytes ? allocator().allocate(bytes) : nullptr; }
void deallocate(void* pointer, std::size_t bytes) noexcept {
  if (pointer) allocator().deallocate(pointer, bytes);
}

std::int64_t allocated_bytes(std::size_t bytes) {
  return bytes ? static_cast<std::int64_t>(size_class(bytes)) : 0;
}

PeakScope::PeakScope() : before_(memory_stats().peak_bytes) { reset_peak_memory(); }
PeakScope::~PeakScope() { allocator().raise_peak(before_); }
std::int64_t PeakScope::next() {
  const std::int64_t peak = memory_stats().peak_bytes;
  before_ = std::max(before_, peak);
  reset_peak_memory();
  return peak;
}
}  // namespace detail

}  // namespace lucid
