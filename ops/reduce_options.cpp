#include "ops/reduce_options.hpp"

#include "ops/options.hpp"
#include "ops/samples.hpp"

namespace lucid::ops {

void write_option(nlohmann::json& out, const char* key, const DimOption& option) {
  using Dims = std::optional<std::vector<std::int64_t>>;
  detail::write_option(out, key, option.dims.empty() ? Dims() : option.dims);
}

void read_option(const nlohmann::json& in, const char* key, DimOption& option) {
  std::optional<std::vector<std::int64_t>> dims = option.dims;
  detail::read_option(in, key, dims);
  option.dims = dims.value_or(std::vector<std::int64_t>());
}

kernels::Axes reduced_axes(std::string_view op, const Tensor& input, const std::vector<std::int64_t>& dims) {
  check(input.defined(), op, "the tensor is undefined");
  return normalize_axes(op, dims, input.shape().size());
}

kernels::Axes nonempty_axes(std::string_view op, const Tensor& input, const std::vector<std::int64_t>& dims) {
  const kernels::Axes axes = reduced_axes(op, input, dims);
  for (const std::size_t axis : axes)
    check(axis >= input.shape().size() || input.shape()[axis] > 0, op, "axis ", axis, " of shape ",
          input.shape(), " has size 0; at least one element is required, since nothing has no such value");
  return axes;
}

Tensor with_kept_dims(const Tensor& reduced, const Shape& shape, const std::vector<std::int64_t>& dims,
                      bool keepdim) {
  if (keepdim || reduced.dim() == static_cast<std::int64_t>(shape.size())) return reduced;
  Shape kept = shape;
  for (const std::size_t axis : normalize_axes("reduction", dims, shape.size())) kept[axis] = 1;
  return reduced.reshape(kept);
}

Tensor expand_reduced(const Tensor& reduced, const Shape& shape, const std::vector<std::int64_t>& dims,
                      bool keepdim) {
  return with_kept_dims(reduced, shape, dims, keepdim).expand(shape);
}

std::vector<Sample> reduction_samples(Generator& generator) {
  const Shape volume{2, 3, 2, 3, 4};
  return {{{normal({}, generator)}},
          {{normal({}, generator)}, {{"dim", 0}, {"keepdim", true}}},
          {{normal({7}, generator)}, {{"dim", -1}}},
          {{normal(volume, generator)}},
          {{normal(volume, generator)}, {{"dim", nullptr}, {"keepdim", true}}},
          {{normal(volume, generator)}, {{"dim", 1}, {"keepdim", true}}},
          {{normal(volume, generator)}, {{"dim", {0, 2, 3, 4}}}},
          {{normal(volume, generator)}, {{"dim", {0, -2}}}},
          {{normal({4, 2, 3}, generator)}, {{"dim", {-1}}}},
          {{normal({2, 3, 2, 2}, generator)}, {{"dim", {-3, 3}}, {"keepdim", true}}}};
}

std::vector<Sample> integer_samples(Generator& generator) {
  return {{{randint(-2, 3, {2, 3, 4}, i64, &generator)}},
          {{randint(-2, 3, {2, 3, 4}, i32, &generator)}, {{"dim", 1}}},
          {{randint(0, 2, {2, 3, 2}, boolean, &generator)}, {{"dim", -1}, {"keepdim", true}}}};
}

std::vector<Sample> joined(std::vector<Sample> samples, std::vector<Sample> more) {
  samples.insert(samples.end(), more.begin(), more.end());
  return samples;
}

std::vector<Sample> distinct(std::vector<Sample> samples) {
  for (Sample& sample : samples)
    for (Tensor& input : sample.inputs) {
      const std::vector<double> values = input.to_vector<double>();
      std::vector<double> ranks(values.size());
      for (std::size_t i = 0; i < values.size(); ++i)
        ranks[i] =
            static_cast<double>(std::ranges::count_if(values, [&](double v) { return v < values[i]; }));
      const double middle = static_cast<double>(values.size()) / 2;
      for (double& rank : ranks) rank = (rank - middle) * 0.03 + 0.01;
      input = Tensor::from(ranks, input.shape());
    }
  return samples;
}

std::vector<ErrorCase> reduction_errors() {
  return {{{ones({2, 3}, f64)}, {{"dim", 2}}, "dim 2"},
          {{ones({2, 3}, f64)}, {{"dim", {0, -2}}}, "dim 0"},
          {{ones({2, 3}, f64)}, {{"dim", "all"}}, "all"}};
}

}  // namespace lucid::ops
