#include "lucid/small_blocks.hpp"

#include <cstdlib>

namespace lucid::detail {

constinit thread_local SmallLists small_lists{};

namespace {

// Empties the lists at the thread's end.
struct Closer {
  ~Closer() {
    drop_small();
    small_lists.closed = true;
    small_lists.room = 0;
  }
};

}  // namespace

bool open_small(std::size_t bytes) noexcept {
  if (!kSmallKeeps || small_lists.opened || small_lists.closed) return false;
  static thread_local Closer closer;
  (void)closer;
  small_lists.opened = true;
  small_lists.room = kSmallKept;
  return bytes <= kSmallKept;
}

void drop_small() noexcept {
  for (std::size_t i = 0; i < std::size(small_lists.first); ++i)
    while (FreeBlock* const block = small_lists.first[i]) {
      small_lists.first[i] = block->next;
      small_lists.room += (i + 1) * kSmallStep;
      std::free(block);
    }
}

void* allocate_fresh(std::size_t bytes) {
  if (bytes > kSmallLimit) return ::operator new(bytes);
  void* const block = std::aligned_alloc(kSmallStep, small_size(bytes));
  if (!block) throw std::bad_alloc();
  return block;
}

void free_block(void* block, std::size_t bytes) noexcept {
  if (bytes > kSmallLimit)
    ::operator delete(block);
  else
    std::free(block);
}

}  // namespace lucid::detail
