#include "nn/dropout.hpp"

#include "ops/dropout.hpp"

namespace lucid::nn {
namespace {
void check_share(std::string_view layer, double p) {
  check(p >= 0 && p <= 1, layer, "p is ", p, "; it must lie in [0, 1]");
}
}  // namespace

Dropout::Dropout(double p_) : p(p_) { check_share("Dropout", p); }
Tensor Dropout::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return dropout(input, p, training());
}
std::string Dropout::extra_repr() const { return lucid::str("p=", p); }

Dropout3d::Dropout3d(double p_) : p(p_) { check_share("Dropout3d", p); }
Tensor Dropout3d::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return dropout3d(input, p, training());
}
std::string Dropout3d::extra_repr() const { return lucid::str("p=", p); }

}  // namespace lucid::nn
