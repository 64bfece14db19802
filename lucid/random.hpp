#pragma once
// Counter-based random numbers: a value depends on the seed and its position alone, never on the thread
// count. Philox4x32-10, from Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.

#include <array>
#include <cstdint>

namespace lucid {

/// A stream of random numbers whose whole state is (seed, offset), so that it can be saved and resumed
/// exactly.
class Generator {
 public:
  explicit Generator(std::uint64_t seed = 0) : seed_(seed) {}

  std::uint64_t seed() const { return seed_; }
  std::uint64_t offset() const { return offset_; }  ///< blocks of 128 bits used so far
  void set_state(std::uint64_t seed, std::uint64_t offset) { seed_ = seed, offset_ = offset; }

  /// Reserves `blocks` blocks and returns the index of the first.
  std::uint64_t reserve(std::uint64_t blocks) {
    const std::uint64_t first = offset_;
    offset_ += blocks;
    return first;
  }

  /// 128 random bits of block `index`.
  std::array<std::uint32_t, 4> block(std::uint64_t index) const;
  /// The same of `count` blocks one after the other, which takes a fraction of the time: 4 * count words.
  void fill(std::uint32_t* words, std::uint64_t first, std::int64_t count) const;

  std::uint64_t next_u64();
  double uniform();                         ///< in [0, 1), 53 random bits
  double uniform(double low, double high);  ///< in [low, high)
  std::int64_t integer(std::int64_t low,
                       std::int64_t high);  ///< in [low, high), unbiased; throws Error if empty
  double normal();                          ///< N(0, 1), by Box and Muller

 private:
  std::uint64_t seed_;
  std::uint64_t offset_ = 0;
};

/// The generator that random factories, initialisers and dropout use unless given one.
Generator& default_generator();
/// Restarts the default generator at `seed`.
void manual_seed(std::uint64_t seed);

}  // namespace lucid
