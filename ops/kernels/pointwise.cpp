#include "ops/kernels/pointwise.hpp"

namespace lucid::ops {

std::vector<Sample> pointwise_samples(Generator& generator, Domain domain,
                                      const std::vector<OptionValues>& options) {
  std::vector<Sample> samples = unary_samples(generator);
  while (samples.size() < options.size()) samples.push_back({.inputs = {normal({3, 5}, generator)}});
  for (std::size_t i = 0; i < samples.size(); ++i) {
    Tensor& input = samples[i].inputs[0];
    if (domain == Domain::nonzero) input = away_from_zero(input);
    if (domain == Domain::positive) input = uniform(input.shape(), 0.5, 3.0, generator);
    if (!options.empty()) samples[i].options = options[i % options.size()];
  }
  return samples;
}

std::vector<ErrorCase> pointwise_errors() {
  return {{{Tensor()}, {}, "\"input\" is missing"},
          {{ones({2}, f64)}, {{"no_such_option", 1}}, "no_such_option"}};
}

}  // namespace lucid::ops
