#include "nn/sequential.hpp"

#include "nn/layer_checks.hpp"

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

Unflatten::Unflatten(std::int64_t dim_, const Shape& unflattened_size_)
    : dim(dim_), unflattened_size(unflattened_size_) {
  check(!unflattened_size.empty(), "Unflatten", "unflattened_size is (); at least one size is required");
  std::int64_t open = 0;
  for (const std::int64_t size : unflattened_size) {
    check(size == -1 || size >= 1, "Unflatten", "unflattened_size is ", unflattened_size,
          "; sizes of at least 1, or one -1, are required");
    open += size == -1;
  }
  check(open <= 1, "Unflatten", "unflattened_size is ", unflattened_size, "; at most one size may be -1");
}

Tensor Unflatten::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  check(input.defined(), "Unflatten", "the input is undefined");
  const std::size_t axis = normalize_axis("Unflatten", dim, input.shape().size());
  const std::int64_t size = input.shape()[axis];
  Shape parts = unflattened_size;
  std::int64_t product = 1;
  for (const std::int64_t part : parts)
    if (part != -1) product = checked_mul("Unflatten", "size", product, part);
  for (std::int64_t& part : parts)
    if (part == -1) product *= part = size / product;
  check(product == size, "Unflatten", "axis ", axis, " of the input ", input.shape(), " can't be split into ",
        unflattened_size);

  Shape shape(std::span(input.shape().begin(), axis));
  for (const std::int64_t part : parts) shape.push_back(part);
  for (std::size_t i = axis + 1; i < input.shape().size(); ++i) shape.push_back(input.shape()[i]);
  return input.reshape(shape);
}

std::string Unflatten::extra_repr() const {
  return lucid::str("dim=", dim, ", unflattened_size=", detail::tuple(unflattened_size));
}

}  // namespace lucid::nn
