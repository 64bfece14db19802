#include "nn/linear.hpp"

#include <cmath>

#include "nn/init.hpp"
#include "nn/layer_checks.hpp"
#include "ops/matmul.hpp"

namespace lucid::nn {

Linear::Linear(std::int64_t in_features_, std::int64_t out_features_, const LinearOptions& options)
    : in_features(in_features_), out_features(out_features_) {
  detail::check_at_least("Linear", "in_features", in_features, 1);
  detail::check_at_least("Linear", "out_features", out_features, 1);
  weight = Parameter(empty({out_features, in_features}));
  init::kaiming_uniform_(weight, {.a = std::sqrt(5.0)});
  if (!options.bias) return;
  bias = Parameter(empty({out_features}));
  const double bound = 1 / std::sqrt(static_cast<double>(in_features));
  init::uniform_(bias, -bound, bound);
}

Tensor Linear::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return linear(input, weight, bias);
}

std::string Linear::extra_repr() const {
  return lucid::str("in_features=", in_features, ", out_features=", out_features,
                    ", bias=", detail::python(bias.defined()));
}

}  // namespace lucid::nn
