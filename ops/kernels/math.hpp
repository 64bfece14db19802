#pragma once
// Elementary functions of one number, written without branches or calls so that the compiler vectorises loops
// over float. Those of double, which serve checking, are the C library's.
//
// Errors of the float versions are below 4 units in the last place of the result (tests hold them to that).

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

namespace lucid::kernels::math {

namespace detail {

// ln 2 = high + low; high has few enough bits that n * high is exact for |n| < 2^9.
inline constexpr float kLn2High = 0x1.62ep-1f;
inline constexpr float kLn2Low = 0x1.0bfbe8p-15f;
inline constexpr float kLog2E = 0x1.715476p0f;
inline constexpr float kRound = 0x1.8p23f;  // adding it leaves the nearest integer in the low bits

// e^x = 2^n (1 + p), |p| < 0.42.
struct Reduced {
  float p;
  std::int32_t n;
};

// |r| <= ln(2)/2; the series of e^r - 1 up to r^7/7! is exact to 2^-27 there.
inline Reduced reduce(float x) {
  const float shifted = x * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * kLn2High) - n * kLn2Low;
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 1.0f / 2;
  return {p * r * r + r, static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(shifted) -
                                                   std::bit_cast<std::uint32_t>(kRound))};
}

// 2^n for -127 < n < 128.
inline float power_of_two(std::int32_t n) {
  return std::bit_cast<float>((static_cast<std::uint32_t>(n) + 127u) << 23);
}

// ln(m 2^n) for m in [sqrt(1/2), sqrt(2)), from ln(m) = 2 atanh(s), s = (m - 1)/(m + 1), and its series up to
// s^9.
inline float log_of(float m, float n) {
  const float f = m - 1.0f;
  const float s = f / (2.0f + f);
  const float z = s * s;
  float p = 2.0f / 9;
  p = p * z + 2.0f / 7;
  p = p * z + 2.0f / 5;
  p = p * z + 2.0f / 3;
  // 2s = f - s f, which keeps f's digits
  return n * kLn2High + (f + (s * (p * z - f) + n * kLn2Low));
}

}  // namespace detail

inline double exp(double x) { return std::exp(x); }
inline float exp(float x) {
  // Beyond these the result is infinite or zero whatever x is; a NaN passes both comparisons.
  const float bounded = x > 89.0f ? 89.0f : x < -104.0f ? -104.0f : x;
  const auto [p, n] = detail::reduce(bounded);
  const std::int32_t half = n >> 1;  // two factors, since 2^n itself may be out of range
  return (1.0f + p) * detail::power_of_two(half) * detail::power_of_two(n - half);
}

inline double expm1(double x) { return std::expm1(x); }
inline float expm1(float x) {
  const float bounded = x > 89.0f ? 89.0f : x < -30.0f ? -30.0f : x;
  const auto [p, n] = detail::reduce(bounded);
  const std::int32_t half = n >> 1;
  const float a = detail::power_of_two(half), b = detail::power_of_two(n - half);
  return (a * b - 1.0f < std::numeric_limits<float>::max()) ? p * a * b + (a * b - 1.0f) : (1.0f + p) * a * b;
}

inline double log(double x) { return std::log(x); }
inline float log(float x) {
  const bool tiny = x < std::numeric_limits<float>::min();
  const float scaled = tiny ? x * 0x1p24f : x;  // out of the denormal range
  const auto bits = std::bit_cast<std::uint32_t>(scaled);
  // The bits of sqrt(1/2) taken off leave n in the exponent field.
  const auto n = static_cast<std::int32_t>(bits - 0x3f3504f3u) >> 23;
  const float m = std::bit_cast<float>(bits - (static_cast<std::uint32_t>(n) << 23));
  const float value = detail::log_of(m, static_cast<float>(n) - (tiny ? 24.0f : 0.0f));
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float low = x == 0.0f ? -kInfinity : std::numeric_limits<float>::quiet_NaN();
  const float high = x < kInfinity ? value : x;
  return x > 0.0f ? high : low;
}

inline double log1p(double x) { return std::log1p(x); }
/// ln(u) for the rounded u = 1 + x, corrected by what the rounding lost.
inline float log1p(float x) {
  const float u = 1.0f + x;
  const float lost = x - (u - 1.0f);
  const float value = log(u), correction = lost / u;
  const bool is_finite = (u > 0.0f) & (u < std::numeric_limits<float>::infinity());  // && would branch
  return value + (is_finite ? correction : 0.0f);
}

template <class T>
inline T sigmoid(T x) {
  return T(1) / (T(1) + exp(-x));
}

inline double tanh(double x) { return std::tanh(x); }
/// From t = e^(-2|x|) - 1 in (-1, 0], which neither overflows nor cancels.
inline float tanh(float x) {
  const float t = expm1(-2.0f * std::fabs(x));
  return std::copysign(t / (2.0f + t), x);
}

/// ln(1 + e^x).
template <class T>
inline T softplus(T x) {
  return (x > T(0) ? x : T(0)) + log1p(exp(-std::fabs(x)));
}

inline double erf(double x) { return std::erf(x); }
/// Below 0.9 an odd polynomial, from there on 1 - e^q(|x|). Both interpolate at Chebyshev nodes: erf(x)/x in
/// x^2, and ln(1 - erf(x)) on [0.9, 4]; the result errs by less than 2^-23.
inline float erf(float x) {
  const float z = x * x;
  float p = 0x1.65bfcp-14f;
  p = p * z - 0x1.acd92ap-11f;
  p = p * z + 0x1.55107p-8f;
  p = p * z - 0x1.b815ccp-6f;
  p = p * z + 0x1.ce2e5cp-4f;
  p = p * z - 0x1.812744p-2f;
  p = p * z + 0x1.20dd76p0f;
  const float a = std::fabs(x) > 4.0f ? 4.0f : std::fabs(x);
  float q = 0x1.b90e7ap-20f;
  q = q * a - 0x1.834022p-15f;
  q = q * a + 0x1.394e9ap-11f;
  q = q * a - 0x1.381f9ap-8f;
  q = q * a + 0x1.b0fd8cp-6f;
  q = q * a - 0x1.c2eac2p-4f;
  q = q * a - 0x1.437e6cp-1f;
  q = q * a - 0x1.2156d2p0f;
  q = q * a + 0x1.4e0358p-12f;
  return a < 0.9f ? x * p : std::copysign(1.0f - exp(q), x);
}

/// Of the normal distribution of mean 0 and variance 1: P(X > |x|), and e^(-x^2 / 2).
template <class T>
struct NormalTail {
  T tail, power;
};
inline NormalTail<double> normal_tail(double x) {
  return {0.5 * std::erfc(std::fabs(x) * (1 / std::numbers::sqrt2)), std::exp(-0.5 * x * x)};
}
/// The power times a polynomial in s = a / (1 + a), a = 0.35 |x|, which is fitted to the ratio of the two up
/// to 14.6, where both are zero. With the rounding of its evaluation it errs by 2^-22 of the ratio up to 1,
/// 2^-21 up to 3 and 2^-18 from there on, where the power, whose argument is rounded, errs by as much.
inline NormalTail<float> normal_tail(float x) {
  const float size = std::fabs(x),
              a = 0.35f * (size < 40.0f ? size : 40.0f);  // infinity over itself is no number
  const float s = a / (1.0f + a), power = exp(-0.5f * x * x);
  float p = 0x1.c96224p-6f;
  p = p * s - 0x1.d0d74ap-4f;
  p = p * s + 0x1.29332ep-3f;
  p = p * s - 0x1.4bf784p-5f;
  p = p * s + 0x1.68e7b4p-5f;
  p = p * s - 0x1.52eep-3f;
  p = p * s - 0x1.44eeap-3f;
  p = p * s + 0x1.cd4332p-1f;
  p = p * s - 0x1.23cc1cp0f;
  p = p * s + 0.5f;
  return {power * p, power};
}

}  // namespace lucid::kernels::math
