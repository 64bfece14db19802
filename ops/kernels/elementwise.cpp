#include "ops/kernels/elementwise.hpp"

#include <algorithm>

#include "ops/kernels/transpose.hpp"

namespace lucid::kernels {

Tensor empty_for(const Shape& shape, DType dtype, std::initializer_list<const Tensor*> inputs) {
  for (const Tensor* input : inputs)
    if (input->shape() == shape && input->is_dense()) return empty_like(*input, dtype);
  for (const Tensor* input : inputs)
    if (input->shape() == shape && !repeats_elements(shape, input->strides()))
      return empty_like(*input, dtype);
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
void copy_row(T* out, const T* in, std::int64_t step_out, std::int64_t step_in, std::int64_t n) {
  if (step_out == 1 && step_in == 1)
    std::copy_n(in, n, out);
  else if (step_out == 1 && step_in == 0)
    std::fill_n(out, n, *in);
  else
    for (std::int64_t i = 0; i < n; ++i) out[i * step_out] = in[i * step_in];
}

template <class T>
void copy_elements(const Tensor& target, const Tensor& source) {
  constexpr std::int64_t kShortRow = 16;  // columns of rows that are not worth a call each
  T* const to = target.data_to_write<T>();
  const T* const from = source.data<T>();
  auto plan = plan_tensors<2>({&target, &source});
  const std::size_t inner = plan.rank - 1;
  const std::int64_t columns = plan.sizes[inner], step = plan.strides[0][inner],
                     step_from = plan.strides[1][inner];
  if (plan.rank == 1 || columns >= kShortRow || plan.numel == 0)
    return parallel_rows(plan, [&](const auto& at, std::int64_t n) {
      copy_row(to + at[0], from + at[1], step, step_from, n);
    });
  plan.rank = inner;
  plan.numel /= columns;
  const std::int64_t row_step = plan.strides[0][inner - 1], row_step_from = plan.strides[1][inner - 1];
  parallel_blocks(plan.numel, kElementGrain / kShortRow, [&](std::int64_t begin, std::int64_t end) {
    for_rows(plan, begin, end, [&](const auto& at, std::int64_t n) {
      T* out = to + at[0];
      const T* in = from + at[1];
      for (std::int64_t i = 0; i < n; ++i, out += row_step, in += row_step_from)
        for (std::int64_t j = 0; j < columns; ++j) out[j * step] = in[j * step_from];
    });
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
