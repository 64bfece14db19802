#pragma once
// The activations made of straight pieces, as one formula that a kernel can apply to what it is about to
// store.

#include <limits>

#include "lucid/parallel.hpp"
#include "lucid/tensor.hpp"

namespace lucid::kernels {

/// x where x > 0, else slope * x; then cut to [low, high]. relu is low = 0, leaky_relu is slope alone, relu6
/// is low = 0, high = 6. A NaN stays.
struct Rectifier {
  float slope = 1;
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();

  bool is_identity() const { return *this == Rectifier{}; }
  bool operator==(const Rectifier&) const = default;

  [[gnu::always_inline]] float operator()(float x) const {
    x = x > 0 ? x : x * slope;
    x = x < low ? low : x;
    return x > high ? high : x;
  }
};

/// out = rectifier(input). float32 of one shape and one dense layout; they may be one tensor.
void rectify(const Tensor& out, const Tensor& input, const Rectifier& rectifier);

/// out = rectifier(a + b), likewise.
void add_rectified(const Tensor& out, const Tensor& a, const Tensor& b, const Rectifier& rectifier);

}  // namespace lucid::kernels
