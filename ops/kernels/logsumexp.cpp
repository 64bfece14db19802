#include "ops/kernels/logsumexp.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "ops/kernels/classes.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/kernels/math.hpp"

namespace lucid::kernels {
namespace {

// One axis of at most so many values is taken block by block, without a copy of the input.
constexpr std::int64_t kMostOfBlock = 1024;

// What is subtracted from every x: its largest. An infinite one would take the others with it.
template <class C>
C reference_of(C largest) {
  return std::fabs(largest) < std::numeric_limits<C>::infinity() ? largest : C(0);
}

// `v` becomes e^(v - reference).
template <class C>
LUCID_VECTORIZED void block_powers(C* v, std::int64_t lanes, std::int64_t classes, C* reference,
                                   double* sums) {
  largest_class(v, lanes, classes, reference);
  for (std::int64_t i = 0; i < lanes; ++i) {
    reference[i] = reference_of(reference[i]);
    sums[i] = 0;
  }
  for (std::int64_t c = 0; c < classes; ++c, v += kClassLanes)
    for (std::int64_t i = 0; i < lanes; ++i) {
      v[i] = math::exp(v[i] - reference[i]);
      sums[i] += static_cast<double>(v[i]);
    }
}

template <class C>
struct BlockScratch {
  explicit BlockScratch(std::int64_t classes) : values(static_cast<std::size_t>(classes * kClassLanes)) {}
  // Of a block of `plan`'s operand k that begins at `x`.
  template <class T, std::size_t N>
  void take_powers(const T* x, std::int64_t lanes, const ClassPlan<N>& plan, std::size_t k) {
    load_classes(values.data(), x, lanes, plan.lane_strides[k], plan.classes, plan.class_strides[k]);
    block_powers(values.data(), lanes, plan.classes, reference, sums);
  }
  std::vector<C> values;
  C reference[kClassLanes];
  double sums[kClassLanes];
};

template <class T>
void forward_by_blocks(const Tensor& out, const Tensor& input, std::size_t axis) {
  using C = Compute<T>;
  T* const to = out.data_to_write<T>();
  const T* const from = input.data<T>();
  const auto plan = plan_classes<2>(input.shape(), axis, {input.strides(), out.strides()});
  parallel_for(plan.positions.numel, class_grain(plan.classes), [&](std::int64_t begin, std::int64_t end) {
    BlockScratch<C> s(plan.classes);
    for_class_blocks(plan, begin, end, [&](const auto& at, std::int64_t lanes) {
      s.take_powers(from + at[0], lanes, plan, 0);
      for (std::int64_t i = 0; i < lanes; ++i)
        to[at[1] + i * plan.lane_strides[1]] =
            static_cast<T>(static_cast<C>(static_cast<double>(s.reference[i]) + std::log(s.sums[i])));
    });
  });
}

template <class T>
void backward_by_blocks(const Tensor& out, const Tensor& grad, const Tensor& input, std::size_t axis) {
  using C = Compute<T>;
  T* const to = out.data_to_write<T>();
  const T *const from = input.data<T>(), *const g = grad.data<T>();
  const auto plan = plan_classes<3>(input.shape(), axis, {out.strides(), input.strides(), grad.strides()});
  parallel_for(plan.positions.numel, class_grain(plan.classes), [&](std::int64_t begin, std::int64_t end) {
    BlockScratch<C> s(plan.classes);
    for_class_blocks(plan, begin, end, [&](const auto& at, std::int64_t lanes) {
      s.take_powers(from + at[1], lanes, plan, 1);
      for (std::int64_t i = 0; i < lanes; ++i)
        s.reference[i] = static_cast<C>(
            static_cast<double>(static_cast<C>(g[at[2] + i * plan.lane_strides[2]])) / s.sums[i]);
      C* v = s.values.data();
      for (std::int64_t c = 0; c < plan.classes; ++c, v += kClassLanes)
        for (std::int64_t i = 0; i < lanes; ++i) v[i] *= s.reference[i];
      store_classes(to + at[0], s.values.data(), lanes, plan.lane_strides[0], plan.classes,
                    plan.class_strides[0]);
    });
  });
}

// Passes over a NaN, which the sum does not.
template <class T>
struct LargestReducer {
  using State = T;
  static constexpr bool kOrdered = false;
  T* out;
  State init(std::int64_t) const { return -std::numeric_limits<T>::infinity(); }
  State fresh(State) const { return init(0); }
  void step(State& state, T element, std::int64_t) const { state = element > state ? element : state; }
  void combine(State& state, State other) const { step(state, other, 0); }
  void store(State state, std::int64_t offset) const { out[offset] = reference_of(state); }
};

template <class T>
struct SumReducer {
  using State = double;
  static constexpr bool kOrdered = false;
  double* out;
  State init(std::int64_t) const { return 0; }
  State fresh(State) const { return 0; }
  void step(State& state, T element, std::int64_t) const { state += static_cast<double>(element); }
  void combine(State& state, State other) const { state += other; }
  void store(State state, std::int64_t offset) const { out[offset] = state; }
};

// For any axes: e^(x - reference) of the whole input, in the type of computation.
template <class T>
struct Powers {
  using C = Compute<T>;
  Powers(const Tensor& input, const Axes& axes)
      : values(empty_like(input, dtype_of<C>())),
        reference(empty_reduced(input, axes, dtype_of<C>())),
        sums(empty_reduced(input, axes, f64)) {
    copy(values, input);
    reduce<C>(reference, values, axes, LargestReducer<C>{reference.template data_to_write<C>()});
    map<C, C, C>(values, values, reference, [](C x, C r) { return math::exp(x - r); });
    reduce<C>(sums, values, axes, SumReducer<C>{sums.template data_to_write<double>()});
  }
  Tensor values, reference, sums;
};

// The axis to take by blocks.
bool goes_by_blocks(const Tensor& input, const Axes& axes) {
  if (axes.size() != 1 || axes[0] >= input.shape().size()) return false;
  const std::int64_t size = input.shape()[axes[0]];
  return size <= kMostOfBlock && input.numel() / size >= kClassLanes;
}

}  // namespace

void logsumexp(const Tensor& out, const Tensor& input, const Axes& axes) {
  dispatch_floating("logsumexp", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    if (goes_by_blocks(input, axes)) return forward_by_blocks<T>(out, input, axes[0]);
    const Powers<T> powers(input, axes);
    map<T, C, double>(out, powers.reference, powers.sums,
                      [](C r, double sum) { return static_cast<C>(static_cast<double>(r) + std::log(sum)); });
  });
}

void logsumexp_backward(const Tensor& grad_input, const Tensor& grad, const Tensor& input, const Axes& axes) {
  dispatch_floating("logsumexp", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    if (goes_by_blocks(input, axes)) return backward_by_blocks<T>(grad_input, grad, input, axes[0]);
    const Powers<T> powers(input, axes);
    const Tensor& scale = powers.reference;  // which has served
    map<C, T, double>(scale, grad, powers.sums,
                      [](C g, double sum) { return static_cast<C>(static_cast<double>(g) / sum); });
    if constexpr (std::is_same_v<T, C>)
      map<T, T, T>(grad_input, powers.values, scale, [](T power, T s) { return power * s; });
    else
      map<T, C, C>(grad_input, powers.values, scale, [](C power, C s) { return power * s; });
  });
}

}  // namespace lucid::kernels
