#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <thread>
#include <vector>

#include "lucid/allocator.hpp"
#include "lucid/parallel.hpp"
#include "lucid/random.hpp"
#include "lucid/tensor.hpp"

using namespace lucid;

TEST_CASE("a tensor is made from values and read back in row-major order") {
  const Tensor t = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(t.shape() == Shape{2, 3});
  CHECK(t.dtype() == f32);
  CHECK(t.to_vector<double>() == std::vector<double>{1, 2, 3, 4, 5, 6});
  const Tensor turned = alias(t, {3, 2}, {1, 3}, 0);
  CHECK(turned.to_vector<int>() == std::vector<int>{1, 4, 2, 5, 3, 6});
  CHECK_FALSE(turned.is_contiguous());
  CHECK(turned.is_dense());
  CHECK_THROWS_WITH_AS(Tensor::from(std::vector<float>{1, 2}, {3}), doctest::Contains("2 values given"),
                       Error);
  CHECK_THROWS_WITH_AS(t.item<float>(), doctest::Contains("(2, 3)"), Error);
  CHECK_THROWS_WITH_AS(t.data<double>(), doctest::Contains("float64"), Error);
}

TEST_CASE("sizes that overflow or are negative are refused before memory is asked for") {
  const std::int64_t huge = std::int64_t{1} << 40;
  CHECK_THROWS_WITH_AS(empty({huge, huge}), doctest::Contains("2^63"), Error);
  CHECK_THROWS_WITH_AS(empty({0, huge, huge}), doctest::Contains("2^63"),
                       Error);  // its strides would pass it
  CHECK_THROWS_WITH_AS(empty({3, -1}), doctest::Contains("negative"), Error);
  CHECK_THROWS_AS(empty({huge, 1 << 20}, f64), Error);
  CHECK_THROWS_AS(empty({huge, 0, huge}), Error);
  CHECK(empty({huge, 0}).numel() == 0);
  CHECK_THROWS_WITH_AS(Shape::filled(13, 1), doctest::Contains("13"), Error);
}

TEST_CASE("a tensor is filled with what its type holds") {
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
  CHECK(full({1}, least, i64).item<std::int64_t>() == least);
  CHECK(full({1}, -0x1p63, i64).item<std::int64_t>() == least);
  CHECK(full({1}, 255.9, u8).item<double>() == 255);
  CHECK(full({1}, -0.9, u8).item<double>() == 0);
  CHECK(full({1}, 7, boolean).item<bool>());
  CHECK(std::isinf(full({1}, 1e39, f32).item<double>()));
  CHECK_THROWS_WITH_AS(full({1}, 256, u8), "full: value 256 does not fit dtype uint8, which holds 0 to 255",
                       Error);
  CHECK_THROWS_AS(full({1}, -1, u8), Error);
  CHECK_THROWS_AS(full({1}, std::int64_t{1} << 31, i32), Error);
  CHECK_THROWS_AS(full({1}, 0x1p63, i64), Error);
  CHECK_THROWS_AS(full({1}, NAN, i32), Error);
  CHECK_THROWS_WITH_AS(zeros({2}, u8).fill_(300), doctest::Contains("fill_: value 300"), Error);
}

TEST_CASE("layouts are told apart") {
  const Shape shape{2, 3, 4, 5, 6};
  const Tensor plain = empty(shape);
  const Tensor last = empty_strided(shape, channels_last_strides(shape), f32);
  CHECK(plain.is_contiguous());
  CHECK_FALSE(plain.is_channels_last());
  CHECK(last.is_channels_last());
  CHECK_FALSE(last.is_contiguous());
  CHECK(last.is_dense());
  CHECK(empty_like(last).strides() == last.strides());
  CHECK(last.strides() == Strides{360, 1, 90, 18, 3});
  CHECK_FALSE(alias(plain, {2, 3, 2}, {360, 120, 1}, 0).is_dense());
}

TEST_CASE(
    "what is like a slice lies in its order of axes, and what is like an expanded tensor is contiguous") {
  const Shape shape{2, 8, 3, 4, 5};
  const Tensor last = empty_strided(shape, channels_last_strides(shape), f32);
  const Tensor some = last.slice(1, 2, 5);
  CHECK_FALSE(some.is_dense());
  CHECK(empty_like(some).strides() == channels_last_strides({2, 3, 3, 4, 5}));
  CHECK(zeros_like(some).is_channels_last());
  CHECK(empty_like(empty(shape).slice(1, 2, 5)).is_contiguous());
  CHECK(empty_like(empty({4, 6}).transpose(0, 1).slice(0, 1, 5, 2)).strides() == Strides{1, 2});
  CHECK(empty_like(last.slice(1, 2, 3).expand({2, 8, 3, 4, 5})).is_contiguous());
  CHECK(empty_like(last.slice(1, 2, 2)).numel() == 0);
}

TEST_CASE("shapes broadcast as NumPy's do") {
  CHECK(broadcast_shapes("t", {2, 1, 3}, {4, 1}) == Shape{2, 4, 3});
  CHECK(broadcast_shapes("t", {}, {2}) == Shape{2});
  CHECK(broadcast_shapes("t", {0, 1}, {1, 5}) == Shape{0, 5});
  CHECK_THROWS_WITH_AS(broadcast_shapes("add", {2, 3}, {4}), doctest::Contains("(2, 3) and (4)"), Error);
}

TEST_CASE("types promote as PyTorch's do") {
  CHECK(promote(i64, f32) == f32);
  CHECK(promote(f32, f64) == f64);
  CHECK(promote(u8, i32) == i32);
  CHECK(promote(bf16, f32) == f32);
  CHECK(promote(boolean, u8) == u8);
  CHECK(promote(i64, bf16) == bf16);
  CHECK(dtype_from_name("float64") == f64);
  CHECK_THROWS_WITH_AS(dtype_from_name("half"), doctest::Contains("half"), Error);
}

TEST_CASE("bfloat16 rounds to nearest even and keeps NaN and infinity") {
  CHECK(float(bfloat16(1.0f)) == 1.0f);
  CHECK(float(bfloat16(1.00390625f)) == 1.0f);       // halfway between 1 and 1 + 2^-7: to even
  CHECK(float(bfloat16(1.01171875f)) == 1.015625f);  // halfway: to even, upwards
  CHECK(std::isnan(float(bfloat16(NAN))));
  CHECK(float(bfloat16(INFINITY)) == INFINITY);
  CHECK(float(bfloat16(3.4e38f)) == INFINITY);
}

TEST_CASE("freed blocks are used again and counted") {
  empty_cache();
  const MemoryStats before = memory_stats();
  for (int i = 0; i < 10; ++i) empty({100, 1000});
  const MemoryStats after = memory_stats();
  CHECK(after.system_allocations - before.system_allocations == 1);
  CHECK(after.allocations - before.allocations == 10);
  CHECK(after.current_bytes == before.current_bytes);
  CHECK(after.cached_bytes >= 400000);
  empty_cache();
  CHECK(memory_stats().cached_bytes == 0);
  const Tensor held = empty({1000});
  CHECK(reinterpret_cast<std::uintptr_t>(held.data<float>()) % 64 == 0);
}

#if defined(__linux__)
TEST_CASE("large blocks begin where a huge page may") {
  for (const std::int64_t mebibytes : {2, 3, 17}) {
    const Tensor large = empty({mebibytes << 18});
    CHECK(reinterpret_cast<std::uintptr_t>(large.data<float>()) % (2 << 20) == 0);
  }
}
#endif

TEST_CASE("the allocator serves threads at once") {
  std::vector<std::thread> threads;
  const std::int64_t before = memory_stats().current_bytes;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int i = 1; i < 300; ++i) {
        const Tensor x = full({i * (t + 1)}, t);
        CHECK(x.data<float>()[i - 1] == static_cast<float>(t));
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(memory_stats().current_bytes == before);
}

TEST_CASE("parallel_for covers the range once and passes exceptions on") {
  std::vector<int> hits(100003);
  parallel_for(100003, 10, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) ++hits[static_cast<std::size_t>(i)];
  });
  CHECK(std::all_of(hits.begin(), hits.end(), [](int h) { return h == 1; }));
  CHECK_THROWS_AS(parallel_for(1000, 1, [](std::int64_t, std::int64_t) { raise("test", "thrown inside"); }),
                  Error);
  CHECK_THROWS_AS(set_num_threads(0), Error);
}

TEST_CASE("errors name the layer's path inside a scope") {
  const std::string path = "decoder.2.up";
  const ErrorScope scope(path);
  CHECK_THROWS_WITH_AS(raise("conv3d", "bad ", 3), "conv3d (decoder.2.up): bad 3", Error);
}

TEST_CASE("errors stay short and legible whatever was supplied") {
  const auto message = [](const std::string& supplied) -> std::string {
    try {
      raise("op", "name \"", supplied, "\" is unknown; give another");
    } catch (const Error& error) {
      return error.what();
    }
  };
  CHECK(message("a\x1b[2Jb\x01") == "op: name \"a\\x1b[2Jb\\x01\" is unknown; give another");
  const std::string longest = message(std::string(100000, 'k'));
  CHECK(longest.size() < 9000);
  CHECK(longest.starts_with("op: name \"kkk"));
  CHECK(longest.ends_with("kkk\" is unknown; give another"));
}

TEST_CASE("borrowed memory is released once, with the last handle") {
  float values[6] = {1, 2, 3, 4, 5, 6};
  int released = 0;
  {
    Tensor t = Tensor::from_blob(values, {2, 2}, {3, 1}, f32, [&] { ++released; });
    const Tensor view = t.detach();
    t = Tensor();
    CHECK(view.to_vector<float>() == std::vector<float>{1, 2, 4, 5});
    CHECK(released == 0);
  }
  CHECK(released == 1);
}

TEST_CASE("borrowed memory without a release is left to its owner, and null is refused") {
  // Large enough to be kept for the next tensor of that size, if it were taken over.
  constexpr std::int64_t kCount = 1 << 16;
  std::vector<float> values(kCount, 3);
  { const Tensor borrowed = Tensor::from_blob(values.data(), {kCount}, {1}, f32); }
  const Tensor next = full({kCount}, 5, f32);
  CHECK(next.data<float>() != values.data());
  CHECK(std::ranges::count(values, 3.0f) == kCount);
  CHECK_THROWS_WITH_AS(Tensor::from_blob(nullptr, {2, 3}, {3, 1}, f32),
                       "Tensor::from_blob: no memory (a null pointer) for shape (2, 3)", Error);
  CHECK(Tensor::from_blob(nullptr, {0, 3}, {3, 1}, f32).numel() == 0);
  CHECK_THROWS_AS(Tensor::from_blob(nullptr, {0, 3}, {-3, 1}, f32), Error);
}
