#pragma once
// Convolutions written down as their definition: double loops over every index, no cleverness. Used only to
// check the real ones.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "lucid/random.hpp"
#include "lucid/tensor.hpp"
#include "ops/conv_problem.hpp"
#include "ops/dims.hpp"

namespace lucid::naive {

struct Form {
  std::int64_t batch, x_channels, y_channels, groups;
  Dims3 stride, padding, dilation, x, kernel, y;

  Shape x_shape() const { return {batch, x_channels, x[0], x[1], x[2]}; }
  Shape y_shape() const { return {batch, y_channels, y[0], y[1], y[2]}; }
  Shape weight_shape() const { return {y_channels, x_channels / groups, kernel[0], kernel[1], kernel[2]}; }
};

/// Calls f(index into x, into w, into y), all row-major, for every product of
///   sum x[n, c, i * stride + k * dilation - padding] * w[f, c, k] * y[n, f, i].
template <class F>
void for_products(const Form& p, F&& f) {
  const auto size = [](const Dims3& s) { return s[0] * s[1] * s[2]; };
  const std::int64_t cx = p.x_channels / p.groups, cy = p.y_channels / p.groups;
  // Calls next(position in x, tap, position in y) along an axis.
  const auto visit_axis = [&p](std::size_t axis, auto&& next) {
    for (std::int64_t k = 0; k < p.kernel[axis]; ++k)
      for (std::int64_t i = 0; i < p.y[axis]; ++i) {
        const std::int64_t at = i * p.stride[axis] + k * p.dilation[axis] - p.padding[axis];
        if (at >= 0 && at < p.x[axis]) next(at, k, i);
      }
  };
  const auto visit_channels = [&](std::int64_t x, std::int64_t w, std::int64_t y) {
    visit_axis(0, [&](auto xd, auto kd, auto yd) {
      visit_axis(1, [&](auto xh, auto kh, auto yh) {
        const std::int64_t x_line = x + (xd * p.x[1] + xh) * p.x[2], y_line = y + (yd * p.y[1] + yh) * p.y[2],
                           w_line = w + (kd * p.kernel[1] + kh) * p.kernel[2];
        visit_axis(2, [&](auto xw, auto kw, auto yw) { f(x_line + xw, w_line + kw, y_line + yw); });
      });
    });
  };
  for (std::int64_t n = 0; n < p.batch; ++n)
    for (std::int64_t c = 0; c < p.x_channels; ++c)
      for (std::int64_t o = c / cx * cy; o < (c / cx + 1) * cy; ++o)
        visit_channels((n * p.x_channels + c) * size(p.x), (o * cx + c % cx) * size(p.kernel),
                       (n * p.y_channels + o) * size(p.y));
}

inline Tensor y_of(const Form& p, const Tensor& x, const Tensor& w) {
  const auto xs = x.to_vector<double>(), ws = w.to_vector<double>();
  std::vector<double> ys(static_cast<std::size_t>(checked_numel("naive", p.y_shape())));
  for_products(p, [&](auto i, auto j, auto k) { ys[k] += xs[i] * ws[j]; });
  return Tensor::from(ys, p.y_shape());
}

inline Tensor x_of(const Form& p, const Tensor& y, const Tensor& w) {
  const auto ys = y.to_vector<double>(), ws = w.to_vector<double>();
  std::vector<double> xs(static_cast<std::size_t>(checked_numel("naive", p.x_shape())));
  for_products(p, [&](auto i, auto j, auto k) { xs[i] += ys[k] * ws[j]; });
  return Tensor::from(xs, p.x_shape());
}

inline Tensor w_of(const Form& p, const Tensor& x, const Tensor& y) {
  const auto xs = x.to_vector<double>(), ys = y.to_vector<double>();
  std::vector<double> ws(static_cast<std::size_t>(checked_numel("naive", p.weight_shape())));
  for_products(p, [&](auto i, auto j, auto k) { ws[j] += xs[i] * ys[k]; });
  return Tensor::from(ws, p.weight_shape());
}

/// A draw of parameters that a convolution accepts (`transposed` false) or a transposed one (true). Strides
/// beyond the kernel, dilation, groups, output padding and sizes of 1 all occur; channels are often not a
/// multiple of a vector.
inline Form draw(Generator& generator, bool transposed, Dims3* output_padding) {
  const auto pick = [&](std::initializer_list<std::int64_t> values) {
    const auto at = static_cast<std::size_t>(generator.uniform(0, static_cast<double>(values.size())));
    return values.begin()[at];
  };
  Form p{};
  p.batch = pick({1, 1, 2, 3});
  p.groups = pick({1, 1, 1, 2, 3});
  p.x_channels = p.groups * pick({1, 2, 3, 5, 8, 16, 17});
  p.y_channels = p.groups * pick({1, 2, 3, 5, 8, 16, 19});
  for (std::size_t i = 0; i < 3; ++i) {
    p.stride[i] = pick({1, 1, 2, 3});
    p.kernel[i] = pick({1, 2, 3, 4});
    p.dilation[i] = pick({1, 1, 2, 3});
    const std::int64_t span = p.dilation[i] * (p.kernel[i] - 1) + 1;
    if (transposed) {
      p.y[i] = pick({1, 2, 3, 5});
      (*output_padding)[i] = pick({0, 0, 1, 2}) % std::max(p.stride[i], p.dilation[i]);
      const std::int64_t full = p.stride[i] * (p.y[i] - 1) + span + (*output_padding)[i];
      p.padding[i] = std::min(pick({0, 0, 1, 2, 3}), (full - 1) / 2);
      p.x[i] = full - 2 * p.padding[i];
    } else {
      p.x[i] = pick({1, 2, 4, 7});
      p.padding[i] = pick({0, 0, 1, 2});
      while (p.x[i] + 2 * p.padding[i] < span) ++p.padding[i];
      p.y[i] = (p.x[i] + 2 * p.padding[i] - span) / p.stride[i] + 1;
    }
  }
  return p;
}

inline ops::ConvGeometry geometry_of(const Form& p, bool transposed) {
  return {3, transposed, p.groups, p.stride, p.padding, p.dilation, p.x, p.kernel, p.y};
}

// max|a - b| / max|b|, the measure of the golden cases.
inline double distance(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const auto as = a.to_vector<double>(), bs = b.to_vector<double>();
  double worst = 0, scale = 0;
  for (std::size_t i = 0; i < as.size(); ++i) {
    worst = std::max(worst, std::abs(as[i] - bs[i]));
    scale = std::max(scale, std::abs(bs[i]));
  }
  if (!std::isfinite(worst)) return worst;
  return scale == 0 ? worst : worst / scale;
}

inline std::string text(const Form& p, bool transposed) {
  return str(transposed ? "transposed" : "plain", " x ", p.x_shape(), " w ", p.weight_shape(), " y ",
             p.y_shape(), " stride ", p.stride, " padding ", p.padding, " dilation ", p.dilation, " groups ",
             p.groups);
}

}  // namespace lucid::naive
