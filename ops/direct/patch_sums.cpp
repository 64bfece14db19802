#include "ops/direct/patch_sums.hpp"

#include <cstring>
#include <vector>

#include "lucid/cpu.hpp"
#include "ops/direct/conv_maps.hpp"
#include "ops/direct/patches.hpp"
#include "ops/direct/rows.hpp"

namespace lucid::direct {
namespace {

using ops::ConvProblem;

// Weights of a patch's line, again and again: as many as the widest register has lanes. A register holds
// whole lines of patches, so that all begin alike.
constexpr std::int64_t kRepeated = 16;

// Products of some lines of x, [line], with the weights of each channel, [line][channel][kRepeated], summed
// over the lines: `count` elements of each channel to sums[channel * count].
struct Products {
  const float* const* lines;
  std::int64_t line_count;
  const float* weight;
  float* sums;
  std::int64_t count;
  std::int64_t ahead;  // from each line to the one that is read next
};

template <int Channels>
struct SumLines {
  template <int Bytes>
  [[gnu::always_inline]] static void run(const Products& p) {
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(float));
    constexpr int kMany = 8 / Channels;  // registers of each channel's sums
    std::int64_t at = 0;
    for (; at + kMany * lanes <= p.count; at += kMany * lanes) block<Bytes, kMany>(p, at);
    for (; at + lanes <= p.count; at += lanes) block<Bytes, 1>(p, at);
    if (at < p.count && p.count >= lanes) return block<Bytes, 1>(p, p.count - lanes);  // whole runs too
    for (; at < p.count; ++at)
      for (int c = 0; c < Channels; ++c) {
        float sum = 0;
        for (std::int64_t i = 0; i < p.line_count; ++i)
          sum += p.lines[i][at] * p.weight[(i * Channels + c) * kRepeated + at % kRepeated];
        p.sums[c * p.count + at] = sum;
      }
  }

  template <int Bytes, int V>
  [[gnu::always_inline]] static void block(const Products& p, std::int64_t at) {
    typedef float Lanes __attribute__((vector_size(Bytes)));
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(float));
    Lanes sums[Channels][V];
#pragma GCC unroll 8
    for (int c = 0; c < Channels; ++c)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sums[c][v] = Lanes{};
    std::int64_t i = 0;
    do {
      Lanes weights[Channels];
#pragma GCC unroll 8
      for (int c = 0; c < Channels; ++c)
        std::memcpy(&weights[c], p.weight + (i * Channels + c) * kRepeated, sizeof(Lanes));
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        Lanes x;
        if (v * Bytes % 64 == 0) __builtin_prefetch(p.lines[i] + at + v * lanes + p.ahead);
        std::memcpy(&x, p.lines[i] + at + v * lanes, sizeof(Lanes));
#pragma GCC unroll 8
        for (int c = 0; c < Channels; ++c) sums[c][v] += x * weights[c];
      }
    } while (++i < p.line_count);
#pragma GCC unroll 8
    for (int c = 0; c < Channels; ++c)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v)
        std::memcpy(p.sums + c * p.count + at + v * lanes, &sums[c][v], sizeof(Lanes));
  }
};

// Of each channel's sums, `Run` neighbours are one voxel's: to[voxel][channel] = start + their sum.
template <int Channels, int Run>
LUCID_VECTORIZED void add_runs(float* __restrict__ to, const Products& p, const float* start) {
  const float* sums[Channels];
#pragma GCC unroll 4
  for (int c = 0; c < Channels; ++c) sums[c] = p.sums + c * p.count;
  for (std::int64_t i = 0; i < p.count / Run; ++i)
#pragma GCC unroll 4
    for (int c = 0; c < Channels; ++c) {
      float sum = start[c];
#pragma GCC unroll 8
      for (int r = 0; r < Run; ++r) sum += sums[c][i * Run + r];
      to[i * Channels + c] = sum;
    }
}

template <int Channels, int Run>
void sum_line(float* to, const Products& p, const float* start) {
  run_for_registers<SumLines<Channels>>(p);
  add_runs<Channels, Run>(to, p, start);
}

// Null where there is none: more than eight sums of a voxel take longer to add up than the products.
using LineFunction = void (*)(float* to, const Products&, const float* start);
LineFunction function_of(std::int64_t channels, std::int64_t run) {
  if (channels == 1 && run == 4) return sum_line<1, 4>;
  if (channels == 1 && run == 8) return sum_line<1, 8>;
  if (channels == 2 && run == 4) return sum_line<2, 4>;
  if (run != 2) return nullptr;
  switch (channels) {
    case 1: return sum_line<1, 2>;
    case 2: return sum_line<2, 2>;
    case 3: return sum_line<3, 2>;
    case 4: return sum_line<4, 2>;
    default: return nullptr;
  }
}

// Elements of x in a line of a patch: its taps along W, and their channels.
std::int64_t run_of(const ConvProblem& p) { return p.geometry.kernel[2] * p.x_channels; }

// [kd][kh][channel of y][kRepeated]
std::vector<float> repeated_weight(const ConvProblem& p, const Tensor& weight) {
  const Dims3& kernel = p.geometry.kernel;
  const Strides& s = weight.strides();
  const float* const from = weight.data<float>();
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(kernel[0] * kernel[1] * p.y_channels * kRepeated));
  for (std::int64_t kd = 0; kd < kernel[0]; ++kd)
    for (std::int64_t kh = 0; kh < kernel[1]; ++kh)
      for (std::int64_t y = 0; y < p.y_channels; ++y)
        for (std::int64_t i = 0; i < kRepeated; ++i) {
          const std::int64_t at = i % run_of(p), kw = at / p.x_channels, x = at % p.x_channels;
          out.push_back(from[y * s[0] + x * s[1] + kd * s[2] + kh * s[3] + kw * s[4]]);
        }
  return out;
}

}  // namespace

bool has_patch_sums(const ConvProblem& p) {
  return has_patches(p) && !meets_every_voxel(p) && p.x_gap == 0 && run_of(p) <= register_lanes<float>() &&
         function_of(p.y_channels, run_of(p)) != nullptr;
}

void sum_patches(const ConvProblem& p, const Tensor& x, const Tensor& weight, const Tensor& bias,
                 const Tensor& out) {
  const Dims3 &from_size = p.geometry.x, &size = p.geometry.y, &kernel = p.geometry.kernel;
  const std::int64_t run = run_of(p), channels = p.y_channels, x_line = from_size[2] * p.x_channels;
  const std::vector<float> repeated = repeated_weight(p, weight);
  const float* const from = x.data<float>();
  const std::vector<float> zeros(static_cast<std::size_t>(channels));
  const float* const start = bias.defined() ? bias.data<float>() : zeros.data();
  const LineFunction sum_line = function_of(channels, run);
  float* const to = out.data_to_write<float>();
  const std::int64_t lines = p.batch * size[0] * size[1];
  parallel_for(lines, grain_of(p.work(), lines), [&](std::int64_t begin, std::int64_t end) {
    std::vector<const float*> sources(static_cast<std::size_t>(kernel[0] * kernel[1]));
    std::vector<float> sums(static_cast<std::size_t>(channels * size[2] * run));
    for (std::int64_t line = begin; line < end; ++line) {
      const std::int64_t h = line % size[1], d = line / size[1] % size[0], n = line / size[1] / size[0];
      for (std::int64_t i = 0; i < kernel[0] * kernel[1]; ++i) {
        const std::int64_t plane = n * from_size[0] + d * kernel[0] + i / kernel[1];
        sources[static_cast<std::size_t>(i)] =
            from + (plane * from_size[1] + h * kernel[1] + i % kernel[1]) * x_line;
      }
      const Products products{sources.data(), kernel[0] * kernel[1], repeated.data(),
                              sums.data(),    size[2] * run,         kernel[1] * x_line};
      sum_line(to + line * size[2] * channels, products, start);
    }
  });
}

}  // namespace lucid::direct
