#include "ops/kernels/ties.hpp"

namespace lucid::kernels {

Tensor tie_weights(const Tensor& input, const Tensor& reduced, const Axes& axes) {
  Tensor weights = empty_like(input);
  const Tensor counts = empty_reduced(input, axes, input.dtype());
  dispatch_floating("amax", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    map<T, T, T>(weights, input, reduced,
                 [](T a, T b) { return a == b || (a != a && b != b) ? T(1) : T(0); });
    sum(counts, weights, axes);
    // Without a tie, the common case, the mask is already right.
    map<T, T, T>(weights, weights, counts, [](T a, T b) { return static_cast<T>(a / b); });
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
    map<T, std::int64_t, std::int64_t>(out, indices, line,
                                       [](std::int64_t a, std::int64_t b) { return T(a == b ? 1 : 0); });
  });
  return out;
}

Tensor zero_mask(const Tensor& input) {
  const Tensor out = empty_like(input);
  dispatch_floating("zero_mask", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    map<T, T>(out, input, [](T x) { return x == T(0) ? T(1) : T(0); });
  });
  return out;
}

Tensor signs(const Tensor& input) {
  const Tensor out = empty_like(input);
  dispatch_floating("sign", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    map<T, T>(out, input, [](T x) { return x > T(0) ? T(1) : x < T(0) ? T(-1) : x; });
  });
  return out;
}

}  // namespace lucid::kernels
