#include "lucid/parallel.hpp"

#include <doctest/doctest.h>

#include <atomic>
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
    parallel_for(100, 7, [&](std::int64_t begin, std::int64_t end) {
      for (; begin < end; ++begin) ++seen[static_cast<std::size_t>(begin)];
    });
    for (const auto& times : seen) CHECK(times == 1);
  }
  CHECK_THROWS_AS(set_num_threads(0), Error);
}
