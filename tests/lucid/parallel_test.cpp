#include "lucid/parallel.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "lucid/error.hpp"

using namespace lucid;

namespace {

// The message of an error that a thread other than the caller's raises in a parallel loop.
std::string message_from_a_worker() {
  const auto caller = std::this_thread::get_id();
  try {
    parallel_for(4, 1, [&](std::int64_t, std::int64_t) {
      if (std::this_thread::get_id() != caller) raise("op", "value is 3");
    });
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

struct Threads {
  explicit Threads(int count) : before(num_threads()) { set_num_threads(count); }
  ~Threads() { set_num_threads(before); }
  int before;
};

}  // namespace

TEST_CASE("an error found by a worker names the path of the caller's scope, while it lasts") {
  const Threads threads(4);
  CHECK(message_from_a_worker() == "op: value is 3");
  {
    const std::string path = "decoder.2";
    const ErrorScope scope(path);
    CHECK(message_from_a_worker() == "op (decoder.2): value is 3");
  }
  CHECK(message_from_a_worker() == "op: value is 3");
}

TEST_CASE("a parallel loop covers its range once, whatever the number of threads") {
  for (const int count : {1, 2, 3, 7}) {
    const Threads threads(count);
    std::vector<std::atomic<int>> seen(100);
    const auto see = [&](std::int64_t begin, std::int64_t end) {
      for (; begin < end; ++begin) ++seen[static_cast<std::size_t>(begin)];
    };
    parallel_for(100, 7, see);
    parallel_walk(100, 3, [&](Turns& turns) {
      while (const auto i = turns.next()) see(*i, *i + 1);
    });
    parallel_walk(0, 1, [&](Turns&) { see(0, 100); });
    for (const std::int64_t grain : {1, 7, 50, 99, 100, 101})
      parallel_blocks(100, grain, [&](std::int64_t begin, std::int64_t end) {
        CHECK(begin % grain == 0);
        CHECK(end == std::min<std::int64_t>(begin + grain, 100));
        see(begin, end);
      });
    parallel_blocks(0, 1, see);
    for (const auto& times : seen) CHECK(times == 2 + 6);
  }
  CHECK_THROWS_AS(set_num_threads(0), Error);
}

TEST_CASE("a thread that is done takes half of what one that is held up has left") {
  const Threads threads(2);
  std::atomic<int> done = 0;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  parallel_walk(100, 1, [&](Turns& turns) {
    while (const auto i = turns.next()) {
      // whoever has the first waits until the other has done the rest
      while (*i == 0 && done < 99 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
      ++done;
    }
  });
  CHECK(done == 100);
  CHECK(std::chrono::steady_clock::now() < deadline);
}

TEST_CASE("a parallel walk raises the first error, and inside another runs in the caller") {
  const Threads threads(3);
  const auto walk = [](std::int64_t wrong) {
    std::atomic<int> done = 0;
    parallel_walk(12, 1, [&](Turns& turns) {
      while (const auto i = turns.next()) {
        if (*i == wrong) raise("op", "value is ", *i);
        ++done;
      }
    });
    return done.load();
  };
  CHECK_THROWS_WITH_AS(walk(5), "op: value is 5", Error);
  CHECK(walk(12) == 12);
  parallel_for(3, 1, [&](std::int64_t, std::int64_t) { CHECK(walk(12) == 12); });
}

TEST_CASE("one thread walks in order") {
  const Threads threads(1);
  std::vector<std::int64_t> seen;
  parallel_walk(5, 1, [&](Turns& turns) {
    while (const auto i = turns.next()) seen.push_back(*i);
  });
  CHECK(seen == std::vector<std::int64_t>{0, 1, 2, 3, 4});
}
