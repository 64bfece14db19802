#include "lucid/tensor.hpp"

#include <cstring>
#include <utility>

#include "lucid/small_blocks.hpp"

namespace lucid {
namespace {

// Calls f(element offset) in logical row-major order.
template <class F>
void for_each_offset(const Shape& shape, const Strides& strides, std::int64_t numel, F&& f) {
  if (numel == 0) return;
  Shape index = Shape::filled(shape.size(), 0);
  std::int64_t offset = 0;
  for (;;) {
    f(offset);
    std::size_t axis = shape.size();
    while (axis-- > 0) {
      offset += strides[axis];
      if (++index[axis] < shape[axis]) break;
      offset -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
    if (axis == static_cast<std::size_t>(-1)) return;
  }
}

}  // namespace

void Tensor::require_dtype(DType wanted) const {
  check(defined(), "tensor", "an undefined tensor has no data");
  check(dtype() == wanted, "tensor", "data of type ", wanted, " asked of a tensor of type ", dtype(),
        "; convert it with .to()");
}

Tensor Tensor::from_bytes(std::span<const std::byte> bytes, std::int64_t count, const Shape& shape,
                          DType dtype) {
  const std::int64_t numel = checked_numel("Tensor::from", shape);
  check(count == numel, "Tensor::from", count, " values given, shape ", shape, " holds ", numel);
  Tensor out = empty(shape, dtype);
  if (numel) std::memcpy(out.impl().storage->data(), bytes.data(), bytes.size());
  return out;
}

Tensor Tensor::from(std::initializer_list<double> values, const Shape& shape, DType dtype) {
  return dispatch_all(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const std::int64_t numel = checked_numel("Tensor::from", shape);
    check(static_cast<std::int64_t>(values.size()) == numel, "Tensor::from", values.size(),
          " values given, shape ", shape, " holds ", numel);
    Tensor out = empty(shape, dtype);
    T* data = out.data_to_write<T>();
    for (double value : values) *data++ = static_cast<T>(value);
    return out;
  });
}

Tensor Tensor::from_blob(void* data, const Shape& shape, const Strides& strides, DType dtype,
                         std::function<void()> release) {
  check(strides.size() == shape.size(), "Tensor::from_blob", "strides ", strides, " do not fit shape ",
        shape);
  auto impl = detail::make_small<TensorImpl>();
  impl->numel = checked_numel("Tensor::from_blob", shape);
  std::int64_t extent = impl->numel ? 1 : 0;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    check(strides[i] >= 0, "Tensor::from_blob", "strides ", strides, " must not be negative");
    if (impl->numel == 0) continue;
    extent = checked_add("Tensor::from_blob", "extent", extent,
                         checked_mul("Tensor::from_blob", "extent", shape[i] - 1, strides[i]));
  }
  check(data || extent == 0, "Tensor::from_blob", "no memory (a null pointer) for shape ", shape);
  const std::int64_t bytes = checked_mul("Tensor::from_blob", "bytes", extent, size_of(dtype));
  impl->storage = detail::make_small<Storage>(data, bytes, std::move(release));
  impl->shape = shape;
  impl->strides = strides;
  impl->dtype = dtype;
  return Tensor(std::move(impl));
}

Tensor alias(const Tensor& base, const Shape& shape, const Strides& strides, std::int64_t offset) {
  auto impl = detail::make_small<TensorImpl>();
  impl->storage = base.impl().storage;
  impl->shape = shape;
  impl->strides = strides;
  impl->offset = offset;
  impl->dtype = base.dtype();
  impl->numel = checked_numel("alias", shape);
  return Tensor(std::move(impl));
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  check(defined(), "to_vector", "the tensor is undefined");
  std::vector<T> out;
  try {
    out.reserve(static_cast<std::size_t>(numel()));
  } catch (const std::exception&) {  // an expanded tensor may name more elements than memory holds
    raise("to_vector", "no memory for the ", numel(), " elements of shape ", shape(),
          "; take a part of them");
  }
  dispatch_all(dtype(), [&](auto tag) {
    using Source = typename decltype(tag)::type;
    const Source* source = data<Source>();
    for_each_offset(shape(), strides(), numel(), [&](std::int64_t i) {
      // bfloat16 passes through float on its way to anything else
      out.push_back(static_cast<T>(static_cast<Compute<Source>>(source[i])));
    });
  });
  return out;
}

template <class T>
T Tensor::item() const {
  check(defined(), "item", "the tensor is undefined");
  check(numel() == 1, "item", "the tensor has shape ", shape(), "; exactly one element is required");
  return to_vector<T>()[0];
}

#define LUCID_INSTANTIATE(T)          \
  template T Tensor::item<T>() const; \
  template std::vector<T> Tensor::to_vector<T>() const;
LUCID_INSTANTIATE(float)
LUCID_INSTANTIATE(double)
LUCID_INSTANTIATE(bfloat16)
LUCID_INSTANTIATE(std::int64_t)
LUCID_INSTANTIATE(std::int32_t)
LUCID_INSTANTIATE(std::uint8_t)
LUCID_INSTANTIATE(bool)
#undef LUCID_INSTANTIATE

}  // namespace lucid
