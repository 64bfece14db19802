// How near float32 functions come to the exact values, to the ends of the range.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include <nlohmann/json.hpp>

#include "lucid/random.hpp"
#include "lucid/tensor.hpp"
#include "ops/activation.hpp"
#include "ops/arithmetic.hpp"
#include "ops/power.hpp"
#include "ops/registry.hpp"
#include "ops/unary.hpp"

using namespace lucid;

namespace {

using Values = std::vector<double>;
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Tensor vector(const Values& values, DType dtype = f64) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}).to(dtype);
}

}  // namespace

TEST_CASE("float32 functions are exact to a few units in the last place, to the ends of the range") {
  struct Row {
    const char* name;
    double (*exact)(double);
    Values at;
  };
  const std::vector<Row> rows{
      {"exp", std::exp, {-110, -100, -87.4, -1e-8, 0, 0.3, 1, 50, 88.7, 89, kInf, -kInf}},
      {"expm1", std::expm1, {-110, -20, -1, -0.3, -1e-8, 0, 1e-30, 0.3, 1, 50, 88.7, 89}},
      {"log", std::log, {1e-40, 1e-38, 0.1, 0.999999, 1, 1.000001, 2, 1e30, 3.4e38, 0, -1, kInf}},
      {"log1p", std::log1p, {-1, -0.999, -0.3, -1e-9, 0, 1e-20, 1e-3, 0.5, 7, 1e30}},
      {"tanh", std::tanh, {-kInf, -100, -9, -3, -0.5, -1e-7, 0, 1e-30, 0.2, 0.7, 4.5, 20, kInf}},
      {"erf", std::erf, {-5, -1, -1e-5, 0, 0.3, 2, 4, 10}},
      {"sin",
       std::sin,
       {0, 1e-30, 0.3, 1.5707964, -3.1415927, 355, 1e5, 16777216, -1e10, 1e22, 3.4e38, kInf}},
      {"cos",
       std::cos,
       {0, 1e-30, 0.3, 1.5707964, -3.1415927, 355, 1e5, 16777216, -1e10, 1e22, 3.4e38, kInf}}};
  for (const Row& row : rows) {
    const Tensor x = vector(row.at, f32), y = ops::call(row.name, {x});
    for (std::size_t i = 0; i < row.at.size(); ++i) {
      const double exact = row.exact(static_cast<double>(x.to_vector<float>()[i]));
      const float found = y.to_vector<float>()[i];
      CAPTURE(row.name);
      CAPTURE(row.at[i]);
      if (std::isnan(exact)) {
        CHECK(std::isnan(found));
      } else if (std::abs(exact) > 3.4028236e38) {
        CHECK(found == static_cast<float>(std::copysign(kInf, exact)));
      } else {
        const double ulp = std::max(std::abs(exact) * 0x1p-23, 0x1p-149);
        CHECK(std::abs(found - exact) <= 4 * ulp);
      }
    }
  }
}

TEST_CASE("gelu and its gradient of float32 are near the exact values, the far tail relative to itself") {
  constexpr double kRoot2 = std::numbers::sqrt2, kDensity0 = std::numbers::inv_sqrtpi / kRoot2;
  Values values{-0.0, 1e-30, -1e-30, 1e-42, 100, -100, 3e38, -3e38, kInf};
  for (double x = -16; x <= 16; x += 0x1p-9) values.push_back(x);
  const Tensor x = vector(values, f32).requires_grad_();
  const Tensor y = gelu(x);
  y.sum().backward();
  const auto found = y.to_vector<float>(), slope = x.grad().to_vector<float>(), at = x.to_vector<float>();
  for (std::size_t i = 0; i < at.size(); ++i) {
    CAPTURE(at[i]);
    const double z = at[i], below = 0.5 * std::erfc(-z / kRoot2), exact = z * below;
    // The power's argument, z^2 / 2, is rounded, and so are its denormal results.
    const double near = (z < 0 ? 2.5 + z * z : 2) * 0x1p-23, denormal = 100 * 0x1p-149;
    if (std::isinf(z))
      CHECK(found[i] == at[i]);
    else
      CHECK(std::abs(found[i] - exact) <= near * std::abs(exact) + denormal);
    if (std::abs(z) < 1e18)
      CHECK(std::abs(slope[i] - (below + z * kDensity0 * std::exp(-z * z / 2))) <= 0x1p-22);
  }
  CHECK(std::isnan(gelu(vector({kNan}, f32)).item<float>()));
  for (const DType dtype : {f32, f64}) CHECK(std::signbit(gelu(vector({-0.0}, dtype)).item<double>()));
}

TEST_CASE("sine and cosine of arguments of any size are within 0.51 units of the exact values") {
  Generator generator(9);
  Values values;
  for (std::uint64_t i = 0; i < 20000; ++i)
    for (const std::uint32_t bits : generator.block(i))
      if (const float value = std::bit_cast<float>(bits); std::isfinite(value)) values.push_back(value);
  for (int turns = 0; turns < 20000; ++turns)  // where they vanish
    values.push_back(static_cast<float>(turns * 97 * 1.5707963267948966));
  const Tensor x = vector(values, f32);
  const auto sines = sin(x).to_vector<float>(), cosines = cos(x).to_vector<float>();
  const auto is_near = [](float found, double exact) {
    return std::abs(found - exact) <= 0.51 * std::max(std::abs(exact) * 0x1p-23, 0x1p-149);
  };
  for (std::size_t i = 0; i < values.size(); ++i) {
    CAPTURE(values[i]);
    REQUIRE(is_near(sines[i], std::sin(values[i])));
    REQUIRE(is_near(cosines[i], std::cos(values[i])));
  }
  CHECK(std::signbit(sin(vector({-0.0}, f32)).item<float>()));
}

TEST_CASE(
    "a power is within 0.51 units of the exact value, and what std::pow has for infinities, zeros and "
    "negative bases") {
  const Values special{0,     -0.0, 1,   -1,   0.5,   -0.5, 2,     -2,   3,        -3,        kInf,
                       -kInf, kNan, 1.5, -2.5, 1e-42, 3e38, -3e38, 1e10, 16777216, -16777215, 1e-30};
  Values bases, exponents;
  for (const double base : special)
    for (const double exponent : special) bases.push_back(base), exponents.push_back(exponent);
  Generator generator(10);
  for (int i = 0; i < 50000; ++i) {
    bases.push_back(std::exp(generator.uniform(-20, 20)) * (i % 3 == 0 ? -1 : 1));
    exponents.push_back(i % 2 == 0 ? static_cast<double>(generator.integer(-9, 10))
                                   : generator.uniform(-6, 6));
  }
  const Tensor x = vector(bases, f32), y = vector(exponents, f32);
  const auto found = pow(x, y).to_vector<float>(), base = x.to_vector<float>(),
             exponent = y.to_vector<float>();
  for (std::size_t i = 0; i < found.size(); ++i) {
    CAPTURE(base[i]);
    CAPTURE(exponent[i]);
    const double exact = std::pow(static_cast<double>(base[i]), static_cast<double>(exponent[i]));
    const auto rounded = static_cast<float>(exact);
    if (std::isnan(rounded) || std::isinf(rounded) || rounded == 0) {
      REQUIRE(std::isnan(found[i]) == std::isnan(rounded));
      if (std::isnan(rounded)) continue;
      REQUIRE(found[i] == rounded);
      REQUIRE(std::signbit(found[i]) == std::signbit(rounded));
    } else {
      REQUIRE(std::abs(found[i] - exact) <= 0.51 * std::max(std::abs(exact) * 0x1p-23, 0x1p-149));
    }
  }
  const auto by_number = pow(x, 2.2).to_vector<float>(),
             by_tensor = pow(x, zeros_like(x) + 2.2).to_vector<float>();
  for (std::size_t i = 0; i < by_number.size(); ++i)
    REQUIRE((by_number[i] == by_tensor[i] || (std::isnan(by_number[i]) && std::isnan(by_tensor[i]))));
}
