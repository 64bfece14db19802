#include "ops/kernels/arg_extremum.hpp"

#include <algorithm>
#include <limits>

#include "lucid/cpu.hpp"
#include "ops/kernels/classes.hpp"

namespace lucid::kernels {
namespace {

constexpr std::int64_t kStep = 64;        // values of each run in scratch at once
constexpr std::int64_t kLeastRuns = 128;  // which fill the lanes

template <class C>
struct Best {
  C values[kClassLanes];
  std::int32_t indices[kClassLanes];
};

// Takes `count` more values of each lane, whose positions start at `first`. x != x holds for NaN alone.
template <bool kLargest, class C>
LUCID_VECTORIZED void take(Best<C>& best, const C* v, std::int64_t lanes, std::int64_t count,
                           std::int32_t first) {
  for (std::int64_t k = 0; k < count; ++k)
    for (std::int64_t i = 0; i < lanes; ++i) {
      const C x = v[k * kClassLanes + i], b = best.values[i];
      const bool better = (kLargest ? x > b : x < b) | ((x != x) & (b == b));
      best.values[i] = better ? x : b;
      best.indices[i] = better ? first + static_cast<std::int32_t>(k) : best.indices[i];
    }
}

// A run of nothing but the worst value, an infinity, reports position 0.
template <bool kLargest, class T>
void find(const Tensor& values, const Tensor& indices, const Tensor& input, std::size_t axis) {
  using C = Compute<T>;
  T* const found = values.defined() ? values.data_to_write<T>() : nullptr;
  std::int64_t* const at_index = indices.data_to_write<std::int64_t>();
  const T* const from = input.data<T>();
  const auto plan = plan_classes<3>(
      input.shape(), axis,
      {input.strides(), indices.strides(), values.defined() ? values.strides() : indices.strides()});
  constexpr C kWorst = kLargest ? -std::numeric_limits<C>::infinity() : std::numeric_limits<C>::infinity();
  parallel_for(plan.positions.numel, class_grain(plan.classes), [&](std::int64_t begin, std::int64_t end) {
    C scratch[kStep * kClassLanes];
    Best<C> best;
    for_class_blocks(plan, begin, end, [&](const auto& at, std::int64_t lanes) {
      std::fill_n(best.values, lanes, kWorst);
      std::fill_n(best.indices, lanes, 0);
      for (std::int64_t c = 0; c < plan.classes; c += kStep) {
        const std::int64_t count = std::min(kStep, plan.classes - c);
        load_classes(scratch, from + at[0] + c * plan.class_strides[0], lanes, plan.lane_strides[0], count,
                     plan.class_strides[0]);
        take<kLargest>(best, scratch, lanes, count, static_cast<std::int32_t>(c));
      }
      for (std::int64_t i = 0; i < lanes; ++i) at_index[at[1] + i * plan.lane_strides[1]] = best.indices[i];
      if (found)
        for (std::int64_t i = 0; i < lanes; ++i)
          found[at[2] + i * plan.lane_strides[2]] = static_cast<T>(best.values[i]);
    });
  });
}

}  // namespace

bool find_extrema(const Tensor& values, const Tensor& indices, const Tensor& input, std::size_t axis,
                  bool largest) {
  const std::int64_t runs = indices.numel(), length = runs > 0 ? input.numel() / runs : 0;
  if (!is_floating(input.dtype()) || runs < kLeastRuns || length > std::numeric_limits<std::int32_t>::max())
    return false;
  dispatch_floating("argmax", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    largest ? find<true, T>(values, indices, input, axis) : find<false, T>(values, indices, input, axis);
  });
  return true;
}

Tensor placed_along(const Tensor& source, const Tensor& indices, const Tensor& like, std::size_t axis) {
  const Tensor out = zeros_like(like);
  if (out.numel() == 0) return out;
  const auto plan = plan_classes<3>(like.shape(), axis, {out.strides(), indices.strides(), source.strides()});
  const std::int64_t* const at_index = indices.data<std::int64_t>();
  dispatch_floating("max", like.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* const to = out.data_to_write<T>();
    const T* const from = source.data<T>();
    parallel_rows(plan.positions, [&](const auto& at, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i)
        to[at[0] + i * plan.lane_strides[0] +
           at_index[at[1] + i * plan.lane_strides[1]] * plan.class_strides[0]] =
            from[at[2] + i * plan.lane_strides[2]];
    });
  });
  return out;
}

}  // namespace lucid::kernels
