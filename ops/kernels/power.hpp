#pragma once
// A power of one number, written like the functions of math.hpp for the compiler to vectorise.

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace lucid::kernels::math {
namespace detail {

// a where `mask` is all ones, b where it is 0. A selection would branch to the one that it needs.
inline double chosen(std::uint64_t mask, double a, double b) {
  return std::bit_cast<double>((std::bit_cast<std::uint64_t>(a) & mask) |
                               (std::bit_cast<std::uint64_t>(b) & ~mask));
}
inline std::uint64_t mask_of(bool condition) { return 0 - static_cast<std::uint64_t>(condition); }

inline constexpr double kWhole = 0x1.8p52;  // adding it leaves the nearest integer in the low bits

// log2(x) of a positive, normal x. With x = m 2^n and m in [sqrt(1/2), sqrt(2)): ln(m) = 2 atanh(s), s =
// (m - 1)/(m + 1), by its series up to s^17.
inline double binary_logarithm(double x) {
  constexpr std::uint64_t kRoot = 0x3fe6a09e667f3bcd;  // sqrt(1/2), whose bits taken off leave n
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const std::uint64_t shifted = (bits - kRoot) & 0xfff0000000000000;
  const double m = std::bit_cast<double>(bits - shifted);
  // n in two's complement above 52 zeros; its offset makes it positive for the trip to double.
  const double n =
      std::bit_cast<double>((((shifted >> 52) + 1024) & 0xfff) | 0x4330000000000000) - 0x1p52 - 1024;
  const double s = (m - 1) / (m + 1), z = s * s;
  double p = 2.0 / 17;
  p = p * z + 2.0 / 15;
  p = p * z + 2.0 / 13;
  p = p * z + 2.0 / 11;
  p = p * z + 2.0 / 9;
  p = p * z + 2.0 / 7;
  p = p * z + 2.0 / 5;
  p = p * z + 2.0 / 3;
  p = p * z + 2.0;
  return p * s * 0x1.71547652b82fep0 + n;
}

// 2^x for |x| <= 512, by the series of e^r up to r^11/11!, |r| <= ln(2)/2.
inline double binary_power(double x) {
  const double shifted = x + kWhole;
  const double r = (x - (shifted - kWhole)) * 0x1.62e42fefa39efp-1;
  double p = 1.0 / 39916800;
  p = p * r + 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1;
  p = p * r + 1;
  return p * std::bit_cast<double>((std::bit_cast<std::uint64_t>(shifted) + 1023) << 52);
}

}  // namespace detail

inline double pow(double x, double y) { return std::pow(x, y); }
/// Computed in double, where rounding to float is the only error to speak of; infinities, zeros, NaN and
/// negative bases as std::pow has them.
inline float pow(float base, float exponent) {
  using detail::chosen;
  using detail::mask_of;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  const double x = base, y = exponent, size = std::fabs(x);
  double logarithm = detail::binary_logarithm(size);
  logarithm = chosen(mask_of(size == 0), -kInfinity, logarithm);
  logarithm = chosen(mask_of(!(size < kInfinity)), size, logarithm);  // infinity, NaN
  const double product = y * logarithm;
  // Beyond 2^+-512 there is nothing in float; a NaN passes both comparisons.
  const double above = chosen(mask_of(product > 512), 512, product);
  double result = detail::binary_power(chosen(mask_of(product < -512), -512, above));
  result = chosen(mask_of(product != product), product, result);
  // Whole numbers of 2^24 and more are all even, so the exponent may be cut there.
  const double cut = chosen(mask_of(std::fabs(y) < 0x1p30), y, 0);
  const double shifted = cut + detail::kWhole;
  const std::uint64_t is_odd = 0 - (std::bit_cast<std::uint64_t>(shifted) & 1);
  const std::uint64_t is_whole = mask_of(shifted - detail::kWhole == cut) & mask_of(y == y);
  const std::uint64_t is_negative = 0 - (std::bit_cast<std::uint64_t>(x) >> 63);
  const double whole = chosen(is_odd & is_negative, -result, result);
  const std::uint64_t is_undefined = is_negative & mask_of(size > 0) & mask_of(size < kInfinity) & ~is_whole;
  result = chosen(is_whole, whole, result);
  result = chosen(is_undefined, kNaN, result);
  result = chosen(mask_of(y == 0) | mask_of(x == 1), 1, result);
  result = chosen(mask_of(x == -1) & mask_of(std::fabs(y) == kInfinity), 1, result);
  return static_cast<float>(result);
}

}  // namespace lucid::kernels::math
