#include "ops/kernels/layout.hpp"

#include <algorithm>
#include <cstring>

#include "lucid/parallel.hpp"
#include "ops/kernels/elementwise.hpp"

namespace lucid::kernels {

void zero_bytes(const Tensor& tensor) {
  Storage& storage = *tensor.impl().storage;
  storage.bump_version();
  std::byte* data = storage.data();
  parallel_for(storage.bytes(), std::int64_t{1} << 20, [data](std::int64_t begin, std::int64_t end) {
    std::memset(data + begin, 0, static_cast<std::size_t>(end - begin));
  });
}

void fill_storage(const Tensor& tensor, const Scalar& value) {
  dispatch_all(tensor.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* data = tensor.data_to_write<T>();
    const T element = value.to<T>();
    parallel_for(tensor.numel(), kElementGrain,
                 [&](std::int64_t begin, std::int64_t end) { std::fill(data + begin, data + end, element); });
  });
}

Tensor densified(const Tensor& tensor) {
  if (tensor.is_dense()) return tensor;
  Tensor out = empty_in_order(tensor.shape(), tensor.strides(), tensor.dtype());
  copy(out, tensor);
  return out;
}

AxisBlocks blocks_around(const Shape& shape, const Strides& like, std::size_t axis) {
  AxisBlocks blocks;
  const auto axes = memory_order(like);
  bool before = true;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (axes[i] == axis) {
      blocks.size = shape[axis];
      before = false;
    } else {
      (before ? blocks.outer : blocks.inner) *= shape[axes[i]];
    }
  }
  return blocks;
}

}  // namespace lucid::kernels
