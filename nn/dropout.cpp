#include "nn/dropout.hpp"

#include "nn/layer_checks.hpp"
#include "ops/dropout.hpp"

namespace lucid::nn {

detail::DropoutLayer::DropoutLayer(std::string_view name, double p_) : p(p_) {
  check(p >= 0 && p <= 1, name, "p is ", p, "; it must lie in [0, 1]");
}
std::string detail::DropoutLayer::extra_repr() const {
  return lucid::str("p=", python(p), ", inplace=False");
}

Tensor Dropout::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return dropout(input, p, training());
}

Tensor Dropout1d::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return dropout1d(input, p, training());
}

Tensor Dropout2d::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return dropout2d(input, p, training());
}

Tensor Dropout3d::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return dropout3d(input, p, training());
}

}  // namespace lucid::nn
