#pragma once
// The numbers that all three sides compute with, so that their results can be held against each other.

#include <cmath>
#include <cstdint>

#include "lucid/tensor.hpp"

namespace bench {

/// Element i, counted in row-major order: within [-1, 1], never denormal. torch_conv.py has the twin.
inline float pattern_value(std::int64_t i) { return static_cast<float>((i * 37) % 101 - 50) / 50.0f; }

/// Contiguous. As a layer's parameters are: no pointer is kept through which they might be written.
inline lucid::Tensor pattern(const lucid::Shape& shape) {
  const lucid::Tensor out = lucid::empty(shape);
  float* data = out.data_to_write<float>();
  for (std::int64_t i = 0; i < out.numel(); ++i) data[i] = pattern_value(i);
  return out;
}

/// Root of the sum of squares of `count` values, which no order of axes changes.
inline double norm(const float* values, std::int64_t count) {
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += static_cast<double>(values[i]) * values[i];
  return std::sqrt(sum);
}

}  // namespace bench
