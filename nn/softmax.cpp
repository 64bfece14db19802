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

}  // namespace lucid::nn
