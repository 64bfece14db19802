#include "ops/kernels/ties.hpp"

namespace lucid::kernels {

Tensor tie_weights(const Tensor& input, const Tensor& reduced, const Axes& axes) {
  Tensor weights = empty_like(input);
  const Tensor counts = empty_reduced(input, axes, input.dtype());
  dispatch_floating("amax", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    map<T, T, T>(weights, input, reduced,
                 [](auto a, auto b) { return a == b || (a != a && b != b) ? 1.0f : 0.0f; });
    sum(counts, weights, axes);
    // Without a tie, the common case, the mask is already right.
    map<T, T, T>(weights, weights, counts, [](auto a, auto b) { return a / b; });
  });
  return weights;
}

Tensor one_hot_along(const Tensor& indices, const Tensor& like, std::size_t axis) {
  const Shape& shape = like.shape();
  Shape along = Shape::filled(shape.size(), 1);
  if (!shape.empty()) along[axis] = shape[axis];
  const Tensor positions = arange(shape.empty() ? 1 : shape[axis]);
  const Tensor line = alias(positions, along, contiguous_strides(along), 0);
  const Tensor out = empty_like(like);
  dispatch_floating("max", like.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    map<T, std::int64_t, std::int64_t>(out, indices, line, [](auto a, auto b) { return a == b ? 1 : 0; });
  });
  return out;
}

Tensor zero_mask(const Tensor& input) {
  const Tensor out = empty_like(input);
  dispatch_floating("zero_mask", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    map<T, T>(out, input, [](auto x) { return x == 0 ? 1.0f : 0.0f; });
  });
  return out;
}

Tensor signs(const Tensor& input) {
  const Tensor out = empty_like(input);
  dispatch_floating("sign", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    map<T, T>(out, input, [](auto x) { return x > 0 ? decltype(x)(1) : x < 0 ? decltype(x)(-1) : x; });
  });
  return out;
}

}  // namespace lucid::kernels
