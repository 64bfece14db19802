#include "ops/kernels/layout.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "lucid/parallel.hpp"

namespace lucid::kernels {

Strides strides_in_order(const Shape& shape, const Strides& like) {
  std::array<std::size_t, Shape::kMaxRank> axes{};
  for (std::size_t i = 0; i < shape.size(); ++i) axes[i] = i;
  std::stable_sort(axes.begin(), axes.begin() + shape.size(),
                   [&](std::size_t a, std::size_t b) { return like[a] > like[b]; });
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

}  // namespace lucid::kernels
