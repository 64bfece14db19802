#include "ops/direct/winograd.hpp"

#include <algorithm>

#include "lucid/parallel.hpp"
#include "ops/direct/winograd_tiles.hpp"
#include "ops/kernels/elementwise.hpp"

namespace lucid::direct {
namespace {

using ops::ConvGeometry;
using ops::ConvProblem;

constexpr std::int64_t kBlockTiles = 32;  // whose products wait for their output transform: 32 or 64 KiB
constexpr std::int64_t kBandTiles = 64;   // that share the reading of a weight
constexpr std::int64_t kUnitsPerThread = 4;
// Between points, lest all 16 fall into one set of the first-level cache.
constexpr std::int64_t kApart = kTileChannels;

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
  const Tensor out = empty({kTilePoints, outputs / block, depth, inputs, block});
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
    tiles = ceil_div(rows * tiles_wide, kTileRows) * kTileRows;
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
        chunks_(p.x_channels / kTileChannels),
        weight_(weight.data<float>()),
        bias_(bias.data<float>()),
        epilogue_(epilogue),
        out_(out),
        transformed_(zeros({g_.kernel[0], chunks_, kTilePoints, point_step()})),
        products_(
            empty({kTilePoints, std::min(kBlockTiles, bands.tiles) * vectors * kTileChannels + kApart})),
        zeros_(zeros({kTileChannels})) {
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
  std::int64_t point_step() const { return bands_.tiles * kTileChannels + kApart; }
  float* transformed(std::int64_t depth, std::int64_t chunk) {
    return transformed_.mutable_data<float>() +
           (depth % g_.kernel[0] * chunks_ + chunk) * kTilePoints * point_step();
  }

  void transform_depth(std::int64_t depth) {
    std::int64_t chunk = 0;
    for (std::size_t part = 0; part < parts_.size(); ++part)
      for (std::int64_t c = 0; c < parts_[part]; c += kTileChannels, ++chunk)
        for (std::int64_t row = 0; row < row_count_; ++row)
          transform_lines(
              lines(inputs_[part] + c, parts_[part], depth, 2 * (first_row_ + row) - g_.padding[1]),
              bands_.tiles_wide, transformed(depth, chunk) + row * bands_.tiles_wide * kTileChannels,
              point_step());
  }

  // TileLines h to h + 3 at one depth of x, `channels` wide.
  TileLines lines(const float* x, std::int64_t channels, std::int64_t depth, std::int64_t h) const {
    TileLines out{{}, {}, g_.x[2], -g_.padding[2]};
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
    const std::int64_t block = vectors_ * kTileChannels, tiles = row_count_ * bands_.tiles_wide;
    const std::int64_t padded = ceil_div(tiles, kTileRows) * kTileRows;
    float* products = products_.mutable_data<float>();
    for (std::int64_t f = 0; f < p_.y_channels; f += block)
      for (std::int64_t first = 0; first < tiles; first += kBlockTiles) {
        const std::int64_t count = std::min(kBlockTiles, padded - first), step = count * block + kApart;
        for (std::int64_t point = 0; point < kTilePoints; ++point) {
          gather_terms(d, f / block, point);
          multiply_tiles(terms_, first, count, block, products + point * step);
        }
        for (std::int64_t t = first; t < std::min(first + count, tiles); ++t)
          transform_output(products + (t - first) * block, step, block, output(d, t, f), bias_ + f,
                           epilogue_);
      }
  }

  // What is summed over: the depth taps that meet x, and the chunks of channels.
  void gather_terms(std::int64_t d, std::int64_t block, std::int64_t point) {
    terms_.clear();
    const std::int64_t chunk_size = kTileChannels * vectors_ * kTileChannels;
    const std::int64_t blocks = p_.y_channels / (vectors_ * kTileChannels);
    for (std::int64_t kd = 0; kd < g_.kernel[0]; ++kd) {
      const std::int64_t depth = d - g_.padding[0] + kd;
      if (depth < 0 || depth >= g_.x[0]) continue;
      const float* b = weight_ + ((point * blocks + block) * g_.kernel[0] + kd) * chunks_ * chunk_size;
      for (std::int64_t chunk = 0; chunk < chunks_; ++chunk)
        terms_.push_back({transformed(depth, chunk) + point * point_step(), b + chunk * chunk_size});
    }
  }

  TileOutput output(std::int64_t d, std::int64_t tile, std::int64_t channel) const {
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
  std::vector<TileTerm> terms_;
  std::int64_t n_ = 0, first_row_ = 0, row_count_ = 0;  // the band
};

}  // namespace

bool Winograd::serves(const ConvProblem& p, std::span<const std::int64_t> parts) {
  const ConvGeometry& g = p.geometry;
  if (g.transposed || g.groups != 1 || g.kernel[1] != 3 || g.kernel[2] != 3) return false;
  for (std::size_t i = 0; i < 3; ++i)
    if (g.stride[i] != 1 || (g.dilation[i] != 1 && g.kernel[i] != 1)) return false;
  for (const std::int64_t channels : parts)
    if (channels % kTileChannels != 0) return false;
  return p.y_channels % kTileChannels == 0 && g.y[1] >= 2 && g.y[2] >= 2;
}

Winograd::Winograd(const ConvProblem& problem, std::span<const std::int64_t> parts, const Tensor& weight,
                   const Tensor& bias, const ops::ConvEpilogue& epilogue)
    : problem_(problem),
      parts_(parts.begin(), parts.end()),
      epilogue_(epilogue),
      vectors_(problem.y_channels % (2 * kTileChannels) == 0 ? 2 : 1),
      weight_(transformed_weight(problem, weight, vectors_ * kTileChannels)),
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
