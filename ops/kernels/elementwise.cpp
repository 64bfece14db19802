#include "ops/kernels/elementwise.hpp"

#include <algorithm>

#include "ops/kernels/transpose.hpp"

namespace lucid::kernels {

Tensor empty_for(const Shape& shape, DType dtype, std::initializer_list<const Tensor*> inputs) {
  for (const Tensor* input : inputs)
    if (input->shape() == shape && input->is_dense()) return empty_like(*input, dtype);
  return empty(shape, dtype);
}

LUCID_VECTORIZED void widen(float* out, const bfloat16* in, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = in[i];
}

LUCID_VECTORIZED void narrow(bfloat16* out, const float* in, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = in[i];
}

namespace {

// Elements of one type keep their bits, which arithmetic does not promise for a NaN.
template <class T>
void copy_elements(const Tensor& target, const Tensor& source) {
  T* const to = target.data_to_write<T>();
  const T* const from = source.data<T>();
  const auto plan = plan_tensors<2>({&target, &source});
  const std::int64_t step = plan.strides[0][plan.rank - 1], step_from = plan.strides[1][plan.rank - 1];
  parallel_rows(plan, [&](const auto& at, std::int64_t n) {
    T* const out = to + at[0];
    const T* const in = from + at[1];
    if (step == 1 && step_from == 1)
      std::copy_n(in, n, out);
    else
      for (std::int64_t i = 0; i < n; ++i) out[i * step] = in[i * step_from];
  });
}

}  // namespace

void copy(const Tensor& target, const Tensor& source) {
  if (copy_transposed(target, source)) return;
  dispatch_all(target.dtype(), [&](auto to) {
    using To = typename decltype(to)::type;
    if (source.dtype() == target.dtype()) return copy_elements<To>(target, source);
    dispatch_all(source.dtype(), [&](auto from) {
      using From = typename decltype(from)::type;
      if constexpr (!std::is_same_v<To, From>) map<To, From>(target, source, [](auto x) { return x; });
    });
  });
}

}  // namespace lucid::kernels
