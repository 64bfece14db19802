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

// 2^e 2/pi modulo 4 = high + low, in quarter turns, with 27 bits of high behind the point: two before it and
// a float's 24 bits, with which it is multiplied, make double's 53.
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
    turns.high[static_cast<std::size_t>(e)] = bits(e - 2, 29) * 0x1p-27;
    turns.low[static_cast<std::size_t>(e)] = bits(e + 27, 53) * 0x1p-80;
  }
  return turns;
}

inline constexpr QuarterTurns kQuarterTurns = quarter_turns();

// sin(x + quarters * pi/2) for quarters of 0, for an odd function, and 1, for an even one. In double from the
// reduction to the end, where rounding to float is the only error to speak of: the series are exact to 2^-29
// for |r| <= pi/4. Masks choose between them, since a selection would branch to the one that it needs.
template <std::uint64_t kQuarters>
inline float sine(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x), size = bits & 0x7fffffffu;
  const std::int32_t exponent = static_cast<std::int32_t>(size >> 23) - 150;
  const std::int32_t e = exponent > 0 ? exponent : 0;  // |x| = m 2^e
  const float m = std::bit_cast<float>(size - (static_cast<std::uint32_t>(e) << 23));
  // 64 bits, as wide as what is fetched; infinities and NaN lie beyond.
  const std::int64_t at = e < QuarterTurns::kExponents ? e : QuarterTurns::kExponents - 1;
  const double high = static_cast<double>(m) * kQuarterTurns.high[static_cast<std::size_t>(at)];
  const double low = static_cast<double>(m) * kQuarterTurns.low[static_cast<std::size_t>(at)];
  constexpr double kWhole = 0x1.8p52;  // adding it leaves the nearest integer in the low bits
  const double shifted = high + kWhole;
  const std::uint64_t quarters = std::bit_cast<std::uint64_t>(shifted) + kQuarters;
  const double not_a_number = static_cast<double>(x - x);  // of what is not finite; else 0
  const double r = ((high - (shifted - kWhole)) + low) * 0x1.921fb54442d18p0 + not_a_number, z = r * r;
  double odd = -1.0 / 39916800;
  odd = odd * z + 1.0 / 362880;
  odd = odd * z - 1.0 / 5040;
  odd = odd * z + 1.0 / 120;
  odd = odd * z - 1.0 / 6;
  odd = odd * z * r + r;
  double even = 1.0 / 479001600;
  even = even * z - 1.0 / 3628800;
  even = even * z + 1.0 / 40320;
  even = even * z - 1.0 / 720;
  even = even * z + 1.0 / 24;
  even = even * z - 0.5;
  even = even * z + 1.0;
  const std::uint64_t takes_even = 0 - (quarters & 1);
  const std::uint64_t value =
      (std::bit_cast<std::uint64_t>(even) & takes_even) | (std::bit_cast<std::uint64_t>(odd) & ~takes_even);
  const std::uint64_t sign = kQuarters == 0 ? std::uint64_t{bits & 0x80000000u} << 32 : 0;
  return static_cast<float>(std::bit_cast<double>(value ^ sign ^ (quarters & 2) << 62));
}

}  // namespace detail

inline double sin(double x) { return std::sin(x); }
inline float sin(float x) { return detail::sine<0>(x); }
inline double cos(double x) { return std::cos(x); }
inline float cos(float x) { return detail::sine<1>(x); }

}  // namespace lucid::kernels::math
