#pragma once
// Sine and cosine of one number, written like those of math.hpp for the compiler to vectorise. The argument
// is reduced as Payne and Hanek do, by the bits of 2/pi that its exponent asks for, so that the results are
// right however large it is: "Radian Reduction for Trigonometric Functions", ACM SIGNUM Newsletter 18 (1983).

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#include "ops/kernels/math.hpp"

namespace lucid::kernels::math {
namespace detail {

// 2^e 2/pi modulo 4 = high + low, in quarter turns, with 29 bits of high behind the point: times a float's 24
// bits it is exact in double.
struct QuarterTurns {
  static constexpr std::int32_t kExponents = 105;  // of the last bit of a float from 2^23 on
  std::array<double, kExponents> high{}, low{};
};

constexpr QuarterTurns quarter_turns() {
  // 2/pi, the bits behind the point.
  constexpr std::uint64_t kWords[] = {0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041,
                                      0xfe5163abdebbc561};
  const auto bits = [&](std::int32_t first, std::int32_t count) {  // as an integer; those before it are 0
    std::uint64_t value = 0;
    for (std::int32_t i = first; i < first + count; ++i)
      value = value << 1 | (i < 0 ? 0 : kWords[i / 64] >> (63 - i % 64) & 1);
    return static_cast<double>(value);
  };
  QuarterTurns turns;
  for (std::int32_t e = 0; e < QuarterTurns::kExponents; ++e) {
    turns.high[static_cast<std::size_t>(e)] = bits(e - 2, 31) * 0x1p-29;
    turns.low[static_cast<std::size_t>(e)] = bits(e + 29, 53) * 0x1p-82;
  }
  return turns;
}

inline constexpr QuarterTurns kQuarterTurns = quarter_turns();

// sin(x + quarters * pi/2) for quarters of 0, for an odd function, and 1, for an even one. Both series are
// exact to 2^-27 for |r| <= pi/4. Masks choose between them, since a selection would branch to the one that
// it needs.
template <std::uint32_t kQuarters>
inline float sine(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x), size = bits & 0x7fffffffu;
  const std::int32_t exponent = static_cast<std::int32_t>(size >> 23) - 150;
  const std::int32_t e = exponent > 0 ? exponent : 0;  // |x| = m 2^e
  const float m = std::bit_cast<float>(size - (static_cast<std::uint32_t>(e) << 23));
  // 64 bits, as wide as what is fetched; infinities and NaN lie beyond.
  const std::int64_t at = e < QuarterTurns::kExponents ? e : QuarterTurns::kExponents - 1;
  const double high = static_cast<double>(m) * kQuarterTurns.high[static_cast<std::size_t>(at)];
  const double low = static_cast<double>(m) * kQuarterTurns.low[static_cast<std::size_t>(at)];
  constexpr double kRound = 0x1.8p52;  // adding it rounds to an integer
  const double turns = (high + kRound) - kRound;
  const std::uint32_t quarters = static_cast<std::uint32_t>(static_cast<std::int32_t>(turns)) + kQuarters;
  const double rest = ((high - turns) + low) * 0x1.921fb54442d18p0;
  const float r = static_cast<float>(rest) + (x - x), z = r * r;  // NaN of what is not finite
  float odd = 1.0f / 362880;
  odd = odd * z - 1.0f / 5040;
  odd = odd * z + 1.0f / 120;
  odd = odd * z - 1.0f / 6;
  odd = odd * z * r + r;
  float even = 1.0f / 40320;
  even = even * z - 1.0f / 720;
  even = even * z + 1.0f / 24;
  even = even * z - 0.5f;
  even = even * z + 1.0f;
  const std::uint32_t takes_even = 0u - (quarters & 1u);
  const std::uint32_t value =
      (std::bit_cast<std::uint32_t>(even) & takes_even) | (std::bit_cast<std::uint32_t>(odd) & ~takes_even);
  const std::uint32_t sign = (quarters & 2u) << 30 ^ (kQuarters == 0 ? bits & 0x80000000u : 0u);
  return std::bit_cast<float>(value ^ sign);
}

}  // namespace detail

inline double sin(double x) { return std::sin(x); }
inline float sin(float x) { return detail::sine<0>(x); }
inline double cos(double x) { return std::cos(x); }
inline float cos(float x) { return detail::sine<1>(x); }

}  // namespace lucid::kernels::math
