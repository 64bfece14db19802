#pragma once
// What every op of two operands does before its loop: broadcast and bring both to one type.

#include "ops/kernels/elementwise.hpp"

namespace lucid::kernels {

/// The type that an operation of two tensors computes in. A tensor of rank 0 yields to one of higher rank of
/// the same or a higher category (bool, integer, floating), as PyTorch has it.
DType result_dtype(const Tensor& a, const Tensor& b);

/// `value` as a rank 0 tensor that does not change the result's type when combined with `tensor`, except that
/// a floating number makes an integer tensor's result float32.
Tensor wrap_scalar(const Scalar& value, const Tensor& tensor);

/// `tensor` itself, or its values in another type. Not recorded.
Tensor converted(const Tensor& tensor, DType dtype);

/// result_dtype of two tensors that must be defined: throws Error where one is not.
DType operand_dtype(std::string_view op, const Tensor& a, const Tensor& b);

/// Two operands of one dtype and the shape they broadcast to. Throws Error naming both shapes. A tensor that
/// has the type already is referred to, so it must live as long.
class Operands {
  Tensor converted_a_, converted_b_;

 public:
  Operands(std::string_view op, const Tensor& first, const Tensor& second)
      : Operands(op, first, second, operand_dtype(op, first, second)) {}
  Operands(std::string_view op, const Tensor& first, const Tensor& second, DType wanted);
  template <class A, class B, class... Rest>
  requires(!std::is_lvalue_reference_v<A> || !std::is_lvalue_reference_v<B>)
      Operands(std::string_view, A&&, B&&, Rest...)
  = delete;  // a temporary would be gone before the loop
  Operands(const Operands&) = delete;
  Operands& operator=(const Operands&) = delete;

  DType dtype;
  Shape shape;
  const Tensor &a, &b;
  /// Uninitialised, of the broadcast shape, laid out like an operand of that shape.
  Tensor empty(DType result) const { return empty_for(shape, result, {&a, &b}); }
};

}  // namespace lucid::kernels
