#include "ops/direct/patch_sums.hpp"

#include <algorithm>
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

// Products of a line of x with the values of y that it meets, [channel][count], added to sums[channel *
// kRepeated + lane].
struct LineProducts {
  const float* x;
  const float* y;
  float* sums;
  std::int64_t count;
  std::int64_t ahead;  // to the line of x that is read next
};

template <int Channels>
struct AddLine {
  template <int Bytes>
  [[gnu::always_inline]] static void run(const LineProducts& p) {
    typedef float Lanes __attribute__((vector_size(Bytes)));
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(float));
    constexpr int kMany = 8 / Channels;  // sums of each channel in flight
    Lanes sums[Channels][kMany];
#pragma GCC unroll 8
    for (int c = 0; c < Channels; ++c)
#pragma GCC unroll 8
      for (int v = 0; v < kMany; ++v) sums[c][v] = Lanes{};
    const auto add = [&](std::int64_t at, int v) __attribute__((always_inline)) {
      Lanes x, y;
      std::memcpy(&x, p.x + at, sizeof(Lanes));
#pragma GCC unroll 8
      for (int c = 0; c < Channels; ++c) {
        std::memcpy(&y, p.y + c * p.count + at, sizeof(Lanes));
        sums[c][v] += x * y;
      }
    };
    std::int64_t at = 0;
    for (; at + kMany * lanes <= p.count; at += kMany * lanes) {
#pragma GCC unroll 8
      for (int v = 0; v < kMany; ++v) {
        if (v * Bytes % 64 == 0) __builtin_prefetch(p.x + at + v * lanes + p.ahead);
        add(at + v * lanes, v);
      }
    }
    for (; at + lanes <= p.count; at += lanes) add(at, 0);
#pragma GCC unroll 8
    for (int c = 0; c < Channels; ++c) {
      float* const to = p.sums + c * kRepeated;
      Lanes sum;
      std::memcpy(&sum, to, sizeof(Lanes));
#pragma GCC unroll 8
      for (int v = 0; v < kMany; ++v) sum += sums[c][v];
      std::memcpy(to, &sum, sizeof(Lanes));
      for (std::int64_t i = at; i < p.count; ++i) to[i - at] += p.x[i] * p.y[c * p.count + i];
    }
  }
};

// A line of y, [voxel][channel], as [channel][voxel], each value for the `Run` elements of x that it meets.
template <int Channels, int Run>
LUCID_VECTORIZED void repeat_line(float* __restrict__ to, const float* __restrict__ y, std::int64_t voxels) {
#pragma GCC unroll 4
  for (int c = 0; c < Channels; ++c)
    for (std::int64_t i = 0; i < voxels; ++i)
#pragma GCC unroll 8
      for (int r = 0; r < Run; ++r) to[(c * voxels + i) * Run + r] = y[i * Channels + c];
}

struct LineFunctions {
  void (*sum)(float* to, const Products&, const float* start);
  void (*repeat)(float* to, const float* y, std::int64_t voxels);
  void (*add)(const LineProducts&);
};
template <int Channels, int Run>
constexpr LineFunctions kFunctions{sum_line<Channels, Run>, repeat_line<Channels, Run>,
                                   [](const LineProducts& p) { run_for_registers<AddLine<Channels>>(p); }};

// Null where there are none: more than eight sums of a voxel take longer to add up than the products.
const LineFunctions* functions_of(std::int64_t channels, std::int64_t run) {
  if (channels == 1 && run == 4) return &kFunctions<1, 4>;
  if (channels == 1 && run == 8) return &kFunctions<1, 8>;
  if (channels == 2 && run == 4) return &kFunctions<2, 4>;
  if (run != 2) return nullptr;
  switch (channels) {
    case 1: return &kFunctions<1, 2>;
    case 2: return &kFunctions<2, 2>;
    case 3: return &kFunctions<3, 2>;
    case 4: return &kFunctions<4, 2>;
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

// The line of x that meets line i = (kd, kh) of the patches of y's `line`, both counted from the first.
std::int64_t x_line_of(const ConvProblem& p, std::int64_t line, std::int64_t i) {
  const Dims3 &x = p.geometry.x, &y = p.geometry.y, &kernel = p.geometry.kernel;
  const std::int64_t h = line % y[1], d = line / y[1] % y[0], n = line / y[1] / y[0];
  return (n * x[0] + d * kernel[0] + i / kernel[1]) * x[1] + h * kernel[1] + i % kernel[1];
}

}  // namespace

bool has_patch_sums(const ConvProblem& p) {
  return has_patches(p) && !meets_every_voxel(p) && p.x_gap == 0 && run_of(p) <= register_lanes<float>() &&
         functions_of(p.y_channels, run_of(p)) != nullptr;
}

void sum_patches(const ConvProblem& p, const Tensor& x, const Tensor& weight, const Tensor& bias,
                 const Tensor& out) {
  const Dims3 &size = p.geometry.y, &kernel = p.geometry.kernel;
  const std::int64_t run = run_of(p), channels = p.y_channels, x_line = p.geometry.x[2] * p.x_channels;
  const std::vector<float> repeated = repeated_weight(p, weight);
  const float* const from = x.data<float>();
  const std::vector<float> zeros(static_cast<std::size_t>(channels));
  const float* const start = bias.defined() ? bias.data<float>() : zeros.data();
  const LineFunctions& functions = *functions_of(channels, run);
  float* const to = out.data_to_write<float>();
  const std::int64_t lines = p.batch * size[0] * size[1];
  parallel_for(lines, grain_of(p.work(), lines), [&](std::int64_t begin, std::int64_t end) {
    std::vector<const float*> sources(static_cast<std::size_t>(kernel[0] * kernel[1]));
    std::vector<float> sums(static_cast<std::size_t>(channels * size[2] * run));
    for (std::int64_t line = begin; line < end; ++line) {
      for (std::int64_t i = 0; i < kernel[0] * kernel[1]; ++i)
        sources[static_cast<std::size_t>(i)] = from + x_line_of(p, line, i) * x_line;
      const Products products{sources.data(), kernel[0] * kernel[1], repeated.data(),
                              sums.data(),    size[2] * run,         kernel[1] * x_line};
      functions.sum(to + line * size[2] * channels, products, start);
    }
  });
}

void patch_weight_grad(const ConvProblem& p, const Tensor& x, const Tensor& y, const Tensor& out) {
  const Dims3 &size = p.geometry.y, &kernel = p.geometry.kernel;
  const std::int64_t run = run_of(p), channels = p.y_channels, x_line = p.geometry.x[2] * p.x_channels,
                     count = size[2] * run, patch_lines = kernel[0] * kernel[1],
                     elements = patch_lines * channels * kRepeated;
  const LineFunctions& functions = *functions_of(channels, run);
  const float *const from = x.data<float>(), *const ys = y.data<float>();
  constexpr std::int64_t kAtOnce = 16;  // lines whose sums are in float before they are added in double
  const std::int64_t lines = p.batch * size[0] * size[1], pieces = (lines + kAtOnce - 1) / kAtOnce,
                     threads = std::min<std::int64_t>(num_threads(), pieces);
  // [thread][kd][kh][channel][kRepeated]
  std::vector<double> totals(static_cast<std::size_t>(threads * elements));
  parallel_for(threads, grain_of(p.work(), threads), [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> repeated(static_cast<std::size_t>(channels * count)),
        sums(static_cast<std::size_t>(elements));
    for (std::int64_t thread = begin; thread < end; ++thread)
      for (std::int64_t piece = pieces * thread / threads; piece < pieces * (thread + 1) / threads; ++piece) {
        std::ranges::fill(sums, 0.0f);
        for (std::int64_t line = piece * kAtOnce; line < std::min(lines, (piece + 1) * kAtOnce); ++line) {
          functions.repeat(repeated.data(), ys + line * size[2] * channels, size[2]);
          for (std::int64_t i = 0; i < patch_lines; ++i)
            functions.add({from + x_line_of(p, line, i) * x_line, repeated.data(),
                           sums.data() + i * channels * kRepeated, count, kernel[1] * x_line});
        }
        for (std::int64_t i = 0; i < elements; ++i)
          totals[static_cast<std::size_t>(thread * elements + i)] +=
              static_cast<double>(sums[static_cast<std::size_t>(i)]);
      }
  });
  float* const to = out.data_to_write<float>();
  for (std::int64_t i = 0; i < patch_lines * channels; ++i)
    for (std::int64_t at = 0; at < run; ++at) {
      double total = 0;
      for (std::int64_t thread = 0; thread < threads; ++thread)
        for (std::int64_t lane = at; lane < kRepeated; lane += run)
          total += totals[static_cast<std::size_t>(thread * elements + i * kRepeated + lane)];
      to[(i % channels * p.x_channels + at % p.x_channels) * p.taps() + i / channels * kernel[2] +
         at / p.x_channels] = static_cast<float>(total);
    }
}

}  // namespace lucid::direct
