#include "lucid/allocator.hpp"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "lucid/error.hpp"
#include "lucid/peak_scope.hpp"

namespace lucid {
namespace {

constexpr std::size_t kAlignment = 64;

// Size classes: four to an octave, so at most a quarter of a block is unused.
std::size_t size_class(std::size_t bytes) {
  if (bytes <= kAlignment) return kAlignment;
  const std::size_t step = std::max(kAlignment, std::bit_floor(bytes - 1) / 4);
  return (bytes + step - 1) / step * step;
}

class CachingAllocator {
 public:
  void* allocate(std::size_t bytes) {
    const std::size_t size = size_class(bytes);
    {
      const std::lock_guard lock(mutex_);
      if (void* cached = take(size)) return count(cached, size);
    }
    void* fresh = std::aligned_alloc(kAlignment, size);
    if (!fresh) {
      empty();
      fresh = std::aligned_alloc(kAlignment, size);
    }
    const std::lock_guard lock(mutex_);
    if (!fresh)
      raise("memory", "no memory for ", bytes, " bytes; ", stats_.current_bytes,
            " bytes are held by tensors. Use a smaller batch or patch");
    ++stats_.system_allocations;
    return count(fresh, size);
  }

  void deallocate(void* pointer, std::size_t bytes) noexcept {
    const std::size_t size = size_class(bytes);
    {
      const std::lock_guard lock(mutex_);
      stats_.current_bytes -= static_cast<std::int64_t>(size);
      if (stats_.cached_bytes + static_cast<std::int64_t>(size) <= limit_ && keep(pointer, size)) return;
    }
    std::free(pointer);
  }

  void empty() {
    const std::lock_guard lock(mutex_);
    for (auto& [size, blocks] : free_) {
      for (void* block : blocks) std::free(block);
      blocks.clear();
    }
    stats_.cached_bytes = 0;
  }

  MemoryStats stats() {
    const std::lock_guard lock(mutex_);
    return stats_;
  }
  void reset_peak() {
    const std::lock_guard lock(mutex_);
    stats_.peak_bytes = stats_.current_bytes;
  }
  void raise_peak(std::int64_t bytes) {
    const std::lock_guard lock(mutex_);
    stats_.peak_bytes = std::max(stats_.peak_bytes, bytes);
  }
  void set_limit(std::int64_t bytes) {
    empty();
    const std::lock_guard lock(mutex_);
    limit_ = std::max<std::int64_t>(bytes, 0);
  }

 private:
  void* take(std::size_t size) {
    const auto found = free_.find(size);
    if (found == free_.end() || found->second.empty()) return nullptr;
    void* block = found->second.back();
    found->second.pop_back();
    stats_.cached_bytes -= static_cast<std::int64_t>(size);
    return block;
  }

  bool keep(void* pointer, std::size_t size) noexcept {
    try {
      free_[size].push_back(pointer);
    } catch (...) {
      return false;
    }
    stats_.cached_bytes += static_cast<std::int64_t>(size);
    return true;
  }

  void* count(void* pointer, std::size_t size) {
    ++stats_.allocations;
    stats_.current_bytes += static_cast<std::int64_t>(size);
    stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.current_bytes);
    return pointer;
  }

  std::mutex mutex_;
  std::unordered_map<std::size_t, std::vector<void*>> free_;
  MemoryStats stats_;
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
