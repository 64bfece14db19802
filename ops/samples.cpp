#include "ops/samples.hpp"

namespace lucid::ops {

Tensor normal(const Shape& shape, Generator& generator) { return randn(shape, f64, &generator); }

Tensor away_from_zero(const Tensor& tensor) {
  std::vector<double> values = tensor.to_vector<double>();
  for (double& value : values)
    if (value > -0.5 && value < 0.5) value += value < 0 ? -0.5 : 0.5;
  return Tensor::from(values, tensor.shape());
}

Tensor uniform(const Shape& shape, double low, double high, Generator& generator) {
  std::vector<double> values;
  for (std::int64_t i = checked_numel("uniform", shape); i > 0; --i)
    values.push_back(generator.uniform(low, high));
  return Tensor::from(values, shape);
}

std::vector<Sample> unary_samples(Generator& generator) {
  return {{.inputs = {normal({}, generator)}},
          {.inputs = {normal({7}, generator)}},
          {.inputs = {normal({2, 3, 2, 3, 4}, generator)}},
          {.inputs = {normal({1, 1, 5}, generator)}}};
}

std::vector<Sample> broadcast_samples(Generator& generator) {
  return {{.inputs = {normal({}, generator), normal({}, generator)}},
          {.inputs = {normal({2, 3, 2, 2, 3}, generator), normal({2, 3, 2, 2, 3}, generator)}},
          {.inputs = {normal({2, 3, 4}, generator), normal({3, 1}, generator)}},
          {.inputs = {normal({1, 4}, generator), normal({2, 3, 1}, generator)}},
          {.inputs = {normal({3, 4}, generator), normal({}, generator)}}};
}

std::vector<ErrorCase> broadcast_errors() {
  return {{{ones({2, 3}, f64), ones({4}, f64)}, {}, "(2, 3) and (4)"},
          {{Tensor(), ones({4}, f64)}, {}, "missing"}};
}

std::vector<ErrorCase> no_errors() { return {}; }

}  // namespace lucid::ops
