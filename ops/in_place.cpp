#include "ops/in_place.hpp"

#include "autograd/grad_mode.hpp"
#include "autograd/node.hpp"
#include "autograd/op_timer.hpp"
#include "ops/arithmetic.hpp"
#include "ops/kernels/binary.hpp"

namespace lucid {
namespace ops {

bool must_record_change(std::string_view op, const Tensor& target, const Tensor& source) {
  check(target.defined(), op, "the tensor is undefined");
  const bool wanted = target.requires_grad() || (source.defined() && source.requires_grad());
  if (!autograd::is_recording() || !wanted) return false;
  if (target.requires_grad() && target.is_leaf())
    throw AutogradError(
        str(op,
            ": a leaf that requires a gradient can't be changed in place while recording; do it under "
            "lucid::no_grad, or use the out-of-place form"));
  if (target.impl().storage.use_count() > 1)
    throw AutogradError(
        str(op,
            ": the tensor shares its memory with a view or with a value saved for the backward pass, so "
            "the change can't be recorded; use the out-of-place form or clone() first"));
  return true;
}

void require_distinct(std::string_view op, const Tensor& target) {
  if (target.numel() == 0) return;
  for (std::size_t axis = 0; axis < target.shape().size(); ++axis)
    check(target.shape()[axis] <= 1 || target.strides()[axis] != 0, op, "axis ", axis,
          " of the tensor of shape ", target.shape(),
          " repeats the same elements; call contiguous() or clone() first");
}

namespace {

// The bytes from the first element in memory to behind the last one.
std::pair<const std::byte*, const std::byte*> extent(const Tensor& tensor) {
  std::int64_t first = tensor.offset(), last = first;
  for (std::size_t axis = 0; axis < tensor.shape().size(); ++axis) {
    const std::int64_t reach = (tensor.shape()[axis] - 1) * tensor.strides()[axis];
    (reach < 0 ? first : last) += reach;
  }
  const std::byte* const data = tensor.impl().storage->data();
  const auto size = static_cast<std::int64_t>(size_of(tensor.dtype()));
  return {data + first * size, data + (last + 1) * size};
}

}  // namespace

bool overlap(const Tensor& target, const Tensor& source) {
  if (target.numel() == 0 || source.numel() == 0) return false;
  const auto [begin, end] = extent(target);
  const auto [source_begin, source_end] = extent(source);
  if (end <= source_begin || source_end <= begin) return false;
  return begin != source_begin || target.dtype() != source.dtype() || target.shape() != source.shape() ||
         target.strides() != source.strides();
}

void replace(const Tensor& target, const Tensor& result) {
  kernels::copy(target, result);
  TensorImpl& impl = target.impl();
  impl.requires_grad = result.requires_grad();
  if (const auto node = result.grad_fn()) {
    autograd::Meta& meta = autograd::meta_of(target);
    meta.node = node;
    meta.result = autograd::meta_of(result).result;
    meta.hooks.reset();
  } else if (impl.autograd) {  // a leaf again
    impl.autograd->node.reset();
    impl.autograd->hooks.reset();
  }
}

}  // namespace ops

const Tensor& Tensor::fill_(const Scalar& value) const {
  check(defined(), "fill_", "the tensor is undefined");
  value.require_fits("fill_", dtype());
  if (ops::must_record_change("fill_", *this))
    ops::replace(*this, full(shape(), value, dtype()));
  else
    kernels::copy(*this, full({}, value, dtype()));
  return *this;
}

const Tensor& Tensor::copy_(const Tensor& source) const {
  check(defined(), "copy_", "the tensor is undefined");
  check(source.defined(), "copy_", "the source is undefined");
  check(broadcast_shapes("copy_", source.shape(), shape()) == shape(), "copy_", "source of shape ",
        source.shape(), " does not broadcast to ", shape());
  ops::require_distinct("copy_", *this);
  if (ops::must_record_change("copy_", *this, source))
    ops::replace(*this, source.to(dtype()).expand(shape()).clone());
  else
    kernels::copy(*this, ops::overlap(*this, source) ? source.detach().clone() : source);
  return *this;
}

namespace {

// target = compute(target, other), whose shape and type must be the target's own.
template <class Compute>
const Tensor& change(std::string_view op, const Tensor& target, const Tensor& other, Compute compute) {
  check(target.defined(), op, "the tensor is undefined");
  check(other.defined(), op, "the operand is undefined");
  check(broadcast_shapes(op, target.shape(), other.shape()) == target.shape(), op, "operand of shape ",
        other.shape(), " does not broadcast to ", target.shape());
  ops::require_distinct(op, target);
  if (ops::must_record_change(op, target, other)) {
    ops::replace(target, compute(target, other).to(target.dtype()));
  } else {
    const no_grad guard;
    kernels::copy(target, compute(target, other));
  }
  return target;
}

}  // namespace

const Tensor& Tensor::add_(const Tensor& other, double alpha) const {
  const autograd::OpTimer timer("add_");
  const bool plain = defined() && other.defined() && dtype() == other.dtype() && shape() == other.shape() &&
                     is_floating(dtype()) && !ops::overlap(*this, other);
  if (plain && !ops::must_record_change("add_", *this, other)) {
    ops::require_distinct("add_", *this);
    const auto scaled_sum = [alpha](auto a, auto b) { return a + static_cast<decltype(a)>(alpha) * b; };
    dispatch_floating("add_", dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      kernels::map<T, T, T>(*this, *this, other, scaled_sum);
    });
    return *this;
  }
  return change("add_", *this, other, [alpha](const Tensor& a, const Tensor& b) { return add(a, b, alpha); });
}

const Tensor& Tensor::mul_(const Tensor& other) const {
  return change("mul_", *this, other, [](const Tensor& a, const Tensor& b) {
    // The other's gradient asks for the values before the change.
    return mul(autograd::is_recording() && b.requires_grad() ? a.clone() : a, b);
  });
}

const Tensor& Tensor::mul_(const Scalar& other) const {
  check(defined(), "mul_", "the tensor is undefined");
  return mul_(kernels::wrap_scalar(other, *this));
}

}  // namespace lucid
