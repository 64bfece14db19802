#include "lucid/random.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "lucid/cpu.hpp"
#include "lucid/error.hpp"

namespace lucid {
namespace {

// kBlocks blocks side by side, counter[word][block]: the compiler takes several in a register.
template <int kBlocks>
void philox(std::uint32_t (&counter)[4][kBlocks], std::uint64_t seed, std::uint64_t first) {
  for (int i = 0; i < kBlocks; ++i) {
    const std::uint64_t index = first + static_cast<std::uint64_t>(i);
    counter[0][i] = static_cast<std::uint32_t>(index);
    counter[1][i] = static_cast<std::uint32_t>(index >> 32);
    counter[2][i] = counter[3][i] = 0;
  }
  auto key0 = static_cast<std::uint32_t>(seed), key1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kBlocks; ++i) {
      const std::uint64_t product0 = std::uint64_t{0xD2511F53} * counter[0][i];
      const std::uint64_t product1 = std::uint64_t{0xCD9E8D57} * counter[2][i];
      counter[0][i] = static_cast<std::uint32_t>(product1 >> 32) ^ counter[1][i] ^ key0;
      counter[1][i] = static_cast<std::uint32_t>(product1);
      counter[2][i] = static_cast<std::uint32_t>(product0 >> 32) ^ counter[3][i] ^ key1;
      counter[3][i] = static_cast<std::uint32_t>(product0);
    }
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
}

constexpr int kTogether = 32;

LUCID_VECTORIZED void fill_blocks(std::uint32_t* words, std::uint64_t seed, std::uint64_t first,
                                  std::int64_t count) {
  std::uint32_t counter[4][kTogether];
  for (std::int64_t done = 0; done < count; done += kTogether, words += 4 * kTogether) {
    philox(counter, seed, first + static_cast<std::uint64_t>(done));
    const std::int64_t blocks = std::min<std::int64_t>(kTogether, count - done);
    for (std::int64_t i = 0; i < blocks; ++i)
      for (int k = 0; k < 4; ++k) words[4 * i + k] = counter[k][i];
  }
}

}  // namespace

std::array<std::uint32_t, 4> Generator::block(std::uint64_t index) const {
  std::uint32_t counter[4][1];
  philox(counter, seed_, index);
  return {counter[0][0], counter[1][0], counter[2][0], counter[3][0]};
}

void Generator::fill(std::uint32_t* words, std::uint64_t first, std::int64_t count) const {
  fill_blocks(words, seed_, first, count);
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
