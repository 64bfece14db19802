#include "ops/kernels/cross_entropy.hpp"

#include "ops/kernels/classes.hpp"

namespace lucid::kernels {
namespace {

constexpr std::int64_t kShare = 4096;  // positions whose losses are added up before the shares are

// The targets of one block: class indices (0 where ignored), and 1 or 0 for counted or ignored.
template <class C>
struct IndexLanes {
  std::int64_t index[kClassLanes];
  C weight[kClassLanes];
  C counted[kClassLanes];
};

template <class C, class I>
void read_indices(const ClassTargets& targets, const I* p, std::int64_t stride, std::int64_t lanes,
                  const std::vector<C>& weights, IndexLanes<C>& out) {
  const auto classes = static_cast<std::int64_t>(weights.size());
  for (std::int64_t i = 0; i < lanes; ++i) {
    const auto index = static_cast<std::int64_t>(p[i * stride]);
    const bool ignored = index == targets.ignore_index;
    if (!ignored && (index < 0 || index >= classes)) [[unlikely]]
      raise(targets.op, "target holds the class index ", index, ", input has ", classes, " classes; 0 to ",
            classes - 1, " are valid, and ignore_index, which is ", targets.ignore_index);
    out.index[i] = ignored ? 0 : index;
    out.weight[i] = ignored ? C(0) : weights[static_cast<std::size_t>(index)];
    out.counted[i] = ignored ? C(0) : C(1);
  }
}

template <class C>
void read_indices(const ClassTargets& targets, std::int64_t offset, std::int64_t stride, std::int64_t lanes,
                  const std::vector<C>& weights, IndexLanes<C>& out) {
  const Tensor& target = targets.target;
  if (target.dtype() == i64)
    read_indices(targets, target.data<std::int64_t>() + offset, stride, lanes, weights, out);
  else if (target.dtype() == i32)
    read_indices(targets, target.data<std::int32_t>() + offset, stride, lanes, weights, out);
  else
    read_indices(targets, target.data<std::uint8_t>() + offset, stride, lanes, weights, out);
}

// Strides of a tensor of the positions' shape (or one that broadcasts to it) with the class axis put in.
Strides position_strides(const Tensor& tensor, const Shape& shape, std::size_t axis) {
  Shape positions = shape;
  positions.erase(axis);
  Strides strides = broadcast_strides(tensor, positions);
  strides.insert(axis, 0);
  return strides;
}

bool is_indices(const ClassTargets& targets) { return !is_floating(targets.target.dtype()); }

Strides target_strides(const ClassTargets& targets, const Shape& shape) {
  return is_indices(targets) ? position_strides(targets.target, shape, targets.axis)
                             : targets.target.strides();
}

template <class C>
struct Scratch {
  Scratch(const ClassTargets& targets, std::int64_t classes)
      : weights(targets.weights.begin(), targets.weights.end()),
        x(static_cast<std::size_t>(classes * kClassLanes)),
        q(x.size()) {
    for (const C w : weights) weight_sum += w;
  }
  std::vector<C> weights;
  std::vector<C> x, q;  // class-major: inputs, what each class counts
  C weight_sum = 0;
  C largest[kClassLanes] = {}, sums[kClassLanes] = {};
  IndexLanes<C> indices;
};

// q from the indices, class by class: one comparison each, which vectorises.
template <class C>
LUCID_VECTORIZED void spread_indices(const IndexLanes<C>& t, const C* weights, std::int64_t lanes,
                                     std::int64_t classes, C keep, C share, C* q) {
  for (std::int64_t c = 0; c < classes; ++c)
    for (std::int64_t i = 0; i < lanes; ++i)
      q[c * kClassLanes + i] =
          weights[c] * ((t.index[i] == c ? keep * t.counted[i] : C(0)) + share * t.counted[i]);
}

template <class C>
LUCID_VECTORIZED void spread_probabilities(const C* weights, std::int64_t lanes, std::int64_t classes, C keep,
                                           C share, C* q) {
  for (std::int64_t c = 0; c < classes; ++c)
    for (std::int64_t i = 0; i < lanes; ++i)
      q[c * kClassLanes + i] = weights[c] * (keep * q[c * kClassLanes + i] + share);
}

// losses = sum_c q_c (largest - x_c) + sum(q) log(sum e^(x - largest)); x becomes the exponentials.
template <class C>
LUCID_VECTORIZED void block_losses(C* x, const C* q, std::int64_t lanes, std::int64_t classes, C* losses) {
  C largest[kClassLanes], sums[kClassLanes], total[kClassLanes];
  largest_class(x, lanes, classes, largest);
  for (std::int64_t i = 0; i < lanes; ++i) losses[i] = total[i] = 0;
  for (std::int64_t c = 0; c < classes; ++c)
    for (std::int64_t i = 0; i < lanes; ++i) {
      const std::int64_t at = c * kClassLanes + i;
      losses[i] += q[at] == C(0) ? C(0) : q[at] * (largest[i] - x[at]);
      total[i] += q[at];
    }
  exponentials(x, lanes, classes, largest, sums);
  for (std::int64_t i = 0; i < lanes; ++i) losses[i] += total[i] * math::log(sums[i]);
}

// x becomes scale * (sum(q) softmax(x) - q).
template <class C>
LUCID_VECTORIZED void block_gradient(C* x, const C* q, const C* scale, std::int64_t lanes,
                                     std::int64_t classes) {
  C largest[kClassLanes], sums[kClassLanes], total[kClassLanes];
  largest_class(x, lanes, classes, largest);
  exponentials(x, lanes, classes, largest, sums);
  for (std::int64_t i = 0; i < lanes; ++i) total[i] = 0;
  for (std::int64_t c = 0; c < classes; ++c)
    for (std::int64_t i = 0; i < lanes; ++i) total[i] += q[c * kClassLanes + i];
  for (std::int64_t i = 0; i < lanes; ++i) total[i] /= sums[i];
  for (std::int64_t c = 0; c < classes; ++c)
    for (std::int64_t i = 0; i < lanes; ++i) {
      const std::int64_t at = c * kClassLanes + i;
      x[at] = scale[i] * (total[i] * x[at] - q[at]);
    }
}

// Fills scratch.q for a block whose target starts at `offset`; returns the weight of its targets.
template <class T, class C>
double load_targets(const ClassTargets& targets, Scratch<C>& scratch, std::int64_t offset,
                    std::int64_t lane_stride, std::int64_t class_stride, std::int64_t lanes) {
  const auto classes = static_cast<std::int64_t>(scratch.weights.size());
  const C keep = static_cast<C>(1 - targets.smoothing);
  const C share = static_cast<C>(targets.smoothing / static_cast<double>(classes));
  if (!is_indices(targets)) {
    load_classes(scratch.q.data(), targets.target.data<T>() + offset, lanes, lane_stride, classes,
                 class_stride);
    spread_probabilities(scratch.weights.data(), lanes, classes, keep, share, scratch.q.data());
    return static_cast<double>(lanes);
  }
  read_indices(targets, offset, lane_stride, lanes, scratch.weights, scratch.indices);
  spread_indices(scratch.indices, scratch.weights.data(), lanes, classes, keep, share, scratch.q.data());
  double weight = 0;
  for (std::int64_t i = 0; i < lanes; ++i) weight += static_cast<double>(scratch.indices.weight[i]);
  return weight;
}

// Runs block(scratch, offsets, lanes) -> LossSums over all positions; the sums are added share by share, so
// that they don't depend on the number of threads.
template <class C, std::size_t N, class Block>
LossSums add_up(const ClassTargets& targets, const ClassPlan<N>& plan, Block block) {
  const std::int64_t positions = plan.positions.numel, shares = (positions + kShare - 1) / kShare;
  std::vector<LossSums> sums(static_cast<std::size_t>(shares));
  parallel_for(shares, 1, [&](std::int64_t first, std::int64_t last) {
    Scratch<C> scratch(targets, plan.classes);
    for (std::int64_t share = first; share < last; ++share)
      for_class_blocks(plan, share * kShare, std::min(positions, (share + 1) * kShare),
                       [&](const auto& at, std::int64_t lanes) {
                         const LossSums part = block(scratch, at, lanes);
                         sums[share].loss += part.loss;
                         sums[share].weight += part.weight;
                       });
  });
  LossSums total;
  for (const LossSums& sum : sums) {
    total.loss += sum.loss;
    total.weight += sum.weight;
  }
  return total;
}

// compute(scratch) leaves the block's losses in scratch.sums.
template <class T, class Compute>
LossSums run_forward(const ClassTargets& targets, const Tensor& input, const Tensor& losses,
                     Compute compute) {
  using C = lucid::Compute<T>;
  const Tensor& out = losses.defined() ? losses : input;  // operand 2 is read only when there are losses
  const auto plan = plan_classes<3>(
      input.shape(), targets.axis,
      {input.strides(), target_strides(targets, input.shape()),
       losses.defined() ? position_strides(losses, input.shape(), targets.axis) : input.strides()});
  const T* x = input.data<T>();
  T* po = losses.defined() ? out.mutable_data<T>() : nullptr;
  return add_up<C>(targets, plan, [&](Scratch<C>& scratch, const auto& at, std::int64_t lanes) {
    LossSums part;
    part.weight =
        load_targets<T>(targets, scratch, at[1], plan.lane_strides[1], plan.class_strides[1], lanes);
    load_classes(scratch.x.data(), x + at[0], lanes, plan.lane_strides[0], plan.classes,
                 plan.class_strides[0]);
    compute(scratch, lanes, plan.classes);
    for (std::int64_t i = 0; i < lanes; ++i) part.loss += static_cast<double>(scratch.sums[i]);
    if (po)
      for (std::int64_t i = 0; i < lanes; ++i)
        po[at[2] + i * plan.lane_strides[2]] = static_cast<T>(scratch.sums[i]);
    return part;
  });
}

}  // namespace

LossSums cross_entropy(const ClassTargets& targets, const Tensor& input, const Tensor& losses) {
  if (input.numel() == 0) return {};
  return dispatch_floating(targets.op, input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    return run_forward<T>(targets, input, losses,
                          [](auto& scratch, std::int64_t lanes, std::int64_t classes) {
                            block_losses(scratch.x.data(), scratch.q.data(), lanes, classes, scratch.sums);
                          });
  });
}

LossSums nll(const ClassTargets& targets, const Tensor& input, const Tensor& losses) {
  if (input.numel() == 0) return {};
  return dispatch_floating(targets.op, input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    return run_forward<T>(targets, input, losses, [](auto& scratch, std::int64_t lanes, std::int64_t) {
      // A weight of 0 takes no part, so that it may meet log(0).
      const auto& t = scratch.indices;
      for (std::int64_t i = 0; i < lanes; ++i)
        scratch.sums[i] = t.weight[i] == 0 ? 0 : -t.weight[i] * scratch.x[t.index[i] * kClassLanes + i];
    });
  });
}

void cross_entropy_backward(const ClassTargets& targets, const Tensor& grad_input, const Tensor& input,
                            const Tensor& scale) {
  if (input.numel() == 0) return;
  dispatch_floating(targets.op, input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const auto plan =
        plan_classes<4>(input.shape(), targets.axis,
                        {grad_input.strides(), input.strides(), target_strides(targets, input.shape()),
                         position_strides(scale, input.shape(), targets.axis)});
    T* out = grad_input.mutable_data<T>();
    const T *x = input.data<T>(), *s = scale.data<T>();
    const std::int64_t positions = plan.positions.numel;
    parallel_for(positions, class_grain(plan.classes), [&](std::int64_t begin, std::int64_t end) {
      Scratch<C> scratch(targets, plan.classes);
      for_class_blocks(plan, begin, end, [&](const auto& at, std::int64_t lanes) {
        load_targets<T>(targets, scratch, at[2], plan.lane_strides[2], plan.class_strides[2], lanes);
        load_classes(scratch.x.data(), x + at[1], lanes, plan.lane_strides[1], plan.classes,
                     plan.class_strides[1]);
        for (std::int64_t i = 0; i < lanes; ++i)
          scratch.sums[i] = static_cast<C>(s[at[3] + i * plan.lane_strides[3]]);
        block_gradient(scratch.x.data(), scratch.q.data(), scratch.sums, lanes, plan.classes);
        store_classes(out + at[0], scratch.x.data(), lanes, plan.lane_strides[0], plan.classes,
                      plan.class_strides[0]);
      });
    });
  });
}

Tensor class_indicators(const ClassTargets& targets, const Tensor& like) {
  const Tensor out = empty_like(like);
  if (like.numel() == 0) return out;
  dispatch_floating(targets.op, like.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const auto plan =
        plan_classes<2>(like.shape(), targets.axis, {out.strides(), target_strides(targets, like.shape())});
    T* po = out.mutable_data<T>();
    const std::vector<C> ones(static_cast<std::size_t>(plan.classes), C(1));
    parallel_for(plan.positions.numel, class_grain(plan.classes), [&](std::int64_t begin, std::int64_t end) {
      std::vector<C> h(ones.size() * kClassLanes);
      IndexLanes<C> indices;
      for_class_blocks(plan, begin, end, [&](const auto& at, std::int64_t lanes) {
        read_indices(targets, at[1], plan.lane_strides[1], lanes, ones, indices);
        spread_indices(indices, ones.data(), lanes, plan.classes, C(1), C(0), h.data());
        store_classes(po + at[0], h.data(), lanes, plan.lane_strides[0], plan.classes, plan.class_strides[0]);
      });
    });
  });
  return out;
}

}  // namespace lucid::kernels
