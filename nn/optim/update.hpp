#pragma once
// The loop of one optimiser step: each element of a parameter, its gradient and its state in one pass.

#include <array>
#include <cstdint>
#include <utility>

#include "lucid/parallel.hpp"
#include "lucid/tensor.hpp"
#include "nn/optim/optimizer.hpp"

namespace lucid::optim::detail {

inline constexpr std::int64_t kUpdateGrain = 1 << 14;  // elements that are worth a thread

// f(p, g, s...) changes the parameter and the states. T: the parameter's type, S: that of the states and of
// the computation. The arrays don't overlap.
template <class T, class S, class F>
LUCID_VECTORIZED void update_range(T* __restrict p, const T* __restrict g, std::int64_t n, F f) {
  for (std::int64_t i = 0; i < n; ++i) {
    S value = p[i];
    f(value, static_cast<S>(g[i]));
    p[i] = static_cast<T>(value);
  }
}

template <class T, class S, class F>
LUCID_VECTORIZED void update_range(T* __restrict p, const T* __restrict g, S* __restrict a, std::int64_t n,
                                   F f) {
  for (std::int64_t i = 0; i < n; ++i) {
    S value = p[i];
    f(value, static_cast<S>(g[i]), a[i]);
    p[i] = static_cast<T>(value);
  }
}

template <class T, class S, class F>
LUCID_VECTORIZED void update_range(T* __restrict p, const T* __restrict g, S* __restrict a, S* __restrict b,
                                   std::int64_t n, F f) {
  for (std::int64_t i = 0; i < n; ++i) {
    S value = p[i];
    f(value, static_cast<S>(g[i]), a[i], b[i]);
    p[i] = static_cast<T>(value);
  }
}

template <class T, class S, class F>
LUCID_VECTORIZED void update_range(T* __restrict p, const T* __restrict g, S* __restrict a, S* __restrict b,
                                   S* __restrict c, std::int64_t n, F f) {
  for (std::int64_t i = 0; i < n; ++i) {
    S value = p[i];
    f(value, static_cast<S>(g[i]), a[i], b[i], c[i]);
    p[i] = static_cast<T>(value);
  }
}

/// The slot's elements, zero (or `initial`) when it is used for the first time. States are kept in the type
/// of computation: float32 for a bfloat16 parameter.
const Tensor& slot_of(ParamState& state, std::size_t slot, const Tensor& param, double initial = 0);

/// Calls f(value, gradient, state...) for each element of `param`, in `param`'s type of computation.
/// `slots` are the numbers of the states that f changes, which exist.
template <std::size_t K, class F>
void update_elements(const Tensor& param, const Tensor& grad, const ParamState& state,
                     const std::array<std::size_t, K>& slots, F f) {
  dispatch_floating("step", param.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using S = Compute<T>;
    T* const p = param.data_to_write<T>();
    const T* const g = grad.data<T>();
    std::array<S*, K + 1> s{};
    for (std::size_t k = 0; k + 1 <= K; ++k) s[k] = state.slots[slots[k]].template data_to_write<S>();
    parallel_blocks(param.numel(), kUpdateGrain, [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t n = end - begin;
      if constexpr (K == 0) update_range<T, S>(p + begin, g + begin, n, f);
      if constexpr (K == 1) update_range<T, S>(p + begin, g + begin, s[0] + begin, n, f);
      if constexpr (K == 2) update_range<T, S>(p + begin, g + begin, s[0] + begin, s[1] + begin, n, f);
      if constexpr (K == 3)
        update_range<T, S>(p + begin, g + begin, s[0] + begin, s[1] + begin, s[2] + begin, n, f);
    });
  });
}

}  // namespace lucid::optim::detail
