#include "nn/init.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "autograd/grad_mode.hpp"

namespace lucid::nn::init {
namespace {

void check_target(std::string_view op, const Tensor& tensor) {
  check(tensor.defined(), op, "the tensor is undefined");
  check(is_floating(tensor.dtype()), op, "dtype ", tensor.dtype(), " given; a floating type is required");
}

// Writes f(draw) for each element of `drawn`, a tensor of random numbers that nobody else holds.
template <class F>
Tensor write(const Tensor& target, const Tensor& drawn, F f) {
  double* data = drawn.data_to_write<double>();
  for (std::int64_t i = 0; i < drawn.numel(); ++i) data[i] = f(data[i]);
  const no_grad guard;
  target.copy_(drawn);
  return target;
}

// Solves erf(x) = y for |y| < 1: the estimate of S. Winitzki, "A handy approximation for the error function
// and its inverse", 2008, then Newton steps.
double inverse_erf(double y) {
  if (std::abs(y) >= 1) return std::copysign(std::numeric_limits<double>::infinity(), y);
  constexpr double a = 0.147;
  const double log_term = std::log1p(-y * y);
  const double half = 2 / (std::numbers::pi * a) + log_term / 2;
  double x = std::copysign(std::sqrt(std::sqrt(half * half - log_term / a) - half), y);
  for (int i = 0; i < 3; ++i) x -= (std::erf(x) - y) * std::sqrt(std::numbers::pi) / 2 * std::exp(x * x);
  return x;
}

double fan_of(const Tensor& tensor, FanMode mode) {
  const Fans fans = calculate_fan_in_and_fan_out(tensor);
  return static_cast<double>(std::max<std::int64_t>(1, mode == FanMode::fan_in ? fans.fan_in : fans.fan_out));
}

double fan_sum(const Tensor& tensor) {
  const Fans fans = calculate_fan_in_and_fan_out(tensor);
  return static_cast<double>(std::max<std::int64_t>(1, fans.fan_in + fans.fan_out));
}

}  // namespace

Tensor uniform_(const Tensor& tensor, double a, double b, Generator* generator) {
  check_target("uniform_", tensor);
  check(a <= b, "uniform_", "the range [", a, ", ", b, ") is empty");
  return write(tensor, rand(tensor.shape(), f64, generator), [=](double u) { return a + (b - a) * u; });
}

Tensor normal_(const Tensor& tensor, double mean, double std, Generator* generator) {
  check_target("normal_", tensor);
  check(std >= 0, "normal_", "std is ", std, "; it must not be negative");
  return write(tensor, randn(tensor.shape(), f64, generator), [=](double z) { return mean + std * z; });
}

Tensor trunc_normal_(const Tensor& tensor, double mean, double std, double a, double b,
                     Generator* generator) {
  check_target("trunc_normal_", tensor);
  check(std > 0, "trunc_normal_", "std is ", std, "; it must be positive");
  check(a < b, "trunc_normal_", "the range [", a, ", ", b, "] is empty");
  // erf at the bounds: a uniform number between them, mapped back, is a normal number inside the range.
  const double low = std::erf((a - mean) / std / std::numbers::sqrt2);
  const double high = std::erf((b - mean) / std / std::numbers::sqrt2);
  return write(tensor, rand(tensor.shape(), f64, generator), [=](double u) {
    return std::clamp(mean + std * std::numbers::sqrt2 * inverse_erf(low + (high - low) * u), a, b);
  });
}

Tensor constant_(const Tensor& tensor, double value) {
  check_target("constant_", tensor);
  const no_grad guard;
  return tensor.fill_(value);
}
Tensor zeros_(const Tensor& tensor) { return constant_(tensor, 0); }
Tensor ones_(const Tensor& tensor) { return constant_(tensor, 1); }

Fans calculate_fan_in_and_fan_out(const Tensor& tensor) {
  constexpr std::string_view op = "calculate_fan_in_and_fan_out";
  check(tensor.defined() && tensor.dim() >= 2, op, "rank ", tensor.defined() ? tensor.dim() : 0,
        " given; at least 2 is required");
  std::int64_t field = 1;
  for (std::size_t i = 2; i < tensor.shape().size(); ++i)
    field = checked_mul(op, "receptive field", field, tensor.shape()[i]);
  return {checked_mul(op, "fan_in", tensor.size(1), field),
          checked_mul(op, "fan_out", tensor.size(0), field)};
}

double calculate_gain(std::string_view nonlinearity, double param) {
  if (nonlinearity == "tanh") return 5.0 / 3.0;
  if (nonlinearity == "relu") return std::numbers::sqrt2;
  if (nonlinearity == "leaky_relu") return std::sqrt(2 / (1 + param * param));
  if (nonlinearity == "selu") return 0.75;
  const bool plain =
      nonlinearity == "linear" || nonlinearity == "sigmoid" || nonlinearity.starts_with("conv");
  check(plain, "calculate_gain", "nonlinearity \"", nonlinearity,
        "\" is not known; use linear, conv3d, conv_transpose3d, sigmoid, tanh, relu, leaky_relu or selu");
  return 1;
}

Tensor kaiming_uniform_(const Tensor& tensor, KaimingOptions options) {
  const double spread =
      calculate_gain(options.nonlinearity, options.a) / std::sqrt(fan_of(tensor, options.mode));
  const double bound = std::numbers::sqrt3 * spread;
  return uniform_(tensor, -bound, bound, options.generator);
}

Tensor kaiming_normal_(const Tensor& tensor, KaimingOptions options) {
  const double spread =
      calculate_gain(options.nonlinearity, options.a) / std::sqrt(fan_of(tensor, options.mode));
  return normal_(tensor, 0, spread, options.generator);
}

Tensor xavier_uniform_(const Tensor& tensor, double gain, Generator* generator) {
  const double bound = std::numbers::sqrt3 * gain * std::sqrt(2 / fan_sum(tensor));
  return uniform_(tensor, -bound, bound, generator);
}

Tensor xavier_normal_(const Tensor& tensor, double gain, Generator* generator) {
  return normal_(tensor, 0, gain * std::sqrt(2 / fan_sum(tensor)), generator);
}

Tensor orthogonal_(const Tensor& tensor, double gain, Generator* generator) {
  check_target("orthogonal_", tensor);
  check(tensor.dim() >= 2, "orthogonal_", "rank ", tensor.dim(), " given; at least 2 is required");
  if (tensor.numel() == 0) return tensor;
  const std::int64_t rows = tensor.size(0), columns = tensor.numel() / rows;
  const bool wide = rows <= columns;
  const std::int64_t count = wide ? rows : columns, length = wide ? columns : rows;
  // Gram and Schmidt, twice over, on `count` random vectors of `length` elements.
  std::vector<double> v = randn({count, length}, f64, generator).to_vector<double>();
  for (std::int64_t i = 0; i < count; ++i) {
    double* const row = v.data() + i * length;
    for (int pass = 0; pass < 2; ++pass)
      for (std::int64_t j = 0; j < i; ++j) {
        const double* const other = v.data() + j * length;
        double dot = 0;
        for (std::int64_t k = 0; k < length; ++k) dot += row[k] * other[k];
        for (std::int64_t k = 0; k < length; ++k) row[k] -= dot * other[k];
      }
    double norm = 0;
    for (std::int64_t k = 0; k < length; ++k) norm += row[k] * row[k];
    norm = std::sqrt(norm);
    for (std::int64_t k = 0; k < length; ++k) row[k] /= norm;
  }
  const Tensor drawn = empty(tensor.shape(), f64);
  double* out = drawn.data_to_write<double>();
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < columns; ++j)
      *out++ = gain * (wide ? v[static_cast<std::size_t>(i * length + j)]
                            : v[static_cast<std::size_t>(j * length + i)]);
  const no_grad guard;
  return tensor.copy_(drawn);
}

}  // namespace lucid::nn::init
