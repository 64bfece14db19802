#include "ops/kernels/reduce.hpp"

#include <algorithm>
#include <numeric>

namespace lucid::kernels {
namespace {

bool contains(const Axes& axes, std::size_t axis) { return std::ranges::find(axes, axis) != axes.end(); }

template <class In, class Out>
struct SumReducer {
  using State = Accumulator<In>;
  static constexpr bool kOrdered = false;
  Out* out;
  State init(std::int64_t) const { return 0; }
  State fresh(State) const { return 0; }
  void step(State& state, In element, std::int64_t) const { state += static_cast<State>(element); }
  void combine(State& state, const State& other) const { state += other; }
  void store(const State& state, std::int64_t offset) const { out[offset] = static_cast<Out>(state); }
};

template <class In, class Out>
struct MeanReducer : SumReducer<In, Out> {
  double divisor;
  void store(const double& state, std::int64_t offset) const {
    this->out[offset] = static_cast<Out>(state / divisor);
  }
};

}  // namespace

ReducePlan plan_reduce(const Tensor& result, const Tensor& input, const Axes& axes) {
  Shape kept, reduced;
  Strides kept_in, kept_out, reduced_in;
  for (std::size_t axis = 0; axis < input.shape().size(); ++axis) {
    if (contains(axes, axis)) {
      reduced.push_back(input.shape()[axis]);
      reduced_in.push_back(input.strides()[axis]);
    } else {
      kept.push_back(input.shape()[axis]);
      kept_in.push_back(input.strides()[axis]);
      kept_out.push_back(result.strides()[axis]);
    }
  }
  return {plan_loop<2>(kept, {kept_in, kept_out}), plan_loop<1>(reduced, {reduced_in})};
}

Tensor empty_reduced(const Tensor& input, const Axes& axes, DType dtype) {
  Shape shape = input.shape();
  for (const std::size_t axis : axes)
    if (axis < shape.size()) shape[axis] = 1;
  std::array<std::size_t, Shape::kMaxRank> order{};
  std::iota(order.begin(), order.begin() + shape.size(), 0);
  sort_axes(order.data(), shape.size(),
            [&](std::size_t a, std::size_t b) { return input.strides()[a] > input.strides()[b]; });
  Strides strides = shape;
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[order[i]] = stride;
    stride *= std::max<std::int64_t>(1, shape[order[i]]);
  }
  return empty_strided(shape, strides, dtype);
}

Tensor drop_axes(Tensor reduced, const Axes& axes) {
  Shape shape;
  Strides strides;
  for (std::size_t axis = 0; axis < reduced.shape().size(); ++axis)
    if (!contains(axes, axis)) {
      shape.push_back(reduced.shape()[axis]);
      strides.push_back(reduced.strides()[axis]);
    }
  if (reduced.handle().use_count() > 1 || reduced.impl().autograd)
    return alias(reduced, shape, strides, reduced.offset());
  reduced.impl().shape = shape;
  reduced.impl().strides = strides;
  return reduced;
}

Axes broadcast_axes(const Shape& from, const Shape& to) {
  Axes axes;
  const std::size_t skip = to.size() - from.size();
  for (std::size_t axis = 0; axis < to.size(); ++axis)
    if (axis < skip || from[axis - skip] != to[axis]) axes.push_back(axis);
  return axes;
}

void sum(const Tensor& result, const Tensor& input, const Axes& axes, double divisor) {
  if (!is_floating(input.dtype())) {
    std::int64_t* out = result.data_to_write<std::int64_t>();
    dispatch_all(input.dtype(), [&](auto tag) {
      using In = typename decltype(tag)::type;
      if constexpr (std::is_same_v<Accumulator<In>, std::uint64_t>)
        reduce<In>(result, input, axes, SumReducer<In, std::int64_t>{out});
    });
    return;
  }
  dispatch_floating("sum", input.dtype(), [&](auto tag) {
    using In = typename decltype(tag)::type;
    In* out = result.data_to_write<In>();
    if (divisor == 1.0)
      reduce<In>(result, input, axes, SumReducer<In, In>{out});
    else
      reduce<In>(result, input, axes, MeanReducer<In, In>{{out}, divisor});
  });
}

}  // namespace lucid::kernels
