#include "ops/direct/winograd_tiles.hpp"

#include <algorithm>
#include <cstring>

#include "ops/direct/rows.hpp"
#include "ops/direct/winograd_filter.hpp"
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

template <class F>
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
  static constexpr int kSide = F::kSide, kShared = F::kTaps - 1;  // columns of two tiles

  template <class V>
  [[gnu::always_inline]] static void transform(const TileLines& lines, std::int64_t channel,
                                               std::int64_t tiles, float* to, std::int64_t point_step) {
    V columns[kSide][kSide];  // transformed
#pragma GCC unroll 4
    for (int j = 0; j < kShared; ++j) load_column(lines, channel, lines.first + j, columns[j]);
    for (std::int64_t t = 0; t < tiles; ++t, to += kTileChannels) {
#pragma GCC unroll 4
      for (int j = kShared; j < kSide; ++j)
        load_column(lines, channel, lines.first + F::kOutputs * t + j, columns[j]);
#pragma GCC unroll 6
      for (int i = 0; i < kSide; ++i) {
        V row[kSide], points[kSide];
#pragma GCC unroll 6
        for (int j = 0; j < kSide; ++j) row[j] = columns[j][i];
        F::input(row, points);
#pragma GCC unroll 6
        for (int j = 0; j < kSide; ++j) store(points[j], to + (kSide * i + j) * point_step);
#pragma GCC unroll 4
        for (int j = 0; j < kShared; ++j) columns[j][i] = row[F::kOutputs + j];
      }
    }
  }
  template <class V>
  [[gnu::always_inline]] static void load_column(const TileLines& lines, std::int64_t channel,
                                                 std::int64_t column, V (&out)[kSide]) {
    if (column < 0 || column >= lines.columns) {
#pragma GCC unroll 6
      for (int i = 0; i < kSide; ++i) out[i] = V{};
      return;
    }
    V row[kSide];
#pragma GCC unroll 6
    for (int i = 0; i < kSide; ++i) load(lines.at[i] + column * lines.step[i] + channel, row[i]);
    F::input(row, out);
  }
};

// ---- products ----

struct Multiply {
  template <int Bytes>
  [[gnu::always_inline]] static void run(std::span<const TileTerm> terms, std::int64_t first,
                                         std::int64_t tiles, std::int64_t width, float* c) {
    if constexpr (Bytes == kWideRegister) {
      if (width == kHalfChunk) return columns<kNarrowRegister, 8, 8, 1>(terms, first, tiles, width, c);
      if (width == kTileChannels) return columns<Bytes, 16, 8, 1>(terms, first, tiles, width, c);
    } else if (width == Bytes / 4) {
      return columns<Bytes, 8, 8, 1>(terms, first, tiles, width, c);
    }
    if constexpr (has_32_registers(Bytes))
      columns<Bytes, 8, 8, 2>(terms, first, tiles, width, c);
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

template <class F, bool HasEpilogue>
struct TransformOutputs {
  template <int Bytes>
  [[gnu::always_inline]] static void run(const float* m, std::int64_t point_step, std::int64_t width,
                                         std::span<const TileOutput> tiles, std::int64_t offset,
                                         const float* bias, const ops::ConvEpilogue& epilogue) {
    for (TileOutput out : tiles) {
      out.at += offset;
      for_registers<Bytes>(
          width, [&]<class V>(std::int64_t channel, const V&) __attribute__((always_inline)) {
            transform<V>(m + channel, point_step, out, channel, bias, epilogue);
          });
      m += width;
    }
  }

 private:
  static constexpr int M = F::kOutputs, kSide = F::kSide;

  template <class V>
  [[gnu::always_inline]] static void transform(const float* m, std::int64_t point_step, const TileOutput& out,
                                               std::int64_t channel, const float* bias,
                                               const ops::ConvEpilogue& epilogue) {
    V rows[M][kSide], shift;
    load(bias + channel, shift);
#pragma GCC unroll 6
    for (int j = 0; j < kSide; ++j) {
      V column[kSide], half[M];
#pragma GCC unroll 6
      for (int i = 0; i < kSide; ++i) load(m + (kSide * i + j) * point_step, column[i]);
      F::output(column, half);
#pragma GCC unroll 4
      for (int i = 0; i < M; ++i) rows[i][j] = half[i];
    }
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i) {
      if (i >= out.rows) return;
      V sums[M];
      F::output(rows[i], sums);
#pragma GCC unroll 4
      for (int j = 0; j < M; ++j)
        if (j < out.columns)
          finish(sums[j], shift, epilogue, out.at + channel + i * out.row + j * out.column);
    }
  }
  template <class V>
  [[gnu::always_inline]] static void finish(const V& sum, const V& bias, const ops::ConvEpilogue& epilogue,
                                            float* to) {
    const kernels::Rectifier& r = epilogue.rectifier;
    V value = sum + bias;
    if (!HasEpilogue) return store(value, to);
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

// ---- the weight's gradient: A g A^T ----

template <class F>
struct TransformGrads {
  template <int Bytes>
  [[gnu::always_inline]] static void run(const TileGrads& grads, std::int64_t channels, std::int64_t tiles,
                                         float* to, std::int64_t point_step, std::int64_t width) {
    for_registers<Bytes>(
        channels, [&]<class V>(std::int64_t channel, const V&) __attribute__((always_inline)) {
          for (std::int64_t t = 0; t < tiles; ++t)
            transform<V>(grads, channel, F::kOutputs * t, to + t * width + channel, point_step);
        });
  }

 private:
  static constexpr int M = F::kOutputs, kSide = F::kSide;

  template <class V>
  [[gnu::always_inline]] static void transform(const TileGrads& grads, std::int64_t channel,
                                               std::int64_t first, float* to, std::int64_t point_step) {
    V columns[M][kSide];
#pragma GCC unroll 4
    for (int j = 0; j < M; ++j) load_column<V>(grads, channel, first + j, columns[j]);
#pragma GCC unroll 6
    for (int i = 0; i < kSide; ++i) {
      V row[M], points[kSide];
#pragma GCC unroll 4
      for (int j = 0; j < M; ++j) row[j] = columns[j][i];
      F::grads(row, points);
#pragma GCC unroll 6
      for (int j = 0; j < kSide; ++j) store(points[j], to + (kSide * i + j) * point_step);
    }
  }
  template <class V>
  [[gnu::always_inline]] static void load_column(const TileGrads& grads, std::int64_t channel,
                                                 std::int64_t column, V (&out)[kSide]) {
    V row[M];
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i)
      if (column < grads.columns && grads.at[i])
        load(grads.at[i] + column * grads.step + channel, row[i]);
      else
        row[i] = V{};
    F::grads(row, out);
  }
};

}  // namespace

TileLines tile_lines(TileSize tile, const float* plane, std::int64_t step, const Dims3& sizes,
                     const TilePhase& height, std::int64_t first, const TilePhase& width) {
  static constexpr float kOutside[kTileChannels] = {};
  TileLines out{{}, {}, width.count, -width.before};
  for (std::int64_t i = 0; i < tile.side(); ++i) {
    const std::int64_t line = first - height.before + i;
    const bool inside = line >= 0 && line < height.count;
    out.at[i] =
        inside ? plane + ((height.start + line * height.step) * sizes[2] + width.start) * step : kOutside;
    out.step[i] = inside ? step * width.step : 0;
  }
  return out;
}

void transform_lines(TileSize size, const TileLines& lines, std::int64_t channels, std::int64_t tiles,
                     float* to, std::int64_t point_step) {
  with_filter(size, [&]<class F>(F) {
    run_for_registers<TransformLines<F>>(lines, channels, tiles, to, point_step);
  });
}

void multiply_tiles(std::span<const TileTerm> terms, std::int64_t first, std::int64_t tiles,
                    std::int64_t width, float* c) {
  run_for_registers<Multiply>(terms, first, tiles, width, c);
}

void transform_outputs(TileSize size, const float* m, std::int64_t point_step, std::int64_t width,
                       std::span<const TileOutput> tiles, std::int64_t offset, const float* bias,
                       const ops::ConvEpilogue& epilogue) {
  with_filter(size, [&]<class F>(F) {
    if (epilogue.is_nothing())
      run_for_registers<TransformOutputs<F, false>>(m, point_step, width, tiles, offset, bias, epilogue);
    else
      run_for_registers<TransformOutputs<F, true>>(m, point_step, width, tiles, offset, bias, epilogue);
  });
}

void transform_grads(TileSize size, const TileGrads& grads, std::int64_t channels, std::int64_t tiles,
                     float* to, std::int64_t point_step, std::int64_t width) {
  with_filter(size, [&]<class F>(F) {
    run_for_registers<TransformGrads<F>>(grads, channels, tiles, to, point_step, width);
  });
}

}  // namespace lucid::direct
