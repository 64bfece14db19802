#include "ops/kernels/elementwise.hpp"

#include <algorithm>

#include "ops/kernels/transpose.hpp"

namespace lucid::kernels {

Strides broadcast_strides(const Tensor& tensor, const Shape& shape) {
  Strides out = Shape::filled(shape.size(), 0);
  const std::size_t skip = shape.size() - tensor.shape().size();
  for (std::size_t i = 0; i < tensor.shape().size(); ++i)
    out[skip + i] = tensor.shape()[i] == shape[skip + i] ? tensor.strides()[i] : 0;
  return out;
}

Tensor empty_for(const Shape& shape, DType dtype, std::initializer_list<const Tensor*> inputs) {
  for (const Tensor* input : inputs)
    if (input->shape() == shape && input->is_dense()) return empty_like(*input, dtype);
  return empty(shape, dtype);
}

template <std::size_t N>
LoopPlan<N> plan_loop(const Shape& shape, const std::array<Strides, N>& strides) {
  std::array<std::size_t, Shape::kMaxRank> axes{};
  LoopPlan<N> plan;
  plan.numel = 1;
  std::size_t count = 0;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    plan.numel *= shape[axis];
    if (shape[axis] != 1) axes[count++] = axis;
  }
  // Outermost first: descending strides of the first operand, of the later ones where those are equal.
  sort_axes(axes.data(), count, [&](std::size_t a, std::size_t b) {
    for (std::size_t k = 0; k < N; ++k)
      if (strides[k][a] != strides[k][b]) return strides[k][a] > strides[k][b];
    return false;
  });
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t axis = axes[i];
    bool merges = plan.rank > 0;
    for (std::size_t k = 0; merges && k < N; ++k)
      merges = plan.strides[k][plan.rank - 1] == strides[k][axis] * shape[axis];
    const std::size_t at = merges ? plan.rank - 1 : plan.rank++;
    plan.sizes[at] = merges ? plan.sizes[at] * shape[axis] : shape[axis];
    for (std::size_t k = 0; k < N; ++k) plan.strides[k][at] = strides[k][axis];
  }
  if (plan.rank == 0) {
    plan.rank = 1;
    plan.sizes[0] = 1;
    for (std::size_t k = 0; k < N; ++k) plan.strides[k][0] = 1;
  }
  return plan;
}

template LoopPlan<1> plan_loop(const Shape&, const std::array<Strides, 1>&);
template LoopPlan<2> plan_loop(const Shape&, const std::array<Strides, 2>&);
template LoopPlan<3> plan_loop(const Shape&, const std::array<Strides, 3>&);
template LoopPlan<4> plan_loop(const Shape&, const std::array<Strides, 4>&);

template <std::size_t N>
LoopPlan<N> plan_tensors(const std::array<const Tensor*, N>& tensors) {
  const Tensor& first = *tensors[0];
  std::array<std::int64_t, N> steps;
  bool one_run = first.is_dense();
  for (std::size_t k = 0; k < N && one_run; ++k) {
    const Tensor& tensor = *tensors[k];
    const bool alike = tensor.strides() == first.strides() && tensor.shape() == first.shape();
    steps[k] = alike ? 1 : 0;
    one_run = alike || tensor.numel() == 1;
  }
  if (one_run) {
    LoopPlan<N> plan;
    plan.rank = 1;
    plan.numel = plan.sizes[0] = first.numel();
    for (std::size_t k = 0; k < N; ++k) plan.strides[k][0] = steps[k];
    return plan;
  }
  std::array<Strides, N> strides;
  for (std::size_t k = 0; k < N; ++k) strides[k] = broadcast_strides(*tensors[k], first.shape());
  return plan_loop<N>(first.shape(), strides);
}

template LoopPlan<2> plan_tensors(const std::array<const Tensor*, 2>&);
template LoopPlan<3> plan_tensors(const std::array<const Tensor*, 3>&);
template LoopPlan<4> plan_tensors(const std::array<const Tensor*, 4>&);

template <std::size_t N>
void for_rows(const LoopPlan<N>& plan, std::int64_t begin, std::int64_t end,
              std::type_identity_t<RowFunction<N>> row) {
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

template <std::size_t N>
void parallel_rows(const LoopPlan<N>& plan, std::type_identity_t<RowFunction<N>> row) {
  if (plan.numel == 0) return;
  parallel_blocks(plan.numel, kElementGrain,
                  [&](std::int64_t begin, std::int64_t end) { for_rows(plan, begin, end, row); });
}

template void for_rows(const LoopPlan<1>&, std::int64_t, std::int64_t, RowFunction<1>);
template void for_rows(const LoopPlan<2>&, std::int64_t, std::int64_t, RowFunction<2>);
template void for_rows(const LoopPlan<3>&, std::int64_t, std::int64_t, RowFunction<3>);
template void for_rows(const LoopPlan<4>&, std::int64_t, std::int64_t, RowFunction<4>);
template void parallel_rows(const LoopPlan<1>&, RowFunction<1>);
template void parallel_rows(const LoopPlan<2>&, RowFunction<2>);
template void parallel_rows(const LoopPlan<3>&, RowFunction<3>);
template void parallel_rows(const LoopPlan<4>&, RowFunction<4>);

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
