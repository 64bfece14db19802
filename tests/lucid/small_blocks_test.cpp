// The lists of small blocks: what is used again, what a thread keeps, and blocks that change threads.

#include "lucid/small_blocks.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <thread>
#include <vector>

#include "lucid/allocator.hpp"
#include "lucid/tensor.hpp"

using namespace lucid;

namespace {

void* system_block(std::size_t bytes) {
  return std::aligned_alloc(detail::kSmallStep, detail::small_size(bytes));
}

// Frees the blocks of `bytes` that this thread has kept, and counts them.
std::size_t count_kept(std::size_t bytes) {
  std::size_t count = 0;
  while (void* const block = detail::take_small(bytes)) {
    std::free(block);
    ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("small tensors use freed blocks again and are counted") {
  { const Tensor warm = empty({16}); }
  const MemoryStats before = memory_stats();
  for (int i = 0; i < 10; ++i) {
    const Tensor x = empty({16});
    CHECK(reinterpret_cast<std::uintptr_t>(x.data<float>()) % 64 == 0);
    CHECK(memory_stats().current_bytes - before.current_bytes == 64);
  }
  const MemoryStats after = memory_stats();
  CHECK(after.allocations - before.allocations == 10);
  CHECK(after.system_allocations - before.system_allocations == (detail::kSmallKeeps ? 0 : 10));
  CHECK(after.current_bytes == before.current_bytes);
  CHECK(after.peak_bytes >= before.current_bytes + 64);
}

TEST_CASE("a thread keeps a bounded number of small blocks and gives them back") {
  std::thread([] {
    constexpr std::size_t kBytes = 200, kSize = 256, kMany = detail::kSmallKept / kSize + 1000;
    CHECK(detail::small_size(kBytes) == kSize);
    std::vector<void*> blocks;
    for (std::size_t i = 0; i < kMany; ++i) blocks.push_back(detail::allocate_small(kBytes));
    for (void* block : blocks) detail::deallocate_small(block, kBytes);
    const std::size_t most = detail::kSmallKeeps ? detail::kSmallKept / kSize : 0;
    CHECK(count_kept(kBytes) == most);

    // What was taken out makes room again.
    for (void*& block : blocks) block = detail::allocate_small(kBytes);
    for (void* block : blocks) detail::deallocate_small(block, kBytes);
    detail::drop_small();
    CHECK(detail::take_small(kBytes) == nullptr);
    for (void*& block : blocks) block = detail::allocate_small(kBytes);
    for (void* block : blocks) detail::deallocate_small(block, kBytes);
    CHECK(count_kept(kBytes) == most);
  }).join();
}

TEST_CASE("every size up to the limit has blocks of its own") {
  std::thread([] {
    for (std::size_t bytes = 1; bytes <= detail::kSmallLimit; ++bytes) {
      void* const block = detail::allocate_small(bytes);
      std::fill_n(static_cast<unsigned char*>(block), bytes, 0xff);
      detail::deallocate_small(block, bytes);
      for (const std::size_t other : {bytes - 1, bytes + detail::kSmallStep})
        if (other >= 1 && other <= detail::kSmallLimit &&
            detail::small_size(other) != detail::small_size(bytes))
          CHECK(count_kept(other) == 0);
      CHECK(count_kept(bytes) == (detail::kSmallKeeps ? 1 : 0));
    }
    void* const large = detail::allocate_small(detail::kSmallLimit + 1);
    detail::deallocate_small(large, detail::kSmallLimit + 1);
    CHECK(count_kept(detail::kSmallLimit) == 0);
  }).join();
}

TEST_CASE("tensors made in one thread are read and freed in another, and outlive their maker") {
  const std::int64_t before = memory_stats().current_bytes;
  std::vector<Tensor> made;
  std::thread([&] {
    for (int i = 0; i < 5000; ++i) made.push_back(full({1 + i % 128}, i));
  }).join();
  std::thread([&] {
    for (int i = 0; i < 2500; ++i) {
      CHECK(made[static_cast<std::size_t>(i)].item<float>() == static_cast<float>(i));
      i += 127;  // those of one element
    }
    made.erase(made.begin(), made.begin() + 2500);
    for (int i = 0; i < 2500; ++i) made.push_back(full({16}, -1));
  }).join();
  for (std::size_t i = 0; i < 2500; ++i)
    for (const float value : made[i].to_vector<float>()) REQUIRE(value == static_cast<float>(i + 2500));
  for (std::size_t i = 2500; i < 5000; ++i)
    for (const float value : made[i].to_vector<float>()) REQUIRE(value == -1);
  made.clear();
  CHECK(memory_stats().current_bytes == before);
}

TEST_CASE("a block that is freed while its thread ends is not kept") {
  // Of two objects of a thread the one made first is destroyed last: after the lists are closed.
  struct Last {
    bool* kept;
    ~Last() {
      void* const block = system_block(64);
      *kept = detail::keep_small(block, 64);
      if (!*kept) std::free(block);
    }
  };
  bool kept = true;
  std::thread([&] {
    static thread_local Last last{&kept};
    (void)last.kept;
    const Tensor x = empty({16});  // frees blocks, which opens the lists
  }).join();
  CHECK_FALSE(kept);
}

TEST_CASE("vectors over the lists grow beyond the largest block") {
  std::vector<std::int64_t, detail::SmallAllocator<std::int64_t>> list;
  for (std::int64_t i = 0; i < 1000; ++i) list.push_back(i);
  bool same = true;
  for (std::int64_t i = 0; i < 1000; ++i) same = same && list[static_cast<std::size_t>(i)] == i;
  CHECK(same);
}
