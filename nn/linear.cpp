#include "nn/linear.hpp"

#include <cmath>

#include "nn/init.hpp"
#include "ops/matmul.hpp"

namespace lucid::nn {

Linear::Linear(std::int64_t in_features_, std::int64_t out_features_, const LinearOptions& options)
    : in_features(in_features_), out_features(out_features_) {
  check(in_features >= 1, "Linear", "in_features is ", in_features, "; at least 1 is required");
  check(out_features >= 1, "Linear", "out_features is ", out_features, "; at least 1 is required");
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
                    ", bias=", bias.defined() ? "True" : "False");
}

}  // namespace lucid::nn
