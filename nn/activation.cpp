#include "nn/activation.hpp"

#include "ops/activation.hpp"
#include "ops/unary.hpp"

namespace lucid::nn {

Tensor ReLU::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return relu(input);
}

Tensor LeakyReLU::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return leaky_relu(input, negative_slope);
}
std::string LeakyReLU::extra_repr() const { return lucid::str("negative_slope=", negative_slope); }

Tensor ELU::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return elu(input, alpha);
}
std::string ELU::extra_repr() const { return lucid::str("alpha=", alpha); }

PReLU::PReLU(std::int64_t num_parameters, double init) {
  check(num_parameters >= 1, "PReLU", "num_parameters is ", num_parameters, "; at least 1 is required");
  weight = Parameter(full({num_parameters}, init));
}
Tensor PReLU::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return prelu(input, weight);
}
std::string PReLU::extra_repr() const { return lucid::str("num_parameters=", weight.numel()); }

GELU::GELU(std::string approximate_) : approximate(std::move(approximate_)) {
  check(approximate == "none" || approximate == "tanh", "GELU", "approximate is \"", approximate,
        "\"; none or tanh is required");
}
Tensor GELU::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return gelu(input, approximate);
}
std::string GELU::extra_repr() const { return lucid::str("approximate='", approximate, "'"); }

Tensor SiLU::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return silu(input);
}

Tensor Sigmoid::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return sigmoid(input);
}

Tensor Tanh::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return tanh(input);
}

}  // namespace lucid::nn
