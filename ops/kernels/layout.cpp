#include "ops/kernels/layout.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "lucid/parallel.hpp"
#include "ops/kernels/elementwise.hpp"

namespace lucid::kernels {

namespace {

// Axes from the outermost in memory to the innermost.
using Order = std::array<std::size_t, Shape::kMaxRank>;
Order memory_order(const Strides& strides) {
  Order axes{};
  for (std::size_t i = 0; i < strides.size(); ++i) axes[i] = i;
  sort_axes(axes.data(), strides.size(),
            [&](std::size_t a, std::size_t b) { return strides[a] > strides[b]; });
  return axes;
}

}  // namespace

Strides strides_in_order(const Shape& shape, const Strides& like) {
  const Order axes = memory_order(like);
  Strides out = Shape::filled(shape.size(), 1);
  std::uint64_t step = 1;  // wraps for an empty tensor of enormous sizes, whose strides are never used
  for (std::size_t i = shape.size(); i-- > 0;) {
    out[axes[i]] = static_cast<std::int64_t>(step);
    step *= static_cast<std::uint64_t>(std::max<std::int64_t>(shape[axes[i]], 1));
  }
  return out;
}

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
  const Order axes = memory_order(like);
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
