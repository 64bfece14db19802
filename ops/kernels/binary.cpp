#include "ops/kernels/binary.hpp"

namespace lucid::kernels {
namespace {

int category(DType dtype) { return dtype == boolean ? 0 : is_floating(dtype) ? 2 : 1; }

void require_defined(std::string_view op, const Tensor& a, const Tensor& b) {
  check(a.defined() && b.defined(), op, a.defined() ? "the second" : "the first", " tensor is undefined");
}

}  // namespace

DType result_dtype(const Tensor& a, const Tensor& b) {
  if ((a.dim() == 0) != (b.dim() == 0)) {
    const Tensor& scalar = a.dim() == 0 ? a : b;
    const Tensor& other = a.dim() == 0 ? b : a;
    if (category(scalar.dtype()) <= category(other.dtype())) return other.dtype();
  }
  return promote(a.dtype(), b.dtype());
}

Tensor wrap_scalar(const Scalar& value, const Tensor& tensor) {
  check(tensor.defined(), "scalar operand", "the tensor is undefined");
  DType dtype = tensor.dtype();
  if (value.is_floating() && !is_floating(dtype))
    dtype = f32;
  else if (dtype == boolean && !value.is_boolean())
    dtype = i64;
  return scalar_tensor(value, dtype);
}

Tensor converted(const Tensor& tensor, DType dtype) {
  if (tensor.dtype() == dtype) return tensor;
  Tensor out = empty_like(tensor, dtype);
  copy(out, tensor);
  return out;
}

DType operand_dtype(std::string_view op, const Tensor& a, const Tensor& b) {
  require_defined(op, a, b);
  return result_dtype(a, b);
}

Operands::Operands(std::string_view op, const Tensor& first, const Tensor& second, DType wanted)
    : dtype((require_defined(op, first, second), wanted)),
      shape(broadcast_shapes(op, first.shape(), second.shape())),
      a(first.dtype() == wanted ? first : converted_a_ = converted(first, wanted)),
      b(second.dtype() == wanted ? second : converted_b_ = converted(second, wanted)) {}

}  // namespace lucid::kernels
