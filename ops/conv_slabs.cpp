#include "ops/conv_slabs.hpp"

#include <algorithm>
#include <optional>

#include "ops/conv_plan.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/range.hpp"

namespace lucid::ops {
namespace {

// The part of an activation (N, C, D, H, W) along an axis; a view.
Tensor part(const Tensor& tensor, std::size_t axis, Range range) {
  Shape shape = tensor.shape();
  shape[axis] = range.size();
  return alias(tensor, shape, tensor.strides(), tensor.offset() + range.begin * tensor.strides()[axis]);
}

// What one piece works on.
struct Piece {
  ConvProblem problem;
  Tensor x, y;

  bool fits(std::int64_t most) const { return x.numel() <= most && y.numel() <= most; }
};

Piece samples(const Piece& whole, Range range) {
  Piece out{whole.problem, part(whole.x, 0, range), part(whole.y, 0, range)};
  out.problem.batch = range.size();
  return out;
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b != 0 && a < 0); }

// Depths of x that the kernels at depths `y` of y touch: position i and tap k meet x at i * stride + k *
// dilation - padding.
Range touched_x(const ConvGeometry& g, Range y) {
  const std::int64_t first = y.begin * g.stride[0] - g.padding[0];
  const std::int64_t last = (y.end - 1) * g.stride[0] + (g.kernel[0] - 1) * g.dilation[0] - g.padding[0];
  return {std::max<std::int64_t>(first, 0), std::min(last + 1, g.x[0])};
}

// Depths of y whose kernels touch depths `x` of x, begun early enough that padding stays positive.
Range touching_y(const ConvGeometry& g, Range x) {
  const std::int64_t reach = (g.kernel[0] - 1) * g.dilation[0];
  const std::int64_t first = -floor_div(-(x.begin + g.padding[0] - reach), g.stride[0]);
  const std::int64_t latest = floor_div(x.begin + g.padding[0], g.stride[0]);
  const std::int64_t end = floor_div(x.end - 1 + g.padding[0], g.stride[0]) + 1;
  return {std::max<std::int64_t>(std::min(first, latest), 0), std::min(end, g.y[0])};
}

// The depths `produced` of x or y, or for a weight those of y; nothing when they touch nothing.
std::optional<Piece> slab(const Piece& whole, ConvPass pass, Range produced) {
  const ConvGeometry& g = whole.problem.geometry;
  const Range y = pass == ConvPass::x ? touching_y(g, produced) : produced;
  const Range x = pass == ConvPass::x ? produced : touched_x(g, produced);
  if (x.size() < 1 || y.size() < 1) return std::nullopt;
  Piece out{whole.problem, part(whole.x, 2, x), part(whole.y, 2, y)};
  out.problem.geometry.x[0] = x.size();
  out.problem.geometry.y[0] = y.size();
  out.problem.geometry.padding[0] = g.padding[0] - y.begin * g.stride[0] + x.begin;
  return out;
}

// Both halves, of samples or of depths; nothing when there is no split.
std::optional<std::pair<Piece, Piece>> halves(const Piece& piece, ConvPass pass) {
  const std::int64_t batch = piece.problem.batch;
  if (batch > 1) return std::pair(samples(piece, {0, batch / 2}), samples(piece, {batch / 2, batch}));
  const ConvGeometry& g = piece.problem.geometry;
  const std::int64_t depth = pass == ConvPass::x ? g.x[0] : g.y[0];
  if (depth < 2) return std::nullopt;
  const auto first = slab(piece, pass, {0, depth / 2}), second = slab(piece, pass, {depth / 2, depth});
  if (!first || !second) return std::nullopt;
  return std::pair(*first, *second);
}

class Runner {
 public:
  Runner(ConvPass pass, const Tensor& weight, const Tensor& bias, std::int64_t most)
      : pass_(pass), weight_(weight), bias_(bias), most_(most) {}

  void run(const Piece& piece) {
    const auto split = piece.fits(most_) ? std::nullopt : halves(piece, pass_);
    if (split) {
      run(split->first);
      run(split->second);
    } else if (pass_ == ConvPass::w && is_begun_) {
      const Tensor share = empty(weight_.shape(), weight_.dtype());
      run_conv(piece.problem, pass_, piece.x, share, piece.y);
      add(share);
    } else {
      run_conv(piece.problem, pass_, piece.x, weight_, piece.y, bias_);
    }
    is_begun_ = true;
  }

 private:
  void add(const Tensor& share) {
    dispatch_floating("convolution", weight_.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      kernels::map<T, T, T>(weight_, weight_, share, [](auto a, auto b) { return a + b; });
    });
  }

  ConvPass pass_;
  const Tensor& weight_;
  const Tensor& bias_;
  std::int64_t most_;
  bool is_begun_ = false;
};

}  // namespace

void run_conv_in_slabs(const ConvProblem& problem, ConvPass pass, const Tensor& x, const Tensor& weight,
                       const Tensor& y, const Tensor& bias, SlabLimits limits) {
  const Piece whole{problem, x, y};
  Runner(pass, weight, bias, whole.fits(limits.whole) ? limits.whole : limits.piece).run(whole);
}

}  // namespace lucid::ops
