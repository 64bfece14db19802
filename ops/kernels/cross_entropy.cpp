#include "ops/kernels/cross_entropy.hpp"

namespace lucid::kernels {
namespace {

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

// -weight * scale at the target's class, 0 elsewhere.
template <class C>
LUCID_VECTORIZED void pick_gradient(const IndexLanes<C>& t, const C* scale, std::int64_t lanes,
                                    std::int64_t classes, C* out) {
  C picked[kClassLanes];
  for (std::int64_t i = 0; i < lanes; ++i) picked[i] = t.weight[i] == 0 ? C(0) : -t.weight[i] * scale[i];
  for (std::int64_t c = 0; c < classes; ++c)
    for (std::int64_t i = 0; i < lanes; ++i) out[c * kClassLanes + i] = t.index[i] == c ? picked[i] : C(0);
}

// compute(scratch, plan, x, lanes) leaves a block's losses in scratch.sums. It finds what the classes count
// in scratch.q; the block's inputs, operand 0, begin at `x`.
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
  T* po = losses.defined() ? out.data_to_write<T>() : nullptr;
  return add_up<C>(targets, plan, [&](ClassScratch<C>& scratch, const auto& at, std::int64_t lanes) {
    LossSums part;
    part.weight =
        load_targets<T>(targets, scratch, at[1], plan.lane_strides[1], plan.class_strides[1], lanes);
    compute(scratch, plan, x + at[0], lanes);
    for (std::int64_t i = 0; i < lanes; ++i) part.loss += static_cast<double>(scratch.sums[i]);
    if (po)
      for (std::int64_t i = 0; i < lanes; ++i)
        po[at[2] + i * plan.lane_strides[2]] = static_cast<T>(scratch.sums[i]);
    return part;
  });
}

// compute(scratch, plan, offset, lanes) leaves the gradient of a block in scratch.x. It finds what the
// classes count in scratch.q and the scale in scratch.sums; `offset` is that of the block in `like`,
// operand 1.
template <class T, class Compute>
void run_backward(const ClassTargets& targets, const Tensor& grad_input, const Tensor& like,
                  const Tensor& scale, Compute compute) {
  const auto plan =
      plan_classes<4>(like.shape(), targets.axis,
                      {grad_input.strides(), like.strides(), target_strides(targets, like.shape()),
                       position_strides(scale, like.shape(), targets.axis)});
  T* out = grad_input.data_to_write<T>();
  const T* s = scale.data<T>();
  parallel_for(plan.positions.numel, class_grain(plan.classes), [&](std::int64_t begin, std::int64_t end) {
    ClassScratch<lucid::Compute<T>> scratch(targets, plan.classes);
    for_class_blocks(plan, begin, end, [&](const auto& at, std::int64_t lanes) {
      load_targets<T>(targets, scratch, at[2], plan.lane_strides[2], plan.class_strides[2], lanes);
      for (std::int64_t i = 0; i < lanes; ++i)
        scratch.sums[i] = static_cast<lucid::Compute<T>>(s[at[3] + i * plan.lane_strides[3]]);
      compute(scratch, plan, at[1], lanes);
      store_classes(out + at[0], scratch.x.data(), lanes, plan.lane_strides[0], plan.classes,
                    plan.class_strides[0]);
    });
  });
}

}  // namespace

LossSums cross_entropy(const ClassTargets& targets, const Tensor& input, const Tensor& losses) {
  if (input.numel() == 0) return {};
  return dispatch_floating(targets.op, input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    return run_forward<T>(
        targets, input, losses, [](auto& scratch, const auto& plan, const T* x, std::int64_t lanes) {
          load_classes(scratch.x.data(), x, lanes, plan.lane_strides[0], plan.classes, plan.class_strides[0]);
          block_losses(scratch.x.data(), scratch.q.data(), lanes, plan.classes, scratch.sums);
        });
  });
}

LossSums nll(const ClassTargets& targets, const Tensor& input, const Tensor& losses) {
  if (input.numel() == 0) return {};
  return dispatch_floating(targets.op, input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    return run_forward<T>(
        targets, input, losses, [](auto& scratch, const auto& plan, const T* x, std::int64_t lanes) {
          // A weight of 0 takes no part, so that it may meet log(0).
          const auto& t = scratch.indices;
          for (std::int64_t i = 0; i < lanes; ++i) {
            const auto picked =
                static_cast<C>(x[i * plan.lane_strides[0] + t.index[i] * plan.class_strides[0]]);
            scratch.sums[i] = t.weight[i] == 0 ? 0 : -t.weight[i] * picked;
          }
        });
  });
}

void cross_entropy_backward(const ClassTargets& targets, const Tensor& grad_input, const Tensor& input,
                            const Tensor& scale) {
  if (input.numel() == 0) return;
  dispatch_floating(targets.op, input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* x = input.data<T>();
    run_backward<T>(targets, grad_input, input, scale,
                    [x](auto& scratch, const auto& plan, std::int64_t at, std::int64_t lanes) {
                      load_classes(scratch.x.data(), x + at, lanes, plan.lane_strides[1], plan.classes,
                                   plan.class_strides[1]);
                      block_gradient(scratch.x.data(), scratch.q.data(), scratch.sums, lanes, plan.classes);
                    });
  });
}

void nll_backward(const ClassTargets& targets, const Tensor& grad_input, const Tensor& scale) {
  if (grad_input.numel() == 0) return;
  dispatch_floating(targets.op, grad_input.dtype(), [&](auto tag) {
    run_backward<typename decltype(tag)::type>(
        targets, grad_input, grad_input, scale,
        [](auto& scratch, const auto& plan, std::int64_t, std::int64_t lanes) {
          pick_gradient(scratch.indices, scratch.sums, lanes, plan.classes, scratch.x.data());
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
    T* po = out.data_to_write<T>();
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
