#include "ops/direct/winograd_tiles.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

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

template <int M>
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
  static constexpr int kSide = M + 2;

  template <class V>
  [[gnu::always_inline]] static void transform(const TileLines& lines, std::int64_t channel,
                                               std::int64_t tiles, float* to, std::int64_t point_step) {
    V columns[kSide][kSide];  // transformed; tiles share two
    load_column(lines, channel, lines.first, columns[0]);
    load_column(lines, channel, lines.first + 1, columns[1]);
    for (std::int64_t t = 0; t < tiles; ++t, to += kTileChannels) {
#pragma GCC unroll 4
      for (int j = 2; j < kSide; ++j) load_column(lines, channel, lines.first + M * t + j, columns[j]);
#pragma GCC unroll 6
      for (int i = 0; i < kSide; ++i) {
        V row[kSide], points[kSide];
#pragma GCC unroll 6
        for (int j = 0; j < kSide; ++j) row[j] = columns[j][i];
        Filter<M>::input(row, points);
#pragma GCC unroll 6
        for (int j = 0; j < kSide; ++j) store(points[j], to + (kSide * i + j) * point_step);
        columns[0][i] = row[M];
        columns[1][i] = row[M + 1];
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
    Filter<M>::input(row, out);
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

template <int M, bool HasEpilogue>
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
  static constexpr int kSide = M + 2;

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
      Filter<M>::output(column, half);
#pragma GCC unroll 4
      for (int i = 0; i < M; ++i) rows[i][j] = half[i];
    }
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i) {
      if (i >= out.rows) return;
      V sums[M];
      Filter<M>::output(rows[i], sums);
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

template <int M>
struct TransformGrads {
  template <int Bytes>
  [[gnu::always_inline]] static void run(const TileGrads& grads, std::int64_t channels, std::int64_t tiles,
                                         float* to, std::int64_t point_step, std::int64_t width) {
    for_registers<Bytes>(
        channels, [&]<class V>(std::int64_t channel, const V&) __attribute__((always_inline)) {
          for (std::int64_t t = 0; t < tiles; ++t)
            transform<V>(grads, channel, M * t, to + t * width + channel, point_step);
        });
  }

 private:
  static constexpr int kSide = M + 2;

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
      Filter<M>::grads(row, points);
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
    Filter<M>::grads(row, out);
  }
};

}  // namespace

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

std::int64_t tiles_of_plane(const ops::ConvGeometry& geometry, TileSize size) {
  std::int64_t along[2] = {};
  for (std::size_t axis = 1; axis < 3; ++axis)
    for (const TileResidue& residue : residues_of(geometry, axis))
      along[axis - 1] += size.count(residue.count);
  return along[0] * along[1];
}

TileSize tile_size_for(const ops::ConvProblem& p, std::int64_t extra) {
  const auto products = [&](TileSize size) {
    return size.points() * (p.batch * p.geometry.y[0] * tiles_of_plane(p.geometry, size) + extra);
  };
  const TileSize small{2}, large{kMostOutputs};
  return products(large) < products(small) ? large : small;
}

TileLines tile_lines(TileSize tile, const ops::ConvProblem& p, const float* x, std::int64_t step,
                     std::int64_t plane, const TileResidue& height, std::int64_t first,
                     const TileResidue& width) {
  static constexpr float kOutside[kTileChannels] = {};
  const Dims3& size = p.geometry.x;
  TileLines out{{}, {}, width.x_count, -width.before};
  for (std::int64_t i = 0; i < tile.side(); ++i) {
    const std::int64_t line = first - height.before + i;
    const bool inside = line >= 0 && line < height.x_count;
    out.at[i] =
        inside
            ? x + ((plane * size[1] + height.x_start + line * height.step) * size[2] + width.x_start) * step
            : kOutside;
    out.step[i] = inside ? step * width.step : 0;
  }
  return out;
}

void transform_lines(TileSize size, const TileLines& lines, std::int64_t channels, std::int64_t tiles,
                     float* to, std::int64_t point_step) {
  if (size.outputs == 4)
    run_for_registers<TransformLines<4>>(lines, channels, tiles, to, point_step);
  else
    run_for_registers<TransformLines<2>>(lines, channels, tiles, to, point_step);
}

void multiply_tiles(std::span<const TileTerm> terms, std::int64_t first, std::int64_t tiles,
                    std::int64_t width, float* c) {
  run_for_registers<Multiply>(terms, first, tiles, width, c);
}

void transform_output(TileSize size, const float* m, std::int64_t point_step, std::int64_t width,
                      const TileOutput& out, const float* bias, const ops::ConvEpilogue& epilogue) {
  const auto transform = [&]<bool HasEpilogue>(std::bool_constant<HasEpilogue>) {
    if (size.outputs == 4)
      run_for_registers<TransformOutput<4, HasEpilogue>>(m, point_step, width, out, bias, epilogue);
    else
      run_for_registers<TransformOutput<2, HasEpilogue>>(m, point_step, width, out, bias, epilogue);
  };
  epilogue.is_nothing() ? transform(std::false_type{}) : transform(std::true_type{});
}

void transform_grads(TileSize size, const TileGrads& grads, std::int64_t channels, std::int64_t tiles,
                     float* to, std::int64_t point_step, std::int64_t width) {
  if (size.outputs == 4)
    run_for_registers<TransformGrads<4>>(grads, channels, tiles, to, point_step, width);
  else
    run_for_registers<TransformGrads<2>>(grads, channels, tiles, to, point_step, width);
}

}  // namespace lucid::direct
