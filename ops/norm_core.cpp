#include "ops/norm_core.hpp"

#include <cmath>
#include <optional>

#include "autograd/grad_mode.hpp"
#include "ops/compare.hpp"
#include "ops/kernels/channels.hpp"
#include "ops/select.hpp"

namespace lucid::ops {
namespace {

constexpr std::int64_t kFewElements = 64;

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

// Per channel: `weight` in double, ones when it is undefined.
std::vector<double> factors(const Tensor& weight, std::int64_t channels) {
  return weight.defined() ? weight.to_vector<double>() : std::vector<double>(at(channels), 1.0);
}

template <class F>
void for_each_column(const Grouping& grouping, F&& f) {
  for (std::int64_t n = 0; n < grouping.samples; ++n)
    for (std::int64_t c = 0; c < grouping.channels; ++c)
      f(at(n * grouping.channels + c), at(c), at(grouping.of(n, c)));
}

// Gradients of the per-channel tensors from the sums over each (n, c); empty tensors where none is wanted.
Tensors channel_gradients(const NormBackward& b, const kernels::GradSums& sums,
                          const std::vector<double>& rstd) {
  const Grouping& grouping = b.grouping;
  const std::vector<double> weight = factors(b.weight, grouping.channels);
  std::vector<double> by_weight(at(grouping.channels)), by_bias(by_weight), by_mean(by_weight),
      by_var(by_weight);
  for_each_column(grouping, [&](std::size_t column, std::size_t c, std::size_t group) {
    const double scaled = sums.product[column] * rstd[group];
    by_weight[c] += scaled;
    by_bias[c] += sums.grad[column];
    by_mean[c] -= sums.grad[column] * rstd[group] * weight[c];
    by_var[c] -= 0.5 * scaled * rstd[group] * rstd[group] * weight[c];
  });
  const auto given = [&](std::size_t input, const std::vector<double>& values) {
    return b.wants[input] ? Tensor::from(values, {grouping.channels}) : Tensor();
  };
  const bool constant = !b.from_input;
  return {Tensor(), constant ? given(1, by_mean) : Tensor(), constant ? given(2, by_var) : Tensor(),
          given(3, by_weight), given(4, by_bias)};
}

// `sums` and `leaky` are of the gradient before the leaky_relu. gx = rstd * (gy*w - mean(gy*w) - xhat *
// mean(gy*w * xhat)), means over the group; with constant statistics the means are absent (S. Ioffe, C.
// Szegedy 2015).
Tensor input_gradient(const NormBackward& b, const Tensor& grad, const Tensor& input,
                      const kernels::GradSums& sums, const kernels::Leaky* leaky,
                      const std::vector<double>& mean, const std::vector<double>& rstd) {
  const Grouping& grouping = b.grouping;
  const std::vector<double> weight = factors(b.weight, grouping.channels);
  const auto columns = at(grouping.samples * grouping.channels);
  std::vector<double> slope(columns);
  kernels::Affine affine{std::vector<double>(columns), std::vector<double>(columns),
                         std::vector<double>(columns)};
  std::vector<double> plain(at(grouping.count())), along(plain);
  if (b.from_input)
    for_each_column(grouping, [&](std::size_t column, std::size_t c, std::size_t group) {
      const auto elements = static_cast<double>(grouping.elements());
      plain[group] += weight[c] * sums.grad[column] / elements;
      along[group] += weight[c] * sums.product[column] * rstd[group] / elements;
    });
  for_each_column(grouping, [&](std::size_t column, std::size_t c, std::size_t group) {
    slope[column] = rstd[group] * weight[c];
    affine.mean[column] = mean[group];
    affine.scale[column] = -rstd[group] * rstd[group] * along[group];
    affine.shift[column] = -rstd[group] * plain[group];
  });
  Tensor out = empty_like(input);
  if (b.from_input) {
    // The terms cancel where few elements share their statistics.
    kernels::channel_affine_grad(out, grad, input, slope, affine, grouping.elements() <= kFewElements, leaky);
  } else if (leaky) {
    kernels::channel_leaky_grad(out, grad, input, slope, *leaky);
  } else {
    const std::vector<double> zero(columns);
    kernels::channel_affine(out, grad, {zero, slope, zero});
  }
  return out;
}

Tensors fused_backward(const NormBackward& b) {
  const Grouping& grouping = b.grouping;
  const Tensor input = kernels::channel_ordered(b.input);
  const Tensor grad = kernels::ordered_like(b.grad, input);
  const std::vector<double> mean = b.mean.to_vector<double>(), rstd = b.rstd.to_vector<double>();
  const bool by_channel = b.wants[1] || b.wants[2] || b.wants[3] || b.wants[4];

  std::optional<kernels::Leaky> leaky;
  if (b.negative_slope != 1) leaky = {affine_of(grouping, mean, rstd, b.weight, b.bias), b.negative_slope};
  const kernels::Leaky* const after = leaky ? &*leaky : nullptr;
  kernels::GradSums sums;
  if (by_channel || b.from_input) {
    std::vector<double> about(at(grouping.samples * grouping.channels));
    for_each_column(grouping,
                    [&](std::size_t column, std::size_t, std::size_t group) { about[column] = mean[group]; });
    sums = kernels::channel_grad_sums(grad, input, about, after);
  }
  Tensors out = by_channel ? channel_gradients(b, sums, rstd) : Tensors(5);
  if (b.wants[0]) out[0] = input_gradient(b, grad, input, sums, after, mean, rstd);
  return out;
}

// (C) as (1, C, 1, ...), to broadcast with the input.
Tensor beside_channels(const Tensor& values, std::size_t rank) {
  Shape shape = Shape::filled(rank, 1);
  shape[1] = values.numel();
  return values.reshape(shape);
}

Tensor sum_over_channel(const Tensor& value) {
  std::vector<std::int64_t> dims{0};
  for (std::int64_t axis = 2; axis < value.dim(); ++axis) dims.push_back(axis);
  return value.sum(dims);
}

// The mean over each group, in a shape that broadcasts with `value`.
Tensor group_mean(const Tensor& value, const Grouping& grouping) {
  const Shape& shape = value.shape();
  if (grouping.across_samples) {
    std::vector<std::int64_t> dims{0};
    for (std::int64_t axis = 2; axis < value.dim(); ++axis) dims.push_back(axis);
    return value.mean(dims, true);
  }
  const std::int64_t members = grouping.channels / grouping.groups;
  Shape columns = Shape::filled(shape.size(), 1);
  columns[0] = grouping.samples;
  columns[1] = grouping.channels;
  return value.reshape({grouping.samples, grouping.groups, members * grouping.spatial})
      .mean({2}, true)
      .expand({grouping.samples, grouping.groups, members})
      .reshape(columns);
}

// Where the result before the leaky_relu was positive, by the forward pass' own arithmetic. A constant.
Tensor is_positive(const NormBackward& b) {
  const no_grad guard;
  return normalize(kernels::channel_ordered(b.input), b.grouping, b.mean.to_vector<double>(),
                   b.rstd.to_vector<double>(), b.weight, b.bias, 1) > 0.0;
}

Tensors recorded_backward(const NormBackward& b) {
  const auto rank = b.input.shape().size();
  Tensor grad = b.grad;
  Tensor mean, rstd;
  if (b.from_input) {
    mean = group_mean(b.input, b.grouping);
    rstd = 1.0 / (group_mean((b.input - mean).square(), b.grouping) + b.eps).sqrt();
  } else if (b.running_mean.defined()) {
    mean = beside_channels(b.running_mean, rank);
    rstd = 1.0 / (beside_channels(b.running_var, rank) + b.eps).sqrt();
  } else {
    mean = beside_channels(b.mean, rank).to(b.input.dtype());
    rstd = beside_channels(b.rstd, rank).to(b.input.dtype());
  }
  const Tensor normalized = (b.input - mean) * rstd;
  if (b.negative_slope != 1) grad = where(is_positive(b), grad, grad * b.negative_slope);
  const Tensor scaled = b.weight.defined() ? grad * beside_channels(b.weight, rank) : grad;

  Tensors out(5);
  if (b.wants[0]) {
    out[0] = scaled;
    if (b.from_input)
      out[0] =
          scaled - group_mean(scaled, b.grouping) - normalized * group_mean(scaled * normalized, b.grouping);
    out[0] = out[0] * rstd;
  }
  if (!b.from_input) {
    if (b.wants[1]) out[1] = -sum_over_channel(scaled * rstd);
    if (b.wants[2]) out[2] = sum_over_channel(scaled * normalized * rstd.square()) * -0.5;
  }
  if (b.wants[3]) out[3] = sum_over_channel(grad * normalized);
  if (b.wants[4]) out[4] = sum_over_channel(grad);
  return out;
}

}  // namespace

Grouping::Grouping(const Tensor& input, std::int64_t group_count, bool across)
    : samples(input.shape()[0]),
      channels(input.shape()[1]),
      spatial(1),
      groups(group_count),
      across_samples(across) {
  for (std::size_t i = 2; i < input.shape().size(); ++i) spatial *= input.shape()[i];
}

Statistics statistics(const Tensor& input, const Grouping& grouping) {
  const kernels::Moments moments = kernels::channel_moments(input);
  const auto groups = at(grouping.count());
  const auto count = static_cast<double>(grouping.spatial);
  const auto elements = static_cast<double>(grouping.elements());
  Statistics out{std::vector<double>(groups), std::vector<double>(groups)};
  for_each_column(grouping, [&](std::size_t column, std::size_t, std::size_t group) {
    out.mean[group] += moments.mean[column] * (count / elements);
  });
  for_each_column(grouping, [&](std::size_t column, std::size_t, std::size_t group) {
    const double off = moments.mean[column] - out.mean[group];
    out.variance[group] += (moments.squares[column] + count * off * off) / elements;
  });
  return out;
}

std::vector<double> reciprocal_std(const std::vector<double>& variance, double eps) {
  std::vector<double> out;
  for (double value : variance) out.push_back(1.0 / std::sqrt(value + eps));
  return out;
}

kernels::Affine affine_of(const Grouping& grouping, const std::vector<double>& mean,
                          const std::vector<double>& rstd, const Tensor& weight, const Tensor& bias) {
  const std::vector<double> scale = factors(weight, grouping.channels);
  const std::vector<double> shift =
      bias.defined() ? bias.to_vector<double>() : std::vector<double>(at(grouping.channels));
  const auto columns = at(grouping.samples * grouping.channels);
  kernels::Affine affine{std::vector<double>(columns), std::vector<double>(columns),
                         std::vector<double>(columns)};
  for_each_column(grouping, [&](std::size_t column, std::size_t c, std::size_t group) {
    affine.mean[column] = mean[group];
    affine.scale[column] = rstd[group] * scale[c];
    affine.shift[column] = shift[c];
  });
  return affine;
}

Tensor normalize(const Tensor& input, const Grouping& grouping, const std::vector<double>& mean,
                 const std::vector<double>& rstd, const Tensor& weight, const Tensor& bias,
                 double negative_slope) {
  Tensor out = empty_like(input);
  kernels::channel_affine(out, input, affine_of(grouping, mean, rstd, weight, bias), negative_slope);
  return out;
}

Tensors normalize_backward(const NormBackward& b) {
  if (b.input.numel() == 0) {
    Tensors out(5);
    if (b.wants[0]) out[0] = zeros(b.input.shape(), b.input.dtype());
    for (std::size_t i = 3; i < 5; ++i)
      if (b.wants[i]) out[i] = zeros({b.grouping.channels}, f64);
    return out;
  }
  return autograd::is_recording() ? recorded_backward(b) : fused_backward(b);
}

}  // namespace lucid::ops
