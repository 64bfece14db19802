#pragma once
// Loops over tensors with a class axis: (N, C, spatial...) seen as positions, each with C values. A block of
// positions is brought into class-major scratch, v[c * kClassLanes + lane], so that the arithmetic runs along
// positions and vectorises whatever the layout and however few the classes are.

#include <algorithm>
#include <array>
#include <vector>

#include "lucid/cpu.hpp"
#include "ops/kernels/loop_plan.hpp"
#include "ops/kernels/math.hpp"
#include "ops/kernels/transpose.hpp"

namespace lucid::kernels {

inline constexpr std::int64_t kClassLanes = 64;  // positions of one block

template <std::size_t N>
struct ClassPlan {
  LoopPlan<N> positions;
  std::int64_t classes = 1;
  std::array<std::int64_t, N> class_strides{};
  std::array<std::int64_t, N> lane_strides{};  // along the innermost axis of the positions
};

/// `strides[k]` are operand k's for `shape`; a rank 0 shape is one position of one class.
template <std::size_t N>
ClassPlan<N> plan_classes(const Shape& shape, std::size_t axis, std::array<Strides, N> strides) {
  ClassPlan<N> plan;
  Shape positions = shape;
  if (!shape.empty()) {
    plan.classes = shape[axis];
    positions.erase(axis);
    for (std::size_t k = 0; k < N; ++k) {
      plan.class_strides[k] = strides[k][axis];
      strides[k].erase(axis);
    }
  }
  plan.positions = plan_loop<N>(positions, strides);
  for (std::size_t k = 0; k < N; ++k)
    plan.lane_strides[k] = plan.positions.strides[k][plan.positions.rank - 1];
  return plan;
}

/// Calls f(offsets, lanes) for blocks of at most kClassLanes positions that cover [begin, end).
template <std::size_t N, class F>
void for_class_blocks(const ClassPlan<N>& plan, std::int64_t begin, std::int64_t end, F&& f) {
  for_rows(plan.positions, begin, end, [&](std::array<std::int64_t, N> at, std::int64_t n) {
    for (std::int64_t done = 0; done < n; done += kClassLanes) {
      f(at, std::min(kClassLanes, n - done));
      for (std::size_t k = 0; k < N; ++k) at[k] += kClassLanes * plan.lane_strides[k];
    }
  });
}

/// Positions that are worth a thread.
inline std::int64_t class_grain(std::int64_t classes) {
  return std::max<std::int64_t>(kClassLanes, kElementGrain / 4 / std::max<std::int64_t>(1, classes));
}

namespace detail {

template <class C, class T>
LUCID_VECTORIZED void load_strided(C* v, const T* p, std::int64_t lanes, std::int64_t lane_stride,
                                   std::int64_t classes, std::int64_t class_stride) {
  if (class_stride < lane_stride) {
    for (std::int64_t i = 0; i < lanes; ++i)
      for (std::int64_t c = 0; c < classes; ++c)
        v[c * kClassLanes + i] = static_cast<C>(p[i * lane_stride + c * class_stride]);
  } else {
    for (std::int64_t c = 0; c < classes; ++c)
      for (std::int64_t i = 0; i < lanes; ++i)
        v[c * kClassLanes + i] = static_cast<C>(p[i * lane_stride + c * class_stride]);
  }
}

template <class C, class T>
LUCID_VECTORIZED void store_strided(T* p, const C* v, std::int64_t lanes, std::int64_t lane_stride,
                                    std::int64_t classes, std::int64_t class_stride) {
  if (class_stride < lane_stride) {
    for (std::int64_t i = 0; i < lanes; ++i)
      for (std::int64_t c = 0; c < classes; ++c)
        p[i * lane_stride + c * class_stride] = static_cast<T>(v[c * kClassLanes + i]);
  } else {
    for (std::int64_t c = 0; c < classes; ++c)
      for (std::int64_t i = 0; i < lanes; ++i)
        p[i * lane_stride + c * class_stride] = static_cast<T>(v[c * kClassLanes + i]);
  }
}

}  // namespace detail

/// Brings a block of positions into scratch, as C.
template <class C, class T>
void load_classes(C* v, const T* p, std::int64_t lanes, std::int64_t lane_stride, std::int64_t classes,
                  std::int64_t class_stride) {
  if constexpr (std::is_same_v<C, T>)
    if (class_stride == 1) return transpose(v, p, kClassLanes, lane_stride, classes, lanes);
  detail::load_strided(v, p, lanes, lane_stride, classes, class_stride);
}

/// Its inverse.
template <class C, class T>
void store_classes(T* p, const C* v, std::int64_t lanes, std::int64_t lane_stride, std::int64_t classes,
                   std::int64_t class_stride) {
  if constexpr (std::is_same_v<C, T>)
    if (class_stride == 1) return transpose(p, v, lane_stride, kClassLanes, lanes, classes);
  detail::store_strided(p, v, lanes, lane_stride, classes, class_stride);
}

/// The largest value of each lane; there is at least one class.
template <class C>
LUCID_VECTORIZED void largest_class(const C* v, std::int64_t lanes, std::int64_t classes, C* largest) {
  for (std::int64_t i = 0; i < lanes; ++i) largest[i] = v[i];
  for (std::int64_t c = 1; c < classes; ++c)
    for (std::int64_t i = 0; i < lanes; ++i) {
      const C x = v[c * kClassLanes + i];
      largest[i] = largest[i] < x ? x : largest[i];
    }
}

/// v becomes e^(v - largest); `sums` are those of the exponentials.
template <class C>
LUCID_VECTORIZED void exponentials(C* v, std::int64_t lanes, std::int64_t classes, const C* largest,
                                   C* sums) {
  for (std::int64_t i = 0; i < lanes; ++i) sums[i] = 0;
  for (std::int64_t c = 0; c < classes; ++c)
    for (std::int64_t i = 0; i < lanes; ++i) {
      const C e = math::exp(v[c * kClassLanes + i] - largest[i]);
      v[c * kClassLanes + i] = e;
      sums[i] += e;
    }
}

}  // namespace lucid::kernels
