#pragma once
// Memory for the small objects that every op makes and drops: handles' states, nodes, storages of few
// elements. Each thread keeps the blocks it frees in a list for each size, so that taking one is neither a
// lock nor a search.

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace lucid::detail {

inline constexpr std::size_t kSmallStep = 64;    // bytes between two sizes of block, and their alignment
inline constexpr std::size_t kSmallLimit = 512;  // bytes of the largest block that is kept in a list
inline constexpr std::size_t kSmallKept = std::size_t{16} << 20;  // bytes that one thread keeps at the most

/// Whether freed blocks are kept; under AddressSanitizer they are not, so that it sees every free.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kSmallKeeps = false;
#else
inline constexpr bool kSmallKeeps = true;
#endif

// A free block holds the link to the next one.
struct FreeBlock {
  FreeBlock* next;
};

// Without constructor and destructor, so that access needs no guard and stays valid while a thread ends:
// objects of static lifetime are freed after the thread's own are gone.
struct SmallLists {
  FreeBlock* first[kSmallLimit / kSmallStep];  // of kSmallStep bytes, twice as many, ...
  std::size_t room;                            // bytes that may still be kept; 0 until the thread keeps one
  bool opened, closed;
};
extern constinit thread_local SmallLists small_lists;

constexpr std::size_t small_list(std::size_t bytes) { return (bytes - 1) / kSmallStep; }
constexpr std::size_t small_size(std::size_t bytes) { return (small_list(bytes) + 1) * kSmallStep; }

/// A block that this thread has kept, for `bytes` in [1, kSmallLimit]; nullptr when it has none.
inline void* take_small(std::size_t bytes) noexcept {
  FreeBlock*& first = small_lists.first[small_list(bytes)];
  FreeBlock* const block = first;
  if (!block) return nullptr;
  first = block->next;
  small_lists.room += small_size(bytes);
  return block;
}

/// Makes room for the first block that a thread keeps; false when there is none.
bool open_small(std::size_t bytes) noexcept;

/// Keeps a block of std::aligned_alloc(kSmallStep, small_size(bytes)) for this thread; false when its lists
/// are full.
inline bool keep_small(void* block, std::size_t bytes) noexcept {
  if (small_lists.room < small_size(bytes) && !open_small(bytes)) return false;
  FreeBlock*& first = small_lists.first[small_list(bytes)];
  first = new (block) FreeBlock{first};
  small_lists.room -= small_size(bytes);
  return true;
}

/// Gives what this thread keeps back to the system.
void drop_small() noexcept;

void* allocate_fresh(std::size_t bytes);
void free_block(void* block, std::size_t bytes) noexcept;

/// Of any size above 0, from the lists where it fits. Throws std::bad_alloc.
inline void* allocate_small(std::size_t bytes) {
  void* const block = bytes <= kSmallLimit ? take_small(bytes) : nullptr;
  return block ? block : allocate_fresh(bytes);
}
inline void deallocate_small(void* block, std::size_t bytes) noexcept {
  if (bytes > kSmallLimit || !keep_small(block, bytes)) free_block(block, bytes);
}

/// The lists as an allocator of the standard library.
template <class T>
struct SmallAllocator {
  static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
  using value_type = T;
  SmallAllocator() = default;
  template <class U>
  SmallAllocator(const SmallAllocator<U>&) noexcept {}
  T* allocate(std::size_t count) { return static_cast<T*>(allocate_small(count * sizeof(T))); }
  void deallocate(T* block, std::size_t count) noexcept { deallocate_small(block, count * sizeof(T)); }
  template <class U>
  bool operator==(const SmallAllocator<U>&) const noexcept {
    return true;
  }
};

/// std::make_shared over the lists.
template <class T, class... Arguments>
std::shared_ptr<T> make_small(Arguments&&... arguments) {
  return std::allocate_shared<T>(SmallAllocator<T>(), std::forward<Arguments>(arguments)...);
}

}  // namespace lucid::detail
