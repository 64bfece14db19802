// A convolution in slabs is the convolution.

#include "ops/conv_slabs.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "conv_naive.hpp"
#include "ops/plan_stats.hpp"
#include "ops/samples.hpp"

using namespace lucid;
using naive::Form;
using ops::ConvPass;

namespace {

Tensor activation(const Shape& shape, DType dtype, Generator& generator) {
  return randn(shape, dtype, &generator).channels_last();
}

double worst_difference(const Tensor& a, const Tensor& b) {
  const auto as = a.to_vector<double>(), bs = b.to_vector<double>();
  double worst = 0;
  for (std::size_t i = 0; i < as.size(); ++i) {
    const double difference = std::abs(as[i] - bs[i]);
    worst = std::isfinite(difference) ? std::max(worst, difference) : INFINITY;
  }
  return worst;
}

// The produced operand, in pieces; begins as NaN, so that what is left out shows.
Tensor produced(const ops::ConvProblem& problem, ConvPass pass, Tensor x, Tensor w, Tensor y,
                const Tensor& bias, ops::SlabLimits limits) {
  Tensor& out = pass == ConvPass::x ? x : pass == ConvPass::w ? w : y;
  out = full(out.shape(), NAN, out.dtype());
  if (pass != ConvPass::w) out = out.channels_last();
  run_conv_in_slabs(problem, pass, x, w, y, pass == ConvPass::w ? Tensor() : bias, limits);
  return out;
}

}  // namespace

TEST_CASE("convolutions in slabs equal whole ones over random parameters") {
  Generator generator(5);
  std::int64_t split = 0;
  for (int draw = 0; draw < 120; ++draw) {
    const bool transposed = draw % 2 == 1;
    Dims3 output_padding = 0;
    const Form p = naive::draw(generator, transposed, &output_padding);
    const ops::ConvProblem problem{
        {3, transposed, p.groups, p.stride, p.padding, p.dilation, p.x, p.kernel, p.y},
        p.batch,
        p.x_channels / p.groups,
        p.y_channels / p.groups};
    const DType dtype = draw % 3 == 0 ? f32 : f64;
    const Tensor x = activation(p.x_shape(), dtype, generator), y = activation(p.y_shape(), dtype, generator),
                 w = randn(p.weight_shape(), dtype, &generator);
    for (const ConvPass pass : {ConvPass::x, ConvPass::w, ConvPass::y}) {
      CAPTURE(draw);
      CAPTURE(static_cast<int>(pass));
      const Tensor bias = randn({pass == ConvPass::x ? p.x_channels : p.y_channels}, dtype, &generator);
      const Tensor whole = produced(problem, pass, x, w, y, bias, {});
      for (const std::int64_t parts : {2, 7}) {
        reset_plan_stats();
        const std::int64_t most = std::max(x.numel(), y.numel()) / parts;
        const Tensor pieces = produced(problem, pass, x, w, y, bias, {most, most});
        split += plan_stats().runs > 1;
        CHECK(worst_difference(pieces, whole) <= (dtype == f32 ? 1e-3 : 1e-11));
      }
    }
  }
  CHECK(split > 400);
}
