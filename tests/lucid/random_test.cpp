// Random numbers: their words, their streams and their distributions.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "lucid/error.hpp"
#include "lucid/parallel.hpp"
#include "lucid/random.hpp"
#include "lucid/tensor.hpp"

using namespace lucid;

TEST_CASE("random numbers depend on seed and position alone") {
  Generator a(7), b(7);
  const auto first = rand({1001}, f32, &a).to_vector<float>();
  set_num_threads(1);
  CHECK(rand({1001}, f32, &b).to_vector<float>() == first);
  set_num_threads(2);
  CHECK(a.offset() == b.offset());
  CHECK(rand({1001}, f32, &a).to_vector<float>() != first);
  b.set_state(7, 0);
  CHECK(rand({1001}, f32, &b).to_vector<float>() == first);
  for (float value : first) CHECK((value >= 0 && value < 1));
}

TEST_CASE("Philox gives the published numbers") {
  // Known-answer tests of the Random123 distribution: counter and key all zero.
  const auto words = Generator(0).block(0);
  CHECK(words == std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
}

TEST_CASE("distributions have their moments") {
  Generator generator(3);
  const auto moments = [](const std::vector<double>& values) {
    const double mean =
        std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
    double square = 0;
    for (double v : values) square += (v - mean) * (v - mean);
    return std::pair(mean, square / static_cast<double>(values.size()));
  };
  const auto [normal_mean, normal_variance] = moments(randn({100000}, f64, &generator).to_vector<double>());
  CHECK(std::abs(normal_mean) < 0.02);
  CHECK(std::abs(normal_variance - 1) < 0.02);
  const auto [uniform_mean, uniform_variance] = moments(rand({100000}, f64, &generator).to_vector<double>());
  CHECK(std::abs(uniform_mean - 0.5) < 0.005);
  CHECK(std::abs(uniform_variance - 1.0 / 12) < 0.002);
  const auto integers = randint(-2, 3, {1000}, i64, &generator).to_vector<std::int64_t>();
  CHECK(*std::min_element(integers.begin(), integers.end()) == -2);
  CHECK(*std::max_element(integers.begin(), integers.end()) == 2);
  CHECK_THROWS_AS(randint(3, 3, {1}), Error);
}

TEST_CASE("many blocks at once are those that come one by one") {
  const Generator generator(0x123456789abcdef0);
  for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{7}, std::uint64_t{0xfffffff0}})
    for (const std::int64_t count : {0, 1, 31, 32, 33, 100}) {
      std::vector<std::uint32_t> words(static_cast<std::size_t>(4 * count) + 1, 42);
      generator.fill(words.data(), first, count);
      for (std::int64_t i = 0; i < count; ++i) {
        const auto block = generator.block(first + static_cast<std::uint64_t>(i));
        for (std::size_t k = 0; k < 4; ++k) REQUIRE(words[static_cast<std::size_t>(4 * i) + k] == block[k]);
      }
      CHECK(words.back() == 42);
    }
}
