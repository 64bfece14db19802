#include "ops/kernels/dice.hpp"

namespace lucid::kernels {
namespace {

constexpr std::int64_t kShare = 1 << 13;  // positions that are summed before the shares are

// Sample n of a tensor whose first axis is the batch; not recorded.
Tensor sample_of(const Tensor& tensor, std::int64_t n) {
  Shape shape = tensor.shape(), strides = tensor.strides();
  const std::int64_t step = strides[0];
  shape.erase(0);
  strides.erase(0);
  return alias(tensor, shape, strides, tensor.offset() + n * step);
}

ClassTargets targets_of(const ClassTargets& targets, std::int64_t n) {
  ClassTargets out = targets;
  out.target = sample_of(targets.target, n);
  out.axis = targets.axis - 1;
  return out;
}

// x becomes the probabilities.
template <class C>
LUCID_VECTORIZED void activate(C* x, std::int64_t lanes, std::int64_t classes, DiceActivation activation) {
  if (activation == DiceActivation::sigmoid) {
    for (std::int64_t c = 0; c < classes; ++c)
      for (std::int64_t i = 0; i < lanes; ++i) x[c * kClassLanes + i] = math::sigmoid(x[c * kClassLanes + i]);
  } else if (activation == DiceActivation::softmax) {
    C largest[kClassLanes], sums[kClassLanes];
    largest_class(x, lanes, classes, largest);
    exponentials(x, lanes, classes, largest, sums);
    for (std::int64_t i = 0; i < lanes; ++i) sums[i] = C(1) / sums[i];
    for (std::int64_t c = 0; c < classes; ++c)
      for (std::int64_t i = 0; i < lanes; ++i) x[c * kClassLanes + i] *= sums[i];
  }
}

// Running sums of the three terms, lane by lane, for one class.
struct SumLanes {
  double overlap[kClassLanes] = {}, prediction[kClassLanes] = {}, truth[kClassLanes] = {};
};

template <class C>
LUCID_VECTORIZED void add_block(const C* p, const C* t, const C* counted, std::int64_t lanes,
                                std::int64_t classes, bool squared, SumLanes* sums) {
  for (std::int64_t c = 0; c < classes; ++c, p += kClassLanes, t += kClassLanes) {
    SumLanes& sum = sums[c];
    for (std::int64_t i = 0; i < lanes; ++i) {
      sum.overlap[i] += static_cast<double>(p[i] * t[i]);
      sum.prediction[i] += static_cast<double>(counted[i] * (squared ? p[i] * p[i] : p[i]));
      sum.truth[i] += static_cast<double>(squared ? t[i] * t[i] : t[i]);
    }
  }
}

// p becomes the gradient of the logits. With a_c and b_c the slopes: dl/dp_c = a_c t_c + b_c (2 p_c or 1).
template <class C>
LUCID_VECTORIZED void gradient_block(C* p, const C* t, const C* counted, std::int64_t lanes,
                                     std::int64_t classes, DiceTerms terms, const C* a, const C* b) {
  C dot[kClassLanes] = {};  // sum over classes of p dl/dp, which the softmax takes off
  const auto slope = [&](std::int64_t c, std::int64_t i) {
    const std::int64_t at = c * kClassLanes + i;
    return counted[i] * (a[c] * t[at] + b[c] * (terms.squared ? 2 * p[at] : C(1)));
  };
  if (terms.activation == DiceActivation::softmax)
    for (std::int64_t c = 0; c < classes; ++c)
      for (std::int64_t i = 0; i < lanes; ++i) dot[i] += p[c * kClassLanes + i] * slope(c, i);
  for (std::int64_t c = 0; c < classes; ++c)
    for (std::int64_t i = 0; i < lanes; ++i) {
      C& value = p[c * kClassLanes + i];
      const C from = slope(c, i);
      value = terms.activation == DiceActivation::softmax   ? value * (from - dot[i])
              : terms.activation == DiceActivation::sigmoid ? from * value * (1 - value)
                                                            : from;
    }
}

template <class T>
void sum_sample(const ClassTargets& targets, const Tensor& input, const DiceTerms& terms, DiceSums* out) {
  using C = Compute<T>;
  const auto plan =
      plan_classes<2>(input.shape(), targets.axis, {input.strides(), target_strides(targets, input.shape())});
  const T* x = input.data<T>();
  const std::int64_t positions = plan.positions.numel, shares = (positions + kShare - 1) / kShare;
  std::vector<DiceSums> parts(static_cast<std::size_t>(shares * plan.classes));
  parallel_for(shares, 1, [&](std::int64_t first, std::int64_t last) {
    ClassScratch<C> scratch(targets, plan.classes);
    const C* counted = counted_lanes(targets, scratch);
    for (std::int64_t share = first; share < last; ++share) {
      std::vector<SumLanes> sums(static_cast<std::size_t>(plan.classes));
      for_class_blocks(plan, share * kShare, std::min(positions, (share + 1) * kShare),
                       [&](const auto& at, std::int64_t lanes) {
                         load_targets<T>(targets, scratch, at[1], plan.lane_strides[1], plan.class_strides[1],
                                         lanes);
                         load_classes(scratch.x.data(), x + at[0], lanes, plan.lane_strides[0], plan.classes,
                                      plan.class_strides[0]);
                         activate(scratch.x.data(), lanes, plan.classes, terms.activation);
                         add_block(scratch.x.data(), scratch.q.data(), counted, lanes, plan.classes,
                                   terms.squared, sums.data());
                       });
      for (std::int64_t c = 0; c < plan.classes; ++c)
        for (std::int64_t i = 0; i < kClassLanes; ++i) {
          DiceSums& part = parts[share * plan.classes + c];
          part.overlap += sums[c].overlap[i];
          part.prediction += sums[c].prediction[i];
          part.truth += sums[c].truth[i];
        }
    }
  });
  for (std::size_t k = 0; k < parts.size(); ++k) {
    DiceSums& sum = out[k % static_cast<std::size_t>(plan.classes)];
    sum.overlap += parts[k].overlap;
    sum.prediction += parts[k].prediction;
    sum.truth += parts[k].truth;
  }
}

template <class T>
void backward_sample(const ClassTargets& targets, const Tensor& grad_input, const Tensor& input,
                     const DiceTerms& terms, const DiceSlopes* slopes) {
  using C = Compute<T>;
  const auto plan =
      plan_classes<3>(input.shape(), targets.axis,
                      {grad_input.strides(), input.strides(), target_strides(targets, input.shape())});
  T* out = grad_input.data_to_write<T>();
  const T* x = input.data<T>();
  std::vector<C> a, b;
  for (std::int64_t c = 0; c < plan.classes; ++c) {
    a.push_back(static_cast<C>(slopes[c].overlap));
    b.push_back(static_cast<C>(slopes[c].prediction));
  }
  parallel_for(plan.positions.numel, class_grain(plan.classes), [&](std::int64_t begin, std::int64_t end) {
    ClassScratch<C> scratch(targets, plan.classes);
    const C* counted = counted_lanes(targets, scratch);
    for_class_blocks(plan, begin, end, [&](const auto& at, std::int64_t lanes) {
      load_targets<T>(targets, scratch, at[2], plan.lane_strides[2], plan.class_strides[2], lanes);
      load_classes(scratch.x.data(), x + at[1], lanes, plan.lane_strides[1], plan.classes,
                   plan.class_strides[1]);
      activate(scratch.x.data(), lanes, plan.classes, terms.activation);
      gradient_block(scratch.x.data(), scratch.q.data(), counted, lanes, plan.classes, terms, a.data(),
                     b.data());
      store_classes(out + at[0], scratch.x.data(), lanes, plan.lane_strides[0], plan.classes,
                    plan.class_strides[0]);
    });
  });
}

}  // namespace

std::vector<DiceSums> dice_sums(const ClassTargets& targets, const Tensor& input, const DiceTerms& terms) {
  const std::int64_t classes = input.size(1);
  std::vector<DiceSums> out(static_cast<std::size_t>(input.size(0) * classes));
  if (input.numel() == 0) return out;
  dispatch_floating(targets.op, input.dtype(), [&](auto tag) {
    for (std::int64_t n = 0; n < input.size(0); ++n)
      sum_sample<typename decltype(tag)::type>(targets_of(targets, n), sample_of(input, n), terms,
                                               out.data() + n * classes);
  });
  return out;
}

void dice_backward(const ClassTargets& targets, const Tensor& grad_input, const Tensor& input,
                   const DiceTerms& terms, const std::vector<DiceSlopes>& slopes) {
  if (input.numel() == 0) return;
  dispatch_floating(targets.op, input.dtype(), [&](auto tag) {
    for (std::int64_t n = 0; n < input.size(0); ++n)
      backward_sample<typename decltype(tag)::type>(targets_of(targets, n), sample_of(grad_input, n),
                                                    sample_of(input, n), terms,
                                                    slopes.data() + n * input.size(1));
  });
}

}  // namespace lucid::kernels
