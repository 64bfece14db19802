#include "ops/direct/voxel_dots.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "lucid/cpu.hpp"
#include "lucid/parallel.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/kernels/lanes.hpp"

namespace lucid::direct {
namespace {

constexpr int kIn = 8;  // floats in a narrow register, which wide ones would not fill: 16 channels are common
using Register = kernels::VectorOf<float, kIn>::Type;
constexpr std::int64_t kMostOutputs = 4;  // of more, oneDNN's broadcasts are fewer than these sums

struct Dots {
  const float *x, *weight, *bias;
  float* y;
  std::int64_t x_step, x_channels, y_channels;
};

// The sums of eight registers, in their order.
[[gnu::always_inline]] inline void sum_each(const Register (&a)[kIn], Register& out) {
  using Places = kernels::VectorOf<std::int32_t, kIn>::Type;
  constexpr Places low[3] = {
      {0, 8, 1, 9, 4, 12, 5, 13}, {0, 1, 8, 9, 4, 5, 12, 13}, {0, 1, 2, 3, 8, 9, 10, 11}};
  constexpr Places high[3] = {
      {2, 10, 3, 11, 6, 14, 7, 15}, {2, 3, 10, 11, 6, 7, 14, 15}, {4, 5, 6, 7, 12, 13, 14, 15}};
  const auto add = [&](int level, const Register& p, const Register& q, Register& to)
      __attribute__((always_inline)) {
    to = __builtin_shuffle(p, q, low[level]) + __builtin_shuffle(p, q, high[level]);
  };
  Register pair[4], four[2];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) add(0, a[2 * i], a[2 * i + 1], pair[i]);
  add(1, pair[0], pair[1], four[0]);
  add(1, pair[2], pair[3], four[1]);
  add(2, four[0], four[1], out);
}

// Voxels [begin, end), of kOutputs each: eight sums at a time, as they lie in the result.
template <int kOutputs>
[[gnu::always_inline]] inline void run_voxels(const Dots& d, std::int64_t begin, std::int64_t end) {
  constexpr int kVoxels = kIn / kOutputs;
  Register bias;
  std::memcpy(&bias, d.bias, sizeof(bias));
  for (std::int64_t first = begin; first < end; first += kVoxels) {
    // At the end the last voxel once more.
    const float* at[kVoxels];
#pragma GCC unroll 8
    for (int v = 0; v < kVoxels; ++v) at[v] = d.x + std::min(first + v, end - 1) * d.x_step;
    Register sums[kIn] = {};
    const float* weight = d.weight;
    for (std::int64_t c = 0; c < d.x_channels; c += kIn, weight += kOutputs * kIn)
#pragma GCC unroll 8
      for (int v = 0; v < kVoxels; ++v) {
        Register x, w;
        std::memcpy(&x, at[v] + c, sizeof(x));
#pragma GCC unroll 8
        for (int f = 0; f < kOutputs; ++f) {
          std::memcpy(&w, weight + f * kIn, sizeof(w));
          sums[v * kOutputs + f] += x * w;
        }
      }
    Register out;
    sum_each(sums, out);
    out += bias;
    float* const to = d.y + first * d.y_channels;
    const auto* const values = reinterpret_cast<const char*>(&out);
    if (d.y_channels == kOutputs && first + kVoxels <= end) {
      std::memcpy(to, values, sizeof(out));
    } else if (first + kVoxels < end) {  // outputs that are not there are written over by the next voxel
#pragma GCC unroll 8
      for (int v = 0; v < kVoxels; ++v)
        std::memcpy(to + v * d.y_channels, values + v * kOutputs * sizeof(float), kOutputs * sizeof(float));
    } else {
      for (std::int64_t v = 0; v < std::min<std::int64_t>(kVoxels, end - first); ++v)
        std::memcpy(to + v * d.y_channels, values + v * kOutputs * static_cast<std::int64_t>(sizeof(float)),
                    static_cast<std::size_t>(d.y_channels) * sizeof(float));
    }
  }
}

struct RunVoxels {
  template <int Bytes>
  [[gnu::always_inline]] static void run(const Dots& d, std::int64_t begin, std::int64_t end) {
    switch (std::bit_ceil(static_cast<std::uint64_t>(d.y_channels))) {
      case 1: return run_voxels<1>(d, begin, end);
      case 2: return run_voxels<2>(d, begin, end);
      default: return run_voxels<4>(d, begin, end);
    }
  }
};

}  // namespace

bool has_voxel_dots(const ops::ConvProblem& p) {
  const ops::ConvGeometry& g = p.geometry;
  for (std::size_t i = 0; i < 3; ++i)
    if (g.kernel[i] != 1 || g.stride[i] != 1 || g.padding[i] != 0 || g.x[i] != g.y[i]) return false;
  return g.groups == 1 && p.y_channels <= kMostOutputs && p.x_channels % kIn == 0 && p.x_channels > kIn;
}

void run_voxel_dots(const ops::ConvProblem& p, const Tensor& x, const Tensor& weight, const Tensor& bias,
                    const Tensor& y) {
  const auto outputs = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(p.y_channels)));
  // [part of the input's channels][output][channel of the part], zeros for outputs that are not there.
  std::vector<float> packed(static_cast<std::size_t>(p.x_channels * outputs));
  const float* const w = weight.data<float>();
  for (std::int64_t f = 0; f < p.y_channels; ++f)
    for (std::int64_t c = 0; c < p.x_channels; ++c)
      packed[static_cast<std::size_t>((c / kIn * outputs + f) * kIn + c % kIn)] =
          w[f * weight.strides()[0] + c * weight.strides()[1]];
  float start[kIn] = {};
  if (bias.defined())
    for (std::int64_t i = 0; i < kIn; ++i)
      if (i % outputs < p.y_channels) start[i] = bias.data<float>()[i % outputs];
  const Dots dots{x.data<float>(), packed.data(), start,       y.mutable_data<float>(),
                  p.x_step(),      p.x_channels,  p.y_channels};
  const std::int64_t voxels = p.batch * p.geometry.y[0] * p.geometry.y[1] * p.geometry.y[2];
  parallel_for(voxels, kernels::kElementGrain / p.x_channels + 1,
               [&](std::int64_t begin, std::int64_t end) { run_for_registers<RunVoxels>(dots, begin, end); });
}

}  // namespace lucid::direct
