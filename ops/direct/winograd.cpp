#include "ops/direct/winograd.hpp"

#include <algorithm>
#include <cstring>

#include "lucid/parallel.hpp"
#include "ops/kernels/elementwise.hpp"

namespace lucid::direct {
namespace {

using ops::ConvGeometry;
using ops::ConvProblem;

constexpr std::int64_t kLanes = 16;   // channels in a vector, and in a chunk of inputs
constexpr std::int64_t kPoints = 16;  // of the transformed 4x4 tile
constexpr std::int64_t kRows = 8;     // tiles that a product works on at once
constexpr std::int64_t kBlockTiles =
    32;                                  // tiles whose products wait for their output transform: 32 or 64 KiB
constexpr std::int64_t kBandTiles = 64;  // tiles that share the reading of a weight
constexpr std::int64_t kUnitsPerThread = 4;
constexpr std::int64_t kApart =
    kLanes;  // between points, lest all 16 fall into one set of the first-level cache

typedef float Lanes __attribute__((vector_size(64)));

[[gnu::always_inline]] inline void load(const float* from, Lanes& to) {
  std::memcpy(&to, from, sizeof(Lanes));
}
[[gnu::always_inline]] inline void store(const Lanes& from, float* to) {
  std::memcpy(to, &from, sizeof(Lanes));
}

// ---- input: B^T d B for each tile ----

// Four lines of input that a row of tiles reads, of one chunk of channels. A line outside of the input is
// zeros with a step of 0.
struct Lines {
  const float* at[4];
  std::int64_t step[4];  // elements between columns
  std::int64_t columns;  // of the input
  std::int64_t first;    // the column that the first tile begins at
};

[[gnu::always_inline]] inline void load_column(const Lines& lines, std::int64_t column, Lanes out[4]) {
  if (column < 0 || column >= lines.columns) {
    for (int i = 0; i < 4; ++i) out[i] = Lanes{};
    return;
  }
  Lanes row[4];
  for (int i = 0; i < 4; ++i) load(lines.at[i] + column * lines.step[i], row[i]);
  out[0] = row[0] - row[2];
  out[1] = row[1] + row[2];
  out[2] = row[2] - row[1];
  out[3] = row[1] - row[3];
}

// Writes tile t's point p to to[p * point_step + t * kLanes].
LUCID_VECTORIZED void transform_lines(const Lines& lines, std::int64_t tiles, float* to,
                                      std::int64_t point_step) {
  Lanes a[4], b[4], c[4], d[4];
  load_column(lines, lines.first, a);
  load_column(lines, lines.first + 1, b);
  for (std::int64_t t = 0; t < tiles; ++t, to += kLanes) {
    load_column(lines, lines.first + 2 * t + 2, c);
    load_column(lines, lines.first + 2 * t + 3, d);
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

// ---- products ----

// One chunk of inputs: a[tile * kLanes + k] times b[k * outputs + j].
struct Term {
  const float* a;
  const float* b;
};

// c[r][j] = sum over terms, for R tiles and V vectors of outputs.
template <int R, int V>
[[gnu::always_inline]] inline void product(const Term* terms, std::int64_t count, std::int64_t tile,
                                           float* c) {
  Lanes sums[R][V] = {};
  for (std::int64_t s = 0; s < count; ++s) {
    const float *a = terms[s].a + tile * kLanes, *b = terms[s].b;
    for (std::int64_t k = 0; k < kLanes; ++k, ++a, b += V * kLanes) {
      Lanes row[V];
      for (int v = 0; v < V; ++v) load(b + v * kLanes, row[v]);
      for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) sums[r][v] += a[r * kLanes] * row[v];
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) store(sums[r][v], c + (r * V + v) * kLanes);
}

// Of `tiles` tiles, a multiple of kRows, from tile `first` on; c is [tile][output].
template <int V>
LUCID_VECTORIZED void multiply(const Term* terms, std::int64_t count, std::int64_t first, std::int64_t tiles,
                               float* c) {
  constexpr int kMost = V == 1 ? 16 : 8;  // sums that fill the registers
  std::int64_t t = 0;
  for (; t + kMost <= tiles; t += kMost) product<kMost, V>(terms, count, first + t, c + t * V * kLanes);
  for (; t < tiles; t += kRows) product<kRows, V>(terms, count, first + t, c + t * V * kLanes);
}

// ---- output: A^T m A for each tile, and what follows ----

struct Output {
  float* at;                 // of the tile's first voxel, and of the first channel of the block
  std::int64_t row, column;  // elements between voxels
  bool two_rows, two_columns;
};

[[gnu::always_inline]] inline void finish(const Lanes& sum, const Lanes& bias,
                                          const ops::ConvEpilogue& epilogue, float* to) {
  const kernels::Rectifier& r = epilogue.rectifier;
  Lanes value = sum + bias;
  if (epilogue.accumulate) {
    Lanes before;
    load(to, before);
    value += before;
  }
  value = value > 0.0f ? value : value * r.slope;
  value = value < r.low ? Lanes{} + r.low : value;
  value = value > r.high ? Lanes{} + r.high : value;
  store(value, to);
}

// m: the tile's first product; products of one point are point_step apart.
LUCID_VECTORIZED void transform_output(const float* m, std::int64_t point_step, std::int64_t vectors,
                                       const Output& out, const float* bias,
                                       const ops::ConvEpilogue& epilogue) {
  for (std::int64_t v = 0; v < vectors; ++v, m += kLanes) {
    Lanes upper[4], lower[4], shift;
    load(bias + v * kLanes, shift);
    for (int j = 0; j < 4; ++j) {
      Lanes a, b, c, d;
      load(m + j * point_step, a);
      load(m + (4 + j) * point_step, b);
      load(m + (8 + j) * point_step, c);
      load(m + (12 + j) * point_step, d);
      upper[j] = a + b + c;
      lower[j] = b - c - d;
    }
    float* to = out.at + v * kLanes;
    finish(upper[0] + upper[1] + upper[2], shift, epilogue, to);
    if (out.two_columns) finish(upper[1] - upper[2] - upper[3], shift, epilogue, to + out.column);
    if (!out.two_rows) continue;
    finish(lower[0] + lower[1] + lower[2], shift, epilogue, to + out.row);
    if (out.two_columns) finish(lower[1] - lower[2] - lower[3], shift, epilogue, to + out.row + out.column);
  }
}

// ---- weight: G g G^T ----

void transform_taps(const double g[3][3], double out[4][4]) {
  double half[4][3];
  for (int j = 0; j < 3; ++j) {
    half[0][j] = g[0][j];
    half[1][j] = (g[0][j] + g[1][j] + g[2][j]) / 2;
    half[2][j] = (g[0][j] - g[1][j] + g[2][j]) / 2;
    half[3][j] = g[2][j];
  }
  for (int i = 0; i < 4; ++i) {
    const double* h = half[i];
    out[i][0] = h[0];
    out[i][1] = (h[0] + h[1] + h[2]) / 2;
    out[i][2] = (h[0] - h[1] + h[2]) / 2;
    out[i][3] = h[2];
  }
}

Tensor transformed_weight(const ConvProblem& p, const Tensor& weight, std::int64_t block) {
  const std::int64_t depth = p.geometry.kernel[0], inputs = p.x_channels, outputs = p.y_channels;
  const Tensor out = empty({kPoints, outputs / block, depth, inputs, block});
  const float* from = weight.data<float>();
  float* to = out.mutable_data<float>();
  const Strides& s = weight.strides();
  const std::int64_t point_step = outputs * depth * inputs;
  parallel_for(outputs, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t f = begin; f < end; ++f)
      for (std::int64_t kd = 0; kd < depth; ++kd)
        for (std::int64_t c = 0; c < inputs; ++c) {
          const float* taps = from + f * s[0] + c * s[1] + kd * s[2];
          double g[3][3], u[4][4];
          for (int i = 0; i < 3; ++i)
            for (int j = 0; j < 3; ++j) g[i][j] = taps[i * s[3] + j * s[4]];
          transform_taps(g, u);
          float* at = to + (((f / block) * depth + kd) * inputs + c) * block + f % block;
          for (int i = 0; i < 4; ++i)
            for (int j = 0; j < 4; ++j) at[(4 * i + j) * point_step] = static_cast<float>(u[i][j]);
        }
  });
  return out;
}

// ---- the walk ----

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// How a result is cut into bands of tile rows, and those into runs of depths.
struct Bands {
  explicit Bands(const ConvProblem& p) {
    const ConvGeometry& g = p.geometry;
    tiles_high = ceil_div(g.y[1], 2);
    tiles_wide = ceil_div(g.y[2], 2);
    rows = std::clamp<std::int64_t>(kBandTiles / tiles_wide, 1, tiles_high);
    tiles = ceil_div(rows * tiles_wide, kRows) * kRows;
    bands = ceil_div(tiles_high, rows);
    const std::int64_t wanted = ceil_div(kUnitsPerThread * num_threads(), bands * p.batch);
    depths = ceil_div(g.y[0], std::clamp<std::int64_t>(wanted, 1, g.y[0]));
    runs = ceil_div(g.y[0], depths);
  }
  std::int64_t tiles_high, tiles_wide;
  std::int64_t rows, bands;   // tile rows in a band
  std::int64_t tiles;         // of a band, rounded up
  std::int64_t depths, runs;  // depths in a run
};

// One thread's walk through bands.
class Walk {
 public:
  Walk(const ConvProblem& p, const Bands& bands, std::span<const std::int64_t> parts,
       std::span<const Tensor> inputs, std::int64_t vectors, const Tensor& weight, const Tensor& bias,
       const ops::ConvEpilogue& epilogue, float* out)
      : p_(p),
        g_(p.geometry),
        bands_(bands),
        parts_(parts),
        vectors_(vectors),
        chunks_(p.x_channels / kLanes),
        weight_(weight.data<float>()),
        bias_(bias.data<float>()),
        epilogue_(epilogue),
        out_(out),
        transformed_(zeros({g_.kernel[0], chunks_, kPoints, point_step()})),
        products_(empty({kPoints, std::min(kBlockTiles, bands.tiles) * vectors * kLanes + kApart})),
        zeros_(zeros({kLanes})) {
    for (const Tensor& input : inputs) inputs_.push_back(input.data<float>());
    terms_.reserve(static_cast<std::size_t>(g_.kernel[0] * chunks_));
  }

  void run(std::int64_t unit) {
    const std::int64_t run = unit % bands_.runs, band = unit / bands_.runs % bands_.bands;
    n_ = unit / bands_.runs / bands_.bands;
    first_row_ = band * bands_.rows;
    row_count_ = std::min(bands_.rows, bands_.tiles_high - first_row_);
    const std::int64_t begin = run * bands_.depths, end = std::min(begin + bands_.depths, g_.y[0]);
    std::int64_t ready =
        std::max<std::int64_t>(begin - g_.padding[0], 0);  // depths of x before this are there
    for (std::int64_t d = begin; d < end; ++d) {
      const std::int64_t last = std::min(d - g_.padding[0] + g_.kernel[0], g_.x[0]);
      for (; ready < last; ++ready) transform_depth(ready);
      produce(d);
    }
  }

 private:
  std::int64_t point_step() const { return bands_.tiles * kLanes + kApart; }
  float* transformed(std::int64_t depth, std::int64_t chunk) {
    return transformed_.mutable_data<float>() +
           (depth % g_.kernel[0] * chunks_ + chunk) * kPoints * point_step();
  }

  void transform_depth(std::int64_t depth) {
    std::int64_t chunk = 0;
    for (std::size_t part = 0; part < parts_.size(); ++part)
      for (std::int64_t c = 0; c < parts_[part]; c += kLanes, ++chunk)
        for (std::int64_t row = 0; row < row_count_; ++row)
          transform_lines(
              lines(inputs_[part] + c, parts_[part], depth, 2 * (first_row_ + row) - g_.padding[1]),
              bands_.tiles_wide, transformed(depth, chunk) + row * bands_.tiles_wide * kLanes, point_step());
  }

  // Lines h to h + 3 at one depth of x, `channels` wide.
  Lines lines(const float* x, std::int64_t channels, std::int64_t depth, std::int64_t h) const {
    Lines out{{}, {}, g_.x[2], -g_.padding[2]};
    for (std::int64_t i = 0; i < 4; ++i) {
      const bool inside = h + i >= 0 && h + i < g_.x[1];
      out.at[i] =
          inside ? x + ((n_ * g_.x[0] + depth) * g_.x[1] + h + i) * g_.x[2] * channels : zeros_.data<float>();
      out.step[i] = inside ? channels : 0;
    }
    return out;
  }

  // Depth d of the result, of the band.
  void produce(std::int64_t d) {
    const std::int64_t block = vectors_ * kLanes, tiles = row_count_ * bands_.tiles_wide;
    const std::int64_t padded = ceil_div(tiles, kRows) * kRows;
    float* products = products_.mutable_data<float>();
    for (std::int64_t f = 0; f < p_.y_channels; f += block)
      for (std::int64_t first = 0; first < tiles; first += kBlockTiles) {
        const std::int64_t count = std::min(kBlockTiles, padded - first), step = count * block + kApart;
        for (std::int64_t point = 0; point < kPoints; ++point) {
          gather_terms(d, f / block, point);
          const auto terms = static_cast<std::int64_t>(terms_.size());
          float* to = products + point * step;
          vectors_ == 1 ? multiply<1>(terms_.data(), terms, first, count, to)
                        : multiply<2>(terms_.data(), terms, first, count, to);
        }
        for (std::int64_t t = first; t < std::min(first + count, tiles); ++t)
          transform_output(products + (t - first) * block, step, vectors_, output(d, t, f), bias_ + f,
                           epilogue_);
      }
  }

  // What is summed over: the depth taps that meet x, and the chunks of channels.
  void gather_terms(std::int64_t d, std::int64_t block, std::int64_t point) {
    terms_.clear();
    const std::int64_t chunk_size = kLanes * vectors_ * kLanes;
    const std::int64_t blocks = p_.y_channels / (vectors_ * kLanes);
    for (std::int64_t kd = 0; kd < g_.kernel[0]; ++kd) {
      const std::int64_t depth = d - g_.padding[0] + kd;
      if (depth < 0 || depth >= g_.x[0]) continue;
      const float* b = weight_ + ((point * blocks + block) * g_.kernel[0] + kd) * chunks_ * chunk_size;
      for (std::int64_t chunk = 0; chunk < chunks_; ++chunk)
        terms_.push_back({transformed(depth, chunk) + point * point_step(), b + chunk * chunk_size});
    }
  }

  Output output(std::int64_t d, std::int64_t tile, std::int64_t channel) const {
    const std::int64_t h = 2 * (first_row_ + tile / bands_.tiles_wide), w = 2 * (tile % bands_.tiles_wide);
    const std::int64_t row = g_.y[2] * p_.y_channels;
    float* at = out_ + ((n_ * g_.y[0] + d) * g_.y[1] + h) * row + w * p_.y_channels + channel;
    return {at, row, p_.y_channels, h + 1 < g_.y[1], w + 1 < g_.y[2]};
  }

  const ConvProblem& p_;
  const ConvGeometry& g_;
  const Bands& bands_;
  std::span<const std::int64_t> parts_;
  std::int64_t vectors_, chunks_;
  const float *weight_, *bias_;
  const ops::ConvEpilogue& epilogue_;
  float* out_;
  Tensor transformed_;  // [depth modulo kernel][chunk][point][tile][channel]
  Tensor products_;     // [point][tile][output]
  Tensor zeros_;
  std::vector<const float*> inputs_;
  std::vector<Term> terms_;
  std::int64_t n_ = 0, first_row_ = 0, row_count_ = 0;  // the band
};

bool has_wide_registers() {
#if defined(__x86_64__) && defined(__GNUC__)
  return __builtin_cpu_supports("avx512f");
#else
  return false;
#endif
}

}  // namespace

bool Winograd::serves(const ConvProblem& p, std::span<const std::int64_t> parts) {
  const ConvGeometry& g = p.geometry;
  if (g.transposed || g.groups != 1 || g.kernel[1] != 3 || g.kernel[2] != 3 || !has_wide_registers())
    return false;
  for (std::size_t i = 0; i < 3; ++i)
    if (g.stride[i] != 1 || (g.dilation[i] != 1 && g.kernel[i] != 1)) return false;
  for (const std::int64_t channels : parts)
    if (channels % kLanes != 0) return false;
  return p.y_channels % kLanes == 0 && g.y[1] >= 2 && g.y[2] >= 2;
}

Winograd::Winograd(const ConvProblem& problem, std::span<const std::int64_t> parts, const Tensor& weight,
                   const Tensor& bias, const ops::ConvEpilogue& epilogue)
    : problem_(problem),
      parts_(parts.begin(), parts.end()),
      epilogue_(epilogue),
      vectors_(problem.y_channels % (2 * kLanes) == 0 ? 2 : 1),
      weight_(transformed_weight(problem, weight, vectors_ * kLanes)),
      bias_(zeros({problem.y_channels})) {
  if (bias.defined()) kernels::copy(bias_, bias);
}

void Winograd::run(std::span<const Tensor> inputs, const Tensor& out) const {
  const Bands bands(problem_);
  float* y = out.mutable_data<float>();
  parallel_for(problem_.batch * bands.bands * bands.runs, 1, [&](std::int64_t begin, std::int64_t end) {
    Walk walk(problem_, bands, parts_, inputs, vectors_, weight_, bias_, epilogue_, y);
    for (std::int64_t unit = begin; unit < end; ++unit) walk.run(unit);
  });
}

}  // namespace lucid::direct
