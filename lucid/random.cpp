#include "lucid/random.hpp"

#include <cmath>
#include <numbers>

#include "lucid/error.hpp"

namespace lucid {

std::array<std::uint32_t, 4> Generator::block(std::uint64_t index) const {
  std::array<std::uint32_t, 4> counter{static_cast<std::uint32_t>(index),
                                       static_cast<std::uint32_t>(index >> 32), 0, 0};
  std::uint32_t key0 = static_cast<std::uint32_t>(seed_), key1 = static_cast<std::uint32_t>(seed_ >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<std::uint32_t>(product1),
        static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<std::uint32_t>(product0)};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return counter;
}

std::uint64_t Generator::next_u64() {
  const auto words = block(reserve(1));
  return std::uint64_t{words[1]} << 32 | words[0];
}

double Generator::uniform() { return static_cast<double>(next_u64() >> 11) * 0x1p-53; }

double Generator::uniform(double low, double high) { return low + (high - low) * uniform(); }

std::int64_t Generator::integer(std::int64_t low, std::int64_t high) {
  check(low < high, "random integer", "the range [", low, ", ", high, ") is empty");
  const std::uint64_t span = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  const std::uint64_t unbiased = -span % span;  // 2^64 mod span: values below it would favour small results
  std::uint64_t value = next_u64();
  while (value < unbiased) value = next_u64();
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + value % span);
}

double Generator::normal() {
  const auto words = block(reserve(1));
  const double u =
      (static_cast<double>(std::uint64_t{words[1]} << 32 | words[0]) + 1.0) * 0x1p-64;  // in (0, 1]
  const double v = static_cast<double>(std::uint64_t{words[3]} << 32 | words[2]) * 0x1p-64;
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

Generator& default_generator() {
  static Generator generator(0);
  return generator;
}

void manual_seed(std::uint64_t seed) { default_generator().set_state(seed, 0); }

}  // namespace lucid
