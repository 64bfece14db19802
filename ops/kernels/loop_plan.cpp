#include "ops/kernels/loop_plan.hpp"

#include <algorithm>

namespace lucid::kernels {

Strides broadcast_strides(const Tensor& tensor, const Shape& shape) {
  Strides out = Shape::filled(shape.size(), 0);
  const std::size_t skip = shape.size() - tensor.shape().size();
  for (std::size_t i = 0; i < tensor.shape().size(); ++i)
    out[skip + i] = tensor.shape()[i] == shape[skip + i] ? tensor.strides()[i] : 0;
  return out;
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

}  // namespace lucid::kernels
