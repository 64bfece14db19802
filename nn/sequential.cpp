#include "nn/sequential.hpp"

namespace lucid::nn {

Tensor Sequential::operator()(const Tensor& input) const {
  Tensor x = input;
  for (const Slot& slot : stages_) x = slot.stage->call(x);
  return x;
}

Module& Sequential::operator[](std::size_t index) {
  check(index < stages_.size(), "Sequential", "layer ", index, " of ", stages_.size());
  return stages_[index].stage->module();
}

void Sequential::visit_fields(FieldVisitor& visitor) {
  for (std::size_t i = 0; i < stages_.size(); ++i) visitor.module(lucid::str(i), stages_[i].stage->module());
}

Tensor Flatten::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return input.flatten(start_dim, end_dim);
}

std::string Flatten::extra_repr() const { return lucid::str("start_dim=", start_dim, ", end_dim=", end_dim); }

}  // namespace lucid::nn
