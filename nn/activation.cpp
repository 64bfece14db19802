#include "nn/activation.hpp"

#include "nn/layer_checks.hpp"

namespace lucid::nn {

using detail::python;

Tensor LeakyReLU::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return leaky_relu(input, negative_slope);
}
std::string LeakyReLU::extra_repr() const { return lucid::str("negative_slope=", python(negative_slope)); }

Tensor ELU::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return elu(input, alpha);
}
std::string ELU::extra_repr() const { return lucid::str("alpha=", python(alpha)); }

CELU::CELU(double alpha_) : alpha(alpha_) {
  check(alpha != 0, "CELU", "alpha is 0; another value is required");
}
Tensor CELU::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return celu(input, alpha);
}
std::string CELU::extra_repr() const { return lucid::str("alpha=", python(alpha)); }

PReLU::PReLU(std::int64_t num_parameters, double init) {
  detail::check_at_least("PReLU", "num_parameters", num_parameters, 1);
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

Softplus::Softplus(double beta_, double threshold_) : beta(beta_), threshold(threshold_) {
  check(beta != 0, "Softplus", "beta is 0; another value is required");
}
Tensor Softplus::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return softplus(input, beta, threshold);
}
std::string Softplus::extra_repr() const {
  return lucid::str("beta=", python(beta), ", threshold=", python(threshold));
}

Hardtanh::Hardtanh(double min_val_, double max_val_) : min_val(min_val_), max_val(max_val_) {
  check(min_val < max_val, "Hardtanh", "min_val is ", min_val, ", max_val ", max_val,
        "; min_val must be the smaller");
}
Tensor Hardtanh::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return hardtanh(input, min_val, max_val);
}
std::string Hardtanh::extra_repr() const {
  return lucid::str("min_val=", python(min_val), ", max_val=", python(max_val));
}

Tensor Threshold::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return lucid::threshold(input, threshold, value);
}
std::string Threshold::extra_repr() const {
  return lucid::str("threshold=", python(threshold), ", value=", python(value));
}

}  // namespace lucid::nn
