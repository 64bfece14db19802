#include "ops/norm.hpp"

#include <cmath>

#include "autograd/record.hpp"
#include "ops/kernels/channels.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/norm_core.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {

LUCID_OPTIONS(BatchNormOptions, training, momentum, eps, negative_slope)
LUCID_OPTIONS(InstanceNormOptions, use_input_stats, momentum, eps, negative_slope)

namespace {

using autograd::Backward;
using ops::Grouping;

struct GroupNormOptions {
  std::int64_t num_groups = 1;
  double eps = 1e-5;
  double negative_slope = 1;
};
LUCID_OPTIONS(GroupNormOptions, num_groups, eps, negative_slope)

void require_per_channel(std::string_view op, const char* name, const Tensor& values, const Tensor& input) {
  if (!values.defined()) return;
  const std::int64_t channels = input.shape()[1];
  check(values.shape() == Shape{channels}, op, name, " has shape ", values.shape(), ", input ", input.shape(),
        " has ", channels, " channels; (", channels, ") is required");
  check(is_floating(values.dtype()), op, name, " has dtype ", values.dtype(),
        "; a floating type is required");
}

void require_arguments(std::string_view op, const Tensor& input, const Tensor& weight, const Tensor& bias,
                       double negative_slope) {
  check(input.defined(), op, "the input is undefined");
  check(input.dim() >= 2, op, "input has shape ", input.shape(),
        "; rank 2 or more, (N, C, ...), is required");
  check(is_floating(input.dtype()), op, "input has dtype ", input.dtype(), "; a floating type is required");
  require_per_channel(op, "weight", weight, input);
  require_per_channel(op, "bias", bias, input);
  check(std::isfinite(negative_slope), op, "negative_slope is ", negative_slope,
        "; a finite number is required");
}

struct Running {
  const Tensor& mean;
  const Tensor& var;
};

void require_running(std::string_view op, const Running& running, const Tensor& input, bool needed) {
  check(running.mean.defined() == running.var.defined(), op, "running_",
        running.mean.defined() ? "var is missing beside running_mean" : "mean is missing beside running_var");
  check(running.mean.defined() || !needed, op, "the input ", input.shape(),
        "'s own statistics are not to be used, but running_mean and running_var are undefined; "
        "one or the other is required");
  require_per_channel(op, "running_mean", running.mean, input);
  require_per_channel(op, "running_var", running.var, input);
}

// running = (1 - momentum) * running + momentum * new, where new is averaged over the samples' groups.
void update_running(const Running& running, const ops::Statistics& found, const Grouping& grouping,
                    double momentum) {
  const auto channels = static_cast<std::size_t>(grouping.channels);
  const auto elements = static_cast<double>(grouping.elements());
  const std::size_t sets = found.mean.size() / channels;
  const double share = momentum / static_cast<double>(sets), unbiased = elements / (elements - 1);
  std::vector<double> mean = running.mean.to_vector<double>(), var = running.var.to_vector<double>();
  for (std::size_t c = 0; c < channels; ++c) {
    mean[c] *= 1 - momentum;
    var[c] *= 1 - momentum;
    for (std::size_t set = 0; set < sets; ++set) {
      mean[c] += share * found.mean[set * channels + c];
      var[c] += share * unbiased * found.variance[set * channels + c];
    }
  }
  kernels::copy(running.mean, Tensor::from(mean, {grouping.channels}));
  kernels::copy(running.var, Tensor::from(var, {grouping.channels}));
}

template <class Options>
Tensors backward_of(const Backward<Options>& b, const Grouping& grouping, bool from_input) {
  const autograd::Mask none(5);
  autograd::Mask wants = b.wants;
  if (wants.size() == 3) wants = {b.wants[0], false, false, b.wants[1], b.wants[2]};
  Tensors out = ops::normalize_backward({.grad = b.grad(),
                                         .input = b.saved[0],
                                         .weight = b.saved[1],
                                         .bias = b.saved[6],
                                         .mean = b.saved[2],
                                         .rstd = b.saved[3],
                                         .negative_slope = b.options.negative_slope,
                                         .grouping = grouping,
                                         .eps = b.options.eps,
                                         .from_input = from_input,
                                         .running_mean = b.saved[4],
                                         .running_var = b.saved[5],
                                         .wants = wants});
  if (b.wants.size() == 3) out = {out[0], out[3], out[4]};
  return out;
}

Tensors batch_norm_backward(const Backward<BatchNormOptions>& b) {
  return backward_of(b, Grouping(b.saved[0], b.saved[0].shape()[1], true), b.options.training);
}

Tensors instance_norm_backward(const Backward<InstanceNormOptions>& b) {
  const bool own = b.options.use_input_stats;
  return backward_of(b, Grouping(b.saved[0], b.saved[0].shape()[1], !own), own);
}

Tensors group_norm_backward(const Backward<GroupNormOptions>& b) {
  return backward_of(b, Grouping(b.saved[0], b.options.num_groups, false), true);
}

struct Normalized {
  Tensor result;
  Tensors saved;  // as backward_of reads them
};

// `running` is read where `from_input` is false, and updated where it is true.
Normalized forward(const Tensor& input, const Grouping& grouping, const Running& running,
                   const Tensor& weight, const Tensor& bias, bool from_input, double momentum, double eps,
                   double negative_slope) {
  const Tensor ordered = kernels::channel_ordered(input);
  ops::Statistics used;
  if (from_input) {
    used = ops::statistics(ordered, grouping);
    if (running.mean.defined() && input.numel()) update_running(running, used, grouping, momentum);
  } else {
    used = {running.mean.to_vector<double>(), running.var.to_vector<double>()};
  }
  const std::vector<double> rstd = ops::reciprocal_std(used.variance, eps);
  const auto kept = [&](const Tensor& values) {
    return !from_input && values.defined() && (running.mean.requires_grad() || running.var.requires_grad())
               ? values
               : Tensor();
  };
  Normalized out;
  out.result = ops::normalize(ordered, grouping, used.mean, rstd, weight, bias, negative_slope);
  const Shape groups{static_cast<std::int64_t>(rstd.size())};
  out.saved = {input,
               weight,
               Tensor::from(used.mean, groups),
               Tensor::from(rstd, groups),
               kept(running.mean),
               kept(running.var),
               negative_slope == 1 ? Tensor() : bias};
  return out;
}

template <class Options>
Tensor recorded(std::string_view op, const Normalized& normalized, autograd::TensorList inputs,
                const Options& options, autograd::Rule<Options> rule) {
  autograd::record_all(op, std::span(&normalized.result, 1), inputs, normalized.saved, options, rule);
  return normalized.result;
}

}  // namespace

Tensor batch_norm(const Tensor& input, const Tensor& running_mean, const Tensor& running_var,
                  const Tensor& weight, const Tensor& bias, const BatchNormOptions& options) {
  constexpr std::string_view op = "batch_norm";
  const autograd::OpTimer timer(op);
  // PyTorch takes an empty vector too: there is nothing to do, and no channel to name.
  if (input.defined() && input.dim() == 1 && input.numel() == 0) return input.clone();
  require_arguments(op, input, weight, bias, options.negative_slope);
  const Running running{running_mean, running_var};
  require_running(op, running, input, !options.training);
  const Grouping grouping(input, input.shape()[1], true);
  check(!options.training || grouping.elements() != 1, op, "input ", input.shape(),
        " has one value per channel; training needs at least 2");
  check(!options.training || !running_mean.defined() || options.momentum.has_value(), op,
        "momentum is null, the cumulative average, which needs the number of batches seen: pass 1 / that "
        "number, "
        "as the layer does");
  const Normalized normalized = forward(input, grouping, running, weight, bias, options.training,
                                        options.momentum.value_or(0), options.eps, options.negative_slope);
  return recorded(op, normalized, {input, running_mean, running_var, weight, bias}, options,
                  batch_norm_backward);
}

Tensor instance_norm(const Tensor& input, const Tensor& running_mean, const Tensor& running_var,
                     const Tensor& weight, const Tensor& bias, const InstanceNormOptions& options) {
  constexpr std::string_view op = "instance_norm";
  const autograd::OpTimer timer(op);
  require_arguments(op, input, weight, bias, options.negative_slope);
  const Running running{running_mean, running_var};
  require_running(op, running, input, !options.use_input_stats);
  const Grouping grouping(input, input.shape()[1], !options.use_input_stats);
  check(!options.use_input_stats || grouping.spatial != 1, op, "input ", input.shape(),
        " has one spatial element; its own statistics need at least 2");
  const Normalized normalized = forward(input, grouping, running, weight, bias, options.use_input_stats,
                                        options.momentum, options.eps, options.negative_slope);
  return recorded(op, normalized, {input, running_mean, running_var, weight, bias}, options,
                  instance_norm_backward);
}

Tensor group_norm(const Tensor& input, std::int64_t num_groups, const Tensor& weight, const Tensor& bias,
                  double eps, double negative_slope) {
  constexpr std::string_view op = "group_norm";
  const autograd::OpTimer timer(op);
  require_arguments(op, input, weight, bias, negative_slope);
  check(num_groups >= 1 && input.shape()[1] % num_groups == 0, op, "num_groups is ", num_groups, ", input ",
        input.shape(), " has ", input.shape()[1],
        " channels; a positive divisor of the channels is required");
  const Tensor none;
  const Normalized normalized = forward(input, Grouping(input, num_groups, false), {none, none}, weight, bias,
                                        true, 0, eps, negative_slope);
  return recorded(op, normalized, {input, weight, bias}, GroupNormOptions{num_groups, eps, negative_slope},
                  group_norm_backward);
}

namespace ops {
namespace {

Tensor positive(const Shape& shape, Generator& generator) { return uniform(shape, 0.5, 2.0, generator); }

// Bytes: the input is read twice and the result written once.
Cost norm_cost(const Tensors& in, const nlohmann::json&) {
  const auto count = static_cast<double>(in[0].numel());
  return {.flops = 8 * count, .bytes = 3 * count * static_cast<double>(size_of(in[0].dtype()))};
}

}  // namespace

Op batch_norm_op() {
  return {.name = "batch_norm",
          .doc = "(N, C, ...) normalised over all axes but C; running_mean, running_var, weight, bias (C)",
          .inputs = {{"input"},
                     {.name = "running_mean", .optional = true},
                     {.name = "running_var", .optional = true},
                     {.name = "weight", .optional = true},
                     {.name = "bias", .optional = true}},
          .defaults = default_options<BatchNormOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {lucid::batch_norm(in[0], in[1], in[2], in[3], in[4],
                                      read_options<BatchNormOptions>("batch_norm", options))};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({2, 3, 2, 3, 2}, g), Tensor(), Tensor(), positive({3}, g), normal({3}, g)},
                     {{"training", true}}},
                    {{normal({3, 2, 4}, g), normal({2}, g), positive({2}, g), normal({2}, g), Tensor()},
                     {{"training", true}, {"momentum", 0.3}, {"eps", 0.5}}},
                    {{normal({4, 3}, g)}, {{"training", true}}},
                    {{normal({2, 3, 2, 3, 2}, g), Tensor(), Tensor(), positive({3}, g), normal({3}, g)},
                     {{"training", true}, {"negative_slope", 0.01}}},
                    {{normal({2, 17, 4}, g), normal({17}, g), positive({17}, g), Tensor(), normal({17}, g)},
                     {{"negative_slope", 0.0}}},
                    {{normal({2, 17, 2, 1, 2}, g), normal({17}, g), positive({17}, g), normal({17}, g),
                      normal({17}, g)},
                     {{"training", false}}},
                    {{normal({2, 2, 3}, g), normal({2}, g), positive({2}, g)}, {{"eps", 1e-3}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {
                {{ones({1, 3, 1, 1, 1}, f64)}, {{"training", true}}, "(1, 3, 1, 1, 1)"},
                {{ones({1, 2, 4}, f64)}, {{"training", false}}, "running_mean"},
                {{ones({1, 2, 4}, f64), Tensor(), Tensor(), ones({3}, f64)}, {{"training", true}}, "weight"},
                {{ones({2, 2}, f64), ones({2}, f64), ones({2}, f64)},
                 {{"training", true}, {"momentum", nullptr}},
                 "momentum"},
                {{ones({1, 2, 4}, f64)}, {{"training", true}, {"negative_slope", "steep"}}, "steep"},
                {{ones({2}, f64)}, {{"training", true}}, "(2)"}};
          },
          .cost = norm_cost};
}

Op instance_norm_op() {
  return {
      .name = "instance_norm",
      .doc =
          "(N, C, spatial...) normalised over the spatial axes; running_mean, running_var, weight, bias (C)",
      .inputs = {{"input"},
                 {.name = "running_mean", .optional = true},
                 {.name = "running_var", .optional = true},
                 {.name = "weight", .optional = true},
                 {.name = "bias", .optional = true}},
      .defaults = default_options<InstanceNormOptions>(),
      .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
        return {lucid::instance_norm(in[0], in[1], in[2], in[3], in[4],
                                     read_options<InstanceNormOptions>("instance_norm", options))};
      },
      .samples = [](Generator& g) -> std::vector<Sample> {
        return {{{normal({2, 3, 2, 3, 2}, g), Tensor(), Tensor(), positive({3}, g), normal({3}, g)}},
                {{normal({3, 2, 4}, g), normal({2}, g), positive({2}, g)}, {{"momentum", 0.3}, {"eps", 0.5}}},
                {{normal({2, 17, 2, 3}, g), Tensor(), Tensor(), normal({17}, g), Tensor()}},
                {{normal({2, 2, 3}, g), normal({2}, g), positive({2}, g), normal({2}, g), normal({2}, g)},
                 {{"use_input_stats", false}}},
                {{normal({2, 3, 2, 3, 2}, g), Tensor(), Tensor(), positive({3}, g), normal({3}, g)},
                 {{"negative_slope", 0.01}}},
                {{normal({2, 2, 3}, g), normal({2}, g), positive({2}, g), normal({2}, g), normal({2}, g)},
                 {{"use_input_stats", false}, {"negative_slope", 0.3}}}};
      },
      .errors = []() -> std::vector<ErrorCase> {
        return {{{ones({2, 3, 1, 1, 1}, f64)}, {}, "(2, 3, 1, 1, 1)"},
                {{ones({1, 2, 4}, f64)}, {{"use_input_stats", false}}, "running_mean"},
                {{ones({1, 2, 4}, f64), ones({3}, f64), ones({3}, f64)}, {}, "(3)"}};
      },
      .cost = norm_cost};
}

Op group_norm_op() {
  return {
      .name = "group_norm",
      .doc = "(N, C, ...) normalised over num_groups runs of channels and all further axes; weight, bias (C)",
      .inputs = {{"input"}, {.name = "weight", .optional = true}, {.name = "bias", .optional = true}},
      .defaults = default_options<GroupNormOptions>(),
      .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
        const auto read = read_options<GroupNormOptions>("group_norm", options);
        return {lucid::group_norm(in[0], read.num_groups, in[1], in[2], read.eps, read.negative_slope)};
      },
      .samples = [](Generator& g) -> std::vector<Sample> {
        return {{{normal({2, 6, 2, 1, 3}, g), positive({6}, g), normal({6}, g)}, {{"num_groups", 3}}},
                {{normal({3, 6}, g), normal({6}, g), Tensor()}, {{"num_groups", 2}, {"eps", 0.1}}},
                {{normal({2, 3, 4}, g)}, {{"num_groups", 1}}},
                {{normal({1, 4, 2, 2}, g), Tensor(), normal({4}, g)}, {{"num_groups", 4}}},
                {{normal({2, 4, 2, 3}, g), positive({4}, g)}, {{"num_groups", 2}, {"negative_slope", 0.2}}}};
      },
      .errors = []() -> std::vector<ErrorCase> {
        return {{{ones({2, 4, 2, 2, 2}, f64)}, {{"num_groups", 0}}, "num_groups is 0"},
                {{ones({2, 4, 2}, f64)}, {{"num_groups", 3}}, "num_groups is 3"},
                {{ones({2, 4, 2}, f64), ones({2}, f64)}, {{"num_groups", 2}}, "weight"}};
      },
      .cost = norm_cost};
}

}  // namespace ops
}  // namespace lucid
