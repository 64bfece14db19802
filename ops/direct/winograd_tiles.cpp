#include "ops/direct/winograd_tiles.hpp"

#include <algorithm>
#include <cstring>

#include "ops/direct/rows.hpp"
#include "ops/kernels/lanes.hpp"

namespace lucid::direct {
namespace {

template <int Bytes>
using Register = typename kernels::VectorOf<float, Bytes / 4>::Type;

template <class V>
[[gnu::always_inline]] inline void load(const float* from, V& to) {
  std::memcpy(&to, from, sizeof(V));
}
template <class V>
[[gnu::always_inline]] inline void store(const V& from, float* to) {
  std::memcpy(to, &from, sizeof(V));
}

// f(channel, a register's zeros) for so many channels, with narrow registers where wide ones are too wide.
template <int Bytes, class F>
[[gnu::always_inline]] inline void for_registers(std::int64_t channels, F f) {
  constexpr std::int64_t lanes = Bytes / 4;
  std::int64_t channel = 0;
  for (; channel + lanes <= channels; channel += lanes) f(channel, Register<Bytes>{});
  if constexpr (Bytes == kWideRegister)
    if (channel < channels) f(channel, Register<kNarrowRegister>{});
}

// ---- input: B^T d B for each tile ----

struct TransformLines {
  template <int Bytes>
  [[gnu::always_inline]] static void run(const TileLines& lines, std::int64_t channels, std::int64_t tiles,
                                         float* to, std::int64_t point_step) {
    for_registers<Bytes>(
        channels, [&]<class V>(std::int64_t channel, const V&) __attribute__((always_inline)) {
          transform<V>(lines, channel, tiles, to + channel, point_step);
        });
  }

 private:
  template <class V>
  [[gnu::always_inline]] static void transform(const TileLines& lines, std::int64_t channel,
                                               std::int64_t tiles, float* to, std::int64_t point_step) {
    V a[4], b[4], c[4], d[4];
    load_column(lines, channel, lines.first, a);
    load_column(lines, channel, lines.first + 1, b);
    for (std::int64_t t = 0; t < tiles; ++t, to += kTileChannels) {
      load_column(lines, channel, lines.first + 2 * t + 2, c);
      load_column(lines, channel, lines.first + 2 * t + 3, d);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        float* at = to + 4 * i * point_step;
        store(a[i] - c[i], at);
        store(b[i] + c[i], at + point_step);
        store(c[i] - b[i], at + 2 * point_step);
        store(b[i] - d[i], at + 3 * point_step);
        a[i] = c[i];
        b[i] = d[i];
      }
    }
  }
  template <class V>
  [[gnu::always_inline]] static void load_column(const TileLines& lines, std::int64_t channel,
                                                 std::int64_t column, V (&out)[4]) {
    if (column < 0 || column >= lines.columns) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) out[i] = V{};
      return;
    }
    V row[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) load(lines.at[i] + column * lines.step[i] + channel, row[i]);
    out[0] = row[0] - row[2];
    out[1] = row[1] + row[2];
    out[2] = row[2] - row[1];
    out[3] = row[1] - row[3];
  }
};

// ---- products ----

struct Multiply {
  template <int Bytes>
  [[gnu::always_inline]] static void run(std::span<const TileTerm> terms, std::int64_t first,
                                         std::int64_t tiles, std::int64_t width, float* c) {
    if (width == kHalfChunk)
      columns<std::min(Bytes, kNarrowRegister), 8, 8, 1>(terms, first, tiles, width, c);
    else if constexpr (Bytes == kWideRegister)
      width == kTileChannels ? columns<Bytes, 16, 8, 1>(terms, first, tiles, width, c)
                             : columns<Bytes, 8, 8, 2>(terms, first, tiles, width, c);
    else
      columns<Bytes, 6, 4, 2>(terms, first, tiles, width, c);
  }

 private:
  // V registers of outputs after the other; the sums of R tiles fill the registers, and those of Last hide
  // the latency of a multiplication.
  template <int Bytes, int R, int Last, int V>
  [[gnu::always_inline]] static void columns(std::span<const TileTerm> terms, std::int64_t first,
                                             std::int64_t tiles, std::int64_t width, float* c) {
    for (std::int64_t column = 0; column < width; column += V * Bytes / 4) {
      std::int64_t t = 0;
      for (; t + R == tiles || t + R + Last <= tiles; t += R)
        product<Bytes, R, V>(terms, first + t, width, column, c + t * width + column);
      for (; t < tiles; t += Last)
        product<Bytes, Last, V>(terms, first + t, width, column, c + t * width + column);
    }
  }
  // c[r][j] = sum over terms, for R tiles and V registers of outputs.
  template <int Bytes, int R, int V>
  [[gnu::always_inline]] static void product(std::span<const TileTerm> terms, std::int64_t tile,
                                             std::int64_t width, std::int64_t column, float* c) {
    constexpr std::int64_t lanes = Bytes / 4;
    Register<Bytes> sums[R][V];
#pragma GCC unroll 16  // else they lie in memory
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) load(kZeros<float> + v * lanes, sums[r][v]);
    for (const TileTerm& term : terms) {
      const float *a = term.a + tile * kTileChannels, *b = term.b + column;
      if (term.channels == kTileChannels)
        add<kTileChannels>(a, b, width, sums);
      else
        add<kHalfChunk>(a, b, width, sums);
    }
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < V; ++v) store(sums[r][v], c + r * width + v * lanes);
  }
  // A constant number of channels: with a variable one the sums took up to a tenth longer.
  template <std::int64_t Channels, class Lanes, int R, int V>
  [[gnu::always_inline]] static void add(const float* a, const float* b, std::int64_t width,
                                         Lanes (&sums)[R][V]) {
    constexpr std::int64_t lanes = sizeof(Lanes) / sizeof(float);
#pragma GCC unroll 4
    for (std::int64_t k = 0; k < Channels; ++k, ++a, b += width) {
      Lanes row[V];
      for (int v = 0; v < V; ++v) load(b + v * lanes, row[v]);
      for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) sums[r][v] += a[r * kTileChannels] * row[v];
    }
  }
};

// ---- output: A^T m A for each tile, and what follows ----

struct TransformOutput {
  template <int Bytes>
  [[gnu::always_inline]] static void run(const float* m, std::int64_t point_step, std::int64_t width,
                                         const TileOutput& out, const float* bias,
                                         const ops::ConvEpilogue& epilogue) {
    for_registers<Bytes>(
        width, [&]<class V>(std::int64_t channel, const V&) __attribute__((always_inline)) {
          transform<V>(m + channel, point_step, out, channel, bias, epilogue);
        });
  }

 private:
  template <class V>
  [[gnu::always_inline]] static void transform(const float* m, std::int64_t point_step, const TileOutput& out,
                                               std::int64_t channel, const float* bias,
                                               const ops::ConvEpilogue& epilogue) {
    V upper[4], lower[4], shift;
    load(bias + channel, shift);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      V a, b, c, d;
      load(m + j * point_step, a);
      load(m + (4 + j) * point_step, b);
      load(m + (8 + j) * point_step, c);
      load(m + (12 + j) * point_step, d);
      upper[j] = a + b + c;
      lower[j] = b - c - d;
    }
    float* to = out.at + channel;
    finish(V(upper[0] + upper[1] + upper[2]), shift, epilogue, to);
    if (out.two_columns) finish(V(upper[1] - upper[2] - upper[3]), shift, epilogue, to + out.column);
    if (!out.two_rows) return;
    finish(V(lower[0] + lower[1] + lower[2]), shift, epilogue, to + out.row);
    if (out.two_columns)
      finish(V(lower[1] - lower[2] - lower[3]), shift, epilogue, to + out.row + out.column);
  }
  template <class V>
  [[gnu::always_inline]] static void finish(const V& sum, const V& bias, const ops::ConvEpilogue& epilogue,
                                            float* to) {
    const kernels::Rectifier& r = epilogue.rectifier;
    V value = sum + bias;
    if (epilogue.accumulate) {
      V before;
      load(to, before);
      value += before;
    }
    value = value > 0.0f ? value : value * r.slope;
    value = value < r.low ? V{} + r.low : value;
    value = value > r.high ? V{} + r.high : value;
    store(value, to);
  }
};

// ---- weight: G g G^T, in double ----

// G g of three numbers a step apart.
[[gnu::always_inline]] inline void widen(const double* g, std::int64_t step, double* out,
                                         std::int64_t out_step) {
  const double ends = g[0] + g[2 * step], middle = g[step];
  out[0] = g[0];
  out[out_step] = (ends + middle) / 2;
  out[2 * out_step] = (ends - middle) / 2;
  out[3 * out_step] = g[2 * step];
}

// Of kHalfChunk outputs.
LUCID_VECTORIZED void transform_some_taps(const TileTaps& taps, float* to, std::int64_t point_step) {
  constexpr std::int64_t n = kHalfChunk;
  double g[9 * n], half[12 * n], out[16 * n];
  for (std::int64_t f = 0; f < n; ++f)
    for (std::int64_t i = 0; i < 3; ++i)
      for (std::int64_t j = 0; j < 3; ++j)
        g[(3 * i + j) * n + f] = taps.at[f * taps.output + i * taps.row + j * taps.column];
  for (std::int64_t i = 0; i < 3; ++i)
    for (std::int64_t f = 0; f < n; ++f) widen(g + 3 * i * n + f, n, half + 4 * i * n + f, n);
  for (std::int64_t j = 0; j < 4; ++j)
    for (std::int64_t f = 0; f < n; ++f) widen(half + j * n + f, 4 * n, out + j * n + f, 4 * n);
  for (std::int64_t point = 0; point < kTilePoints; ++point)
    for (std::int64_t f = 0; f < n; ++f) to[point * point_step + f] = static_cast<float>(out[point * n + f]);
}

// ---- the weight's gradient: A g A^T, and G^T m G ----

struct TransformGrads {
  template <int Bytes>
  [[gnu::always_inline]] static void run(const TileGrads& grads, std::int64_t channels, std::int64_t tiles,
                                         float* to, std::int64_t point_step, std::int64_t width) {
    for_registers<Bytes>(
        channels, [&]<class V>(std::int64_t channel, const V&) __attribute__((always_inline)) {
          for (std::int64_t t = 0; t < tiles; ++t)
            transform<V>(grads, channel, 2 * t, to + t * width + channel, point_step);
        });
  }

 private:
  template <class V>
  [[gnu::always_inline]] static void transform(const TileGrads& grads, std::int64_t channel,
                                               std::int64_t column, float* to, std::int64_t point_step) {
    V left[4], right[4];
    load_column<V>(grads, channel, column, left);
    load_column<V>(grads, channel, column + 1, right);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      float* at = to + 4 * i * point_step;
      store(left[i], at);
      store(V(left[i] + right[i]), at + point_step);
      store(V(left[i] - right[i]), at + 2 * point_step);
      store(V(-right[i]), at + 3 * point_step);
    }
  }
  template <class V>
  [[gnu::always_inline]] static void load_column(const TileGrads& grads, std::int64_t channel,
                                                 std::int64_t column, V (&out)[4]) {
    V row[2] = {};
    if (column < grads.columns)
      for (int i = 0; i < 2; ++i)
        if (grads.at[i]) load(grads.at[i] + column * grads.step + channel, row[i]);
    out[0] = row[0];
    out[1] = row[0] + row[1];
    out[2] = row[0] - row[1];
    out[3] = -row[1];
  }
};

// G^T m of four numbers a step apart.
[[gnu::always_inline]] inline void narrow(const double* m, std::int64_t step, double* out,
                                          std::int64_t out_step) {
  const double both = (m[step] + m[2 * step]) / 2;
  out[0] = m[0] + both;
  out[out_step] = (m[step] - m[2 * step]) / 2;
  out[2 * out_step] = both + m[3 * step];
}

}  // namespace

LUCID_VECTORIZED void transform_sums(const double* m, double* to) {
  constexpr std::int64_t n = kTileChannels;
  double half[12 * n];
  for (std::int64_t j = 0; j < 4; ++j)
    for (std::int64_t i = 0; i < n; ++i) narrow(m + j * n + i, 4 * n, half + j * n + i, 4 * n);
  for (std::int64_t k = 0; k < 3; ++k)
    for (std::int64_t i = 0; i < n; ++i) narrow(half + 4 * k * n + i, n, to + 3 * k * n + i, n);
}

void transform_grads(const TileGrads& grads, std::int64_t channels, std::int64_t tiles, float* to,
                     std::int64_t point_step, std::int64_t width) {
  run_for_registers<TransformGrads>(grads, channels, tiles, to, point_step, width);
}

std::vector<TileResidue> residues_of(const ops::ConvGeometry& g, std::size_t axis) {
  const std::int64_t step = g.kernel[axis] > 1 ? g.dilation[axis] : 1;
  std::vector<TileResidue> out;
  for (std::int64_t start = 0; start < std::min(step, g.y[axis]); ++start) {
    const std::int64_t before = (g.padding[axis] - start + step - 1) / step;  // of x, in steps
    const std::int64_t x_start = start + before * step - g.padding[axis];
    out.push_back({start, (g.y[axis] - start + step - 1) / step, x_start,
                   std::max<std::int64_t>(0, (g.x[axis] - x_start + step - 1) / step), before, step});
  }
  return out;
}

TileLines tile_lines(const ops::ConvProblem& p, const float* x, std::int64_t step, std::int64_t plane,
                     const TileResidue& height, std::int64_t first, const TileResidue& width) {
  static constexpr float kZeros[kTileChannels] = {};
  const Dims3& size = p.geometry.x;
  TileLines out{{}, {}, width.x_count, -width.before};
  for (std::int64_t i = 0; i < 4; ++i) {
    const std::int64_t line = first - height.before + i;
    const bool inside = line >= 0 && line < height.x_count;
    out.at[i] =
        inside
            ? x + ((plane * size[1] + height.x_start + line * height.step) * size[2] + width.x_start) * step
            : kZeros;
    out.step[i] = inside ? step * width.step : 0;
  }
  return out;
}

void transform_taps(const TileTaps& taps, std::int64_t outputs, float* to, std::int64_t point_step) {
  for (std::int64_t f = 0; f < outputs; f += kHalfChunk)
    transform_some_taps({taps.at + f * taps.output, taps.output, taps.row, taps.column}, to + f, point_step);
}

void transform_lines(const TileLines& lines, std::int64_t channels, std::int64_t tiles, float* to,
                     std::int64_t point_step) {
  run_for_registers<TransformLines>(lines, channels, tiles, to, point_step);
}

void multiply_tiles(std::span<const TileTerm> terms, std::int64_t first, std::int64_t tiles,
                    std::int64_t width, float* c) {
  run_for_registers<Multiply>(terms, first, tiles, width, c);
}

void transform_output(const float* m, std::int64_t point_step, std::int64_t width, const TileOutput& out,
                      const float* bias, const ops::ConvEpilogue& epilogue) {
  run_for_registers<TransformOutput>(m, point_step, width, out, bias, epilogue);
}

}  // namespace lucid::direct
