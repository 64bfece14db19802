#pragma once
// Loops over the elements of tensors that broadcast to one shape. The output's memory order decides the order
// of the walk, so channels-last tensors are walked as fast as row-major ones.

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "lucid/parallel.hpp"
#include "lucid/tensor.hpp"

namespace lucid::kernels {

inline constexpr std::int64_t kElementGrain = 1 << 15;  // elements that are worth a thread

/// Element strides of `tensor` seen as `shape`: 0 on broadcast axes.
Strides broadcast_strides(const Tensor& tensor, const Shape& shape);

/// A new tensor of `shape` laid out like the first of `inputs` that is dense and of that shape; else
/// row-major.
Tensor empty_for(const Shape& shape, DType dtype, std::initializer_list<const Tensor*> inputs);

/// Sorts a few axes; stable. std::stable_sort allocates, which small tensors would notice.
template <class Less>
void sort_axes(std::size_t* axes, std::size_t count, Less&& less) {
  for (std::size_t i = 1; i < count; ++i)
    for (std::size_t j = i; j > 0 && less(axes[j], axes[j - 1]); --j) std::swap(axes[j], axes[j - 1]);
}

/// Axes merged and ordered so that the first operand is walked in memory order; the innermost axis is last.
/// What lies beyond `rank` is not set.
template <std::size_t N>
struct LoopPlan {
  std::size_t rank = 0;
  std::int64_t numel = 0;
  std::array<std::int64_t, Shape::kMaxRank> sizes;
  std::array<std::array<std::int64_t, Shape::kMaxRank>, N> strides;
};

template <std::size_t N>
LoopPlan<N> plan_loop(const Shape& shape, const std::array<Strides, N>& strides);
extern template LoopPlan<1> plan_loop(const Shape&, const std::array<Strides, 1>&);
extern template LoopPlan<2> plan_loop(const Shape&, const std::array<Strides, 2>&);
extern template LoopPlan<3> plan_loop(const Shape&, const std::array<Strides, 3>&);
extern template LoopPlan<4> plan_loop(const Shape&, const std::array<Strides, 4>&);

/// plan_loop for tensors that broadcast to the shape of the first, which needs no search where all have the
/// first's layout or one element.
template <std::size_t N>
LoopPlan<N> plan_tensors(const std::array<const Tensor*, N>& tensors);
extern template LoopPlan<2> plan_tensors(const std::array<const Tensor*, 2>&);
extern template LoopPlan<3> plan_tensors(const std::array<const Tensor*, 3>&);
extern template LoopPlan<4> plan_tensors(const std::array<const Tensor*, 4>&);

/// Calls row(offsets, count) for runs along the innermost axis that cover the elements [begin, end) in
/// walking order; offsets are in elements, one for each operand.
template <std::size_t N, class Row>
void for_rows(const LoopPlan<N>& plan, std::int64_t begin, std::int64_t end, Row&& row) {
  const std::size_t inner = plan.rank - 1;
  std::array<std::int64_t, Shape::kMaxRank> index;
  std::fill_n(index.begin(), plan.rank, 0);
  std::array<std::int64_t, N> offsets{};
  std::int64_t rest = begin;
  for (std::size_t axis = plan.rank; rest > 0 && axis-- > 0;) {
    index[axis] = rest % plan.sizes[axis];
    rest /= plan.sizes[axis];
    for (std::size_t k = 0; k < N; ++k) offsets[k] += index[axis] * plan.strides[k][axis];
  }
  while (begin < end) {
    const std::int64_t count = std::min(plan.sizes[inner] - index[inner], end - begin);
    row(offsets, count);
    begin += count;
    for (std::size_t k = 0; k < N; ++k) offsets[k] -= index[inner] * plan.strides[k][inner];
    index[inner] = 0;
    for (std::size_t axis = inner; axis-- > 0;) {
      for (std::size_t k = 0; k < N; ++k) offsets[k] += plan.strides[k][axis];
      if (++index[axis] < plan.sizes[axis]) break;
      for (std::size_t k = 0; k < N; ++k) offsets[k] -= plan.strides[k][axis] * plan.sizes[axis];
      index[axis] = 0;
    }
  }
}

template <std::size_t N, class Row>
void parallel_rows(const LoopPlan<N>& plan, Row&& row) {
  if (plan.numel == 0) return;
  parallel_for(plan.numel, kElementGrain,
               [&](std::int64_t begin, std::int64_t end) { for_rows(plan, begin, end, row); });
}

// One row each; strides in elements. Where all elements are of one floating type the unit-stride case is
// split off and vectorised; the many other combinations of types share one plain loop, which keeps compile
// times in bounds.
template <class O, class... In>
inline constexpr bool kHot = is_floating(dtype_of<O>()) && (std::is_same_v<O, In> && ...);

template <class T, class F>
LUCID_VECTORIZED void hot_row(T* out, const T* a, std::int64_t n, F f) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = f(a[i]);
}

template <class T, class F>
LUCID_VECTORIZED void hot_row(T* out, const T* a, const T* b, std::int64_t n, F f) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = f(a[i], b[i]);
}

template <class T, class F>
LUCID_VECTORIZED void hot_row(T* out, const T* a, T b, std::int64_t n, F f) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = f(a[i], b);
}

template <class T, class F>
LUCID_VECTORIZED void hot_row(T* out, const T* a, const T* b, const T* c, std::int64_t n, F f) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = f(a[i], b[i], c[i]);
}

template <class O, class A, class F>
void row_unary(O* out, const A* a, std::int64_t so, std::int64_t sa, std::int64_t n, F f) {
  if constexpr (kHot<O, A>)
    if (so == 1 && sa == 1) return hot_row(out, a, n, f);
  for (std::int64_t i = 0; i < n; ++i) out[i * so] = f(a[i * sa]);
}

template <class O, class A, class B, class F>
void row_binary(O* out, const A* a, const B* b, std::int64_t so, std::int64_t sa, std::int64_t sb,
                std::int64_t n, F f) {
  if constexpr (kHot<O, A, B>) {
    if (so == 1 && sa == 1 && sb == 1) return hot_row(out, a, b, n, f);
    if (so == 1 && sa == 1 && sb == 0) return hot_row(out, a, *b, n, f);
  }
  for (std::int64_t i = 0; i < n; ++i) out[i * so] = f(a[i * sa], b[i * sb]);
}

template <class O, class A, class B, class C, class F>
void row_ternary(O* out, const A* a, const B* b, const C* c, std::int64_t so, std::int64_t sa,
                 std::int64_t sb, std::int64_t sc, std::int64_t n, F f) {
  if constexpr (kHot<O, A, B, C>)
    if (so == 1 && sa == 1 && sb == 1 && sc == 1) return hot_row(out, a, b, c, n, f);
  for (std::int64_t i = 0; i < n; ++i) out[i * so] = f(a[i * sa], b[i * sb], c[i * sc]);
}

/// out[i] = f(a[i]); `a` broadcasts to out's shape. O and A are the element types.
template <class O, class A, class F>
void map(const Tensor& out, const Tensor& a, F f) {
  O* po = out.mutable_data<O>();
  const A* pa = a.data<A>();
  const auto plan = plan_tensors<2>({&out, &a});
  const std::size_t inner = plan.rank - 1;
  parallel_rows(plan, [&](const auto& at, std::int64_t n) {
    row_unary(po + at[0], pa + at[1], plan.strides[0][inner], plan.strides[1][inner], n, f);
  });
}

/// out[i] = f(a[i], b[i]); both broadcast to out's shape.
template <class O, class A, class B, class F>
void map(const Tensor& out, const Tensor& a, const Tensor& b, F f) {
  O* po = out.mutable_data<O>();
  const A* pa = a.data<A>();
  const B* pb = b.data<B>();
  const auto plan = plan_tensors<3>({&out, &a, &b});
  const std::size_t inner = plan.rank - 1;
  parallel_rows(plan, [&](const auto& at, std::int64_t n) {
    row_binary(po + at[0], pa + at[1], pb + at[2], plan.strides[0][inner], plan.strides[1][inner],
               plan.strides[2][inner], n, f);
  });
}

/// out[i] = f(a[i], b[i], c[i]); all broadcast to out's shape.
template <class O, class A, class B, class C, class F>
void map(const Tensor& out, const Tensor& a, const Tensor& b, const Tensor& c, F f) {
  O* po = out.mutable_data<O>();
  const A* pa = a.data<A>();
  const B* pb = b.data<B>();
  const C* pc = c.data<C>();
  const auto plan = plan_tensors<4>({&out, &a, &b, &c});
  const std::size_t inner = plan.rank - 1;
  parallel_rows(plan, [&](const auto& at, std::int64_t n) {
    row_ternary(po + at[0], pa + at[1], pb + at[2], pc + at[3], plan.strides[0][inner],
                plan.strides[1][inner], plan.strides[2][inner], plan.strides[3][inner], n, f);
  });
}

/// Copies `source`, broadcast and converted, into `target`. Not recorded.
void copy(const Tensor& target, const Tensor& source);

}  // namespace lucid::kernels
