#include "ops/kernels/focal.hpp"

#include <algorithm>

namespace lucid::kernels {
namespace {

// d^gamma for d in [0, 1], by the cheapest means.
template <class C, int kGamma>
struct Power {
  C gamma;
  [[gnu::always_inline]] C operator()(C d) const {
    if constexpr (kGamma == 0) return C(1);
    if constexpr (kGamma == 1) return d;
    if constexpr (kGamma == 2) return d * d;
    return math::exp(gamma * math::log(d));  // log(0) = -infinity gives 0
  }
};

// Of l = log p, with d = 1 - p: f(l) = -d^gamma l and f'(l) = d^gamma (gamma p l / d - 1), where l / d is -1
// at d = 0.
template <class C, class P>
[[gnu::always_inline]] inline C focus(P power, C l, C d) {
  return -power(d) * l;
}
template <class C, class P>
[[gnu::always_inline]] inline C focus_slope(P power, C l, C p, C d) {
  const C ratio = d > C(0) ? l / d : C(-1);
  return power(d) * (power.gamma * p * ratio - C(1));
}

// p = sigmoid(x), d = 1 - p and their logarithms, from one exponential and one logarithm.
template <class C>
struct Logistic {
  [[gnu::always_inline]] explicit Logistic(C x) {
    const C e = math::exp(-std::fabs(x)), inverse = C(1) / (C(1) + e), log = math::log1p(e);
    p = x > C(0) ? inverse : e * inverse;
    d = x > C(0) ? e * inverse : inverse;
    log_p = (x > C(0) ? C(0) : x) - log;
    log_d = (x > C(0) ? -x : C(0)) - log;
  }
  C p, d, log_p, log_d;
};

// v becomes log softmax(v).
template <class C>
LUCID_VECTORIZED void log_probabilities(C* v, std::int64_t lanes, std::int64_t classes) {
  C largest[kClassLanes], sums[kClassLanes] = {};
  largest_class(v, lanes, classes, largest);
  for (std::int64_t c = 0; c < classes; ++c)
    for (std::int64_t i = 0; i < lanes; ++i) sums[i] += math::exp(v[c * kClassLanes + i] - largest[i]);
  for (std::int64_t i = 0; i < lanes; ++i) largest[i] += math::log(sums[i]);
  for (std::int64_t c = 0; c < classes; ++c)
    for (std::int64_t i = 0; i < lanes; ++i) v[c * kClassLanes + i] -= largest[i];
}

// One block: x holds logits, t targets (0 where ignored), counted 1 or 0, and a, b the factors of the
// classes.
template <class C>
struct Block {
  C* x;
  const C* t;
  const C* counted;
  const C* a;
  const C* b;
  std::int64_t lanes, classes;
};

// x becomes the losses.
template <class C, class P>
LUCID_VECTORIZED void softmax_losses(Block<C> v, P power) {
  log_probabilities(v.x, v.lanes, v.classes);
  for (std::int64_t c = 0; c < v.classes; ++c)
    for (std::int64_t i = 0; i < v.lanes; ++i) {
      const std::int64_t at = c * kClassLanes + i;
      v.x[at] = v.a[c] * v.t[at] * focus(power, v.x[at], -math::expm1(v.x[at]));
    }
}

template <class C, class P>
LUCID_VECTORIZED void sigmoid_losses(Block<C> v, P power) {
  for (std::int64_t c = 0; c < v.classes; ++c)
    for (std::int64_t i = 0; i < v.lanes; ++i) {
      const std::int64_t at = c * kClassLanes + i;
      const C t = v.t[at];
      const Logistic<C> x(v.x[at]);
      const C yes = focus(power, x.log_p, x.d), no = focus(power, x.log_d, x.p);
      v.x[at] = v.a[c] * t * yes + v.b[c] * (v.counted[i] - t) * no;
    }
}

// x becomes the gradient of the logits; `scale` holds that of each loss.
template <class C, class P>
LUCID_VECTORIZED void softmax_gradient(Block<C> v, P power, const C* scale, C* slopes) {
  log_probabilities(v.x, v.lanes, v.classes);
  C total[kClassLanes] = {};
  for (std::int64_t c = 0; c < v.classes; ++c)
    for (std::int64_t i = 0; i < v.lanes; ++i) {
      const std::int64_t at = c * kClassLanes + i;
      const C d = -math::expm1(v.x[at]), p = math::exp(v.x[at]);
      slopes[at] = scale[at] * v.a[c] * v.t[at] * focus_slope(power, v.x[at], p, d);
      total[i] += slopes[at];
      v.x[at] = p;
    }
  for (std::int64_t c = 0; c < v.classes; ++c)
    for (std::int64_t i = 0; i < v.lanes; ++i) {
      const std::int64_t at = c * kClassLanes + i;
      v.x[at] = slopes[at] - v.x[at] * total[i];
    }
}

template <class C, class P>
LUCID_VECTORIZED void sigmoid_gradient(Block<C> v, P power, const C* scale) {
  for (std::int64_t c = 0; c < v.classes; ++c)
    for (std::int64_t i = 0; i < v.lanes; ++i) {
      const std::int64_t at = c * kClassLanes + i;
      const C t = v.t[at];
      const Logistic<C> x(v.x[at]);
      const C yes = focus_slope(power, x.log_p, x.p, x.d) * x.d;
      const C no = focus_slope(power, x.log_d, x.d, x.p) * x.p;
      v.x[at] = scale[at] * (v.a[c] * t * yes - v.b[c] * (v.counted[i] - t) * no);
    }
}

// Calls run(power) with d^gamma as its own type, so that the usual exponents cost nothing.
template <class C, class Run>
void with_power(double gamma, Run&& run) {
  const C g = static_cast<C>(gamma);
  if (gamma == 0)
    run(Power<C, 0>{g});
  else if (gamma == 1)
    run(Power<C, 1>{g});
  else if (gamma == 2)
    run(Power<C, 2>{g});
  else
    run(Power<C, -1>{g});
}

template <class C>
std::vector<C> as(const std::vector<double>& values) {
  return std::vector<C>(values.begin(), values.end());
}

}  // namespace

LossSums focal(const ClassTargets& targets, const FocalTerms& terms, const Tensor& input,
               const Tensor& losses) {
  LossSums sums;
  if (input.numel() == 0) return sums;
  dispatch_floating(targets.op, input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const auto plan = plan_classes<3>(input.shape(), targets.axis,
                                      {input.strides(), target_strides(targets, input.shape()),
                                       losses.defined() ? losses.strides() : input.strides()});
    const T* x = input.data<T>();
    T* out = losses.defined() ? losses.data_to_write<T>() : nullptr;
    const std::vector<C> a = as<C>(terms.positive), b = as<C>(terms.negative);
    with_power<C>(terms.gamma, [&](auto power) {
      sums = add_up<C>(targets, plan, [&](ClassScratch<C>& s, const auto& at, std::int64_t lanes) {
        load_targets<T>(targets, s, at[1], plan.lane_strides[1], plan.class_strides[1], lanes);
        load_classes(s.x.data(), x + at[0], lanes, plan.lane_strides[0], plan.classes, plan.class_strides[0]);
        const C* counted = counted_lanes(targets, s);
        const Block<C> block{s.x.data(), s.q.data(), counted, a.data(), b.data(), lanes, plan.classes};
        terms.softmax ? softmax_losses(block, power) : sigmoid_losses(block, power);
        LossSums part;
        for (std::int64_t i = 0; i < lanes; ++i) part.weight += static_cast<double>(counted[i]);
        for (std::int64_t c = terms.first; c < plan.classes; ++c)
          for (std::int64_t i = 0; i < lanes; ++i)
            part.loss += static_cast<double>(s.x[static_cast<std::size_t>(c * kClassLanes + i)]);
        if (out)
          store_classes(out + at[2], s.x.data() + terms.first * kClassLanes, lanes, plan.lane_strides[2],
                        plan.classes - terms.first, plan.class_strides[2]);
        return part;
      });
    });
  });
  return sums;
}

void focal_backward(const ClassTargets& targets, const FocalTerms& terms, const Tensor& grad_input,
                    const Tensor& input, const Tensor& scale) {
  if (input.numel() == 0) return;
  dispatch_floating(targets.op, input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const bool one = scale.numel() == 1;
    const auto plan =
        plan_classes<4>(input.shape(), targets.axis,
                        {grad_input.strides(), input.strides(), target_strides(targets, input.shape()),
                         one ? input.strides() : scale.strides()});
    T* out = grad_input.data_to_write<T>();
    const T *x = input.data<T>(), *up = scale.data<T>();
    const std::vector<C> a = as<C>(terms.positive), b = as<C>(terms.negative);
    with_power<C>(terms.gamma, [&](auto power) {
      parallel_for(
          plan.positions.numel, class_grain(plan.classes), [&](std::int64_t begin, std::int64_t end) {
            ClassScratch<C> s(targets, plan.classes);
            std::vector<C> scales(s.x.size(), one ? static_cast<C>(*up) : C(0)), slopes(s.x.size());
            for_class_blocks(plan, begin, end, [&](const auto& at, std::int64_t lanes) {
              load_targets<T>(targets, s, at[2], plan.lane_strides[2], plan.class_strides[2], lanes);
              load_classes(s.x.data(), x + at[1], lanes, plan.lane_strides[1], plan.classes,
                           plan.class_strides[1]);
              if (!one)
                load_classes(scales.data() + terms.first * kClassLanes, up + at[3], lanes,
                             plan.lane_strides[3], plan.classes - terms.first, plan.class_strides[3]);
              const Block<C> block{s.x.data(), s.q.data(),  counted_lanes(targets, s), a.data(), b.data(),
                                   lanes,      plan.classes};
              if (terms.softmax)
                softmax_gradient(block, power, scales.data(), slopes.data());
              else
                sigmoid_gradient(block, power, scales.data());
              store_classes(out + at[0], s.x.data(), lanes, plan.lane_strides[0], plan.classes,
                            plan.class_strides[0]);
            });
          });
    });
  });
}

}  // namespace lucid::kernels
