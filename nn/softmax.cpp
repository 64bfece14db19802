#include "nn/softmax.hpp"

#include "ops/softmax.hpp"

namespace lucid::nn {

Tensor Softmax::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return softmax(input, dim);
}
std::string Softmax::extra_repr() const { return lucid::str("dim=", dim); }

Tensor LogSoftmax::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return log_softmax(input, dim);
}
std::string LogSoftmax::extra_repr() const { return lucid::str("dim=", dim); }

Tensor Softmin::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return softmin(input, dim);
}
std::string Softmin::extra_repr() const { return lucid::str("dim=", dim); }

Tensor Softmax2d::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  check(input.defined(), "Softmax2d", "the input is undefined");
  check(input.dim() == 3 || input.dim() == 4, "Softmax2d", "input has shape ", input.shape(),
        "; (N, C, H, W) or (C, H, W) is required");
  return softmax(input, -3);
}

}  // namespace lucid::nn
