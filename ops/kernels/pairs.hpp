#pragma once
// Sums over pairs of elements of two tensors of one shape, without storing what is summed.

#include <vector>

#include "ops/kernels/loop_plan.hpp"

namespace lucid::kernels {
namespace detail {

template <class T, class F>
LUCID_VECTORIZED double row_pairs(const T* a, const T* b, std::int64_t sa, std::int64_t sb, std::int64_t n,
                                  F f) {
  constexpr std::int64_t kLanes = 16;
  double lanes[kLanes] = {};
  std::int64_t k = 0;
  if (sa == 1 && sb == 1)
    for (; k + kLanes <= n; k += kLanes)
      for (std::int64_t i = 0; i < kLanes; ++i)
        lanes[i] +=
            static_cast<double>(f(static_cast<Compute<T>>(a[k + i]), static_cast<Compute<T>>(b[k + i])));
  for (; k < n; ++k)
    lanes[k % kLanes] +=
        static_cast<double>(f(static_cast<Compute<T>>(a[k * sa]), static_cast<Compute<T>>(b[k * sb])));
  for (std::int64_t half = kLanes / 2; half > 0; half /= 2)
    for (std::int64_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

}  // namespace detail

/// sum of f(a_i, b_i) in double. The elements are grouped by shape and strides alone, so the sum does not
/// depend on the number of threads.
template <class T, class F>
double sum_pairs(const Tensor& a, const Tensor& b, F f) {
  constexpr std::int64_t kShare = 1 << 14;
  const T *pa = a.data<T>(), *pb = b.data<T>();
  const auto plan = plan_loop<2>(a.shape(), {a.strides(), b.strides()});
  if (plan.numel == 0) return 0;
  const std::size_t inner = plan.rank - 1;
  std::vector<double> sums(static_cast<std::size_t>((plan.numel + kShare - 1) / kShare));
  parallel_for(static_cast<std::int64_t>(sums.size()), 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t share = first; share < last; ++share)
      for_rows(plan, share * kShare, std::min(plan.numel, (share + 1) * kShare),
               [&](const auto& at, std::int64_t n) {
                 sums[share] += detail::row_pairs(pa + at[0], pb + at[1], plan.strides[0][inner],
                                                  plan.strides[1][inner], n, f);
               });
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace lucid::kernels
