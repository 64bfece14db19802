#pragma once
// A loss of pairs of elements, written once: L gives, for numbers, value(x, t), slope(x, t) = dl/dx and
// target_slope(x, t) = dl/dt, and for tensors slopes(x, t), the same two as recorded operations. L is built
// from the op's options.

#include "autograd/record.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/kernels/pairs.hpp"
#include "ops/loss_options.hpp"

namespace lucid::ops {

struct Slopes {
  Tensor input, target;
};

/// Both tensors in the type that they promote to, and the target in the input's memory order, so that both
/// are walked side by side; not recorded.
std::pair<Tensor, Tensor> promoted(const Tensor& input, const Tensor& target);

/// The reduced loss; not recorded.
template <class L>
Tensor pair_loss(const L& loss, const Tensor& given_input, const Tensor& given_target, Reduction reduction) {
  const auto [input, target] = promoted(given_input, given_target);
  const auto value = [loss](auto a, auto b) { return loss.value(a, b); };
  return dispatch_floating(L::kName, input.dtype(), [&, &x = input, &t = target](auto tag) {
    using T = typename decltype(tag)::type;
    if (reduction == Reduction::none) {
      const Tensor out = kernels::empty_for(x.shape(), x.dtype(), {&x, &t});
      kernels::map<T, T, T>(out, x, t, value);
      return out;
    }
    const double sum = kernels::sum_pairs<T>(x, t, value);
    const bool divide = reduction == Reduction::mean && x.numel() > 0;
    return scalar_tensor(divide ? sum / static_cast<double>(x.numel()) : sum, x.dtype());
  });
}

template <class C, class F>
auto scaled(F slope, C scale) {
  return [slope, scale](C a, C b) { return scale * slope(a, b); };
}

template <class C, class F>
auto scaled(F slope) {
  return [slope](C a, C b, C scale) { return scale * slope(a, b); };
}

// slope(x, t) * grad; `grad` has one element or the shape of x.
template <class T, class F>
Tensor scaled_slope(const Tensor& x, const Tensor& t, const Tensor& grad, F slope) {
  using C = Compute<T>;
  const Tensor out = kernels::empty_for(x.shape(), x.dtype(), {&x, &t});
  if (grad.numel() == 1) {
    kernels::map<T, T, T>(out, x, t, scaled<C>(slope, grad.item<C>()));
  } else {
    kernels::map<T, T, T, T>(out, x, t, kernels::converted(grad, x.dtype()), scaled<C>(slope));
  }
  return out;
}

/// Gradients of input and target; `grad` is that of the reduced loss.
template <class L>
Tensors pair_loss_gradients(const L& loss, const Tensor& given_input, const Tensor& given_target,
                            const Tensor& grad, Reduction reduction, const autograd::Mask& wants) {
  const Tensor scale = spread_loss(grad, given_input.numel(), reduction);
  Tensors out(2);
  if (autograd::is_recording()) {
    const Slopes slopes = loss.slopes(given_input, given_target);
    if (wants[0]) out[0] = slopes.input * scale;
    if (wants[1]) out[1] = slopes.target * scale;
    return out;
  }
  const auto [input, target] = promoted(given_input, given_target);
  const auto slope = [loss](auto a, auto b) { return loss.slope(a, b); };
  const auto target_slope = [loss](auto a, auto b) { return loss.target_slope(a, b); };
  dispatch_floating(L::kName, input.dtype(), [&, &x = input, &t = target](auto tag) {
    using T = typename decltype(tag)::type;
    if (wants[0]) out[0] = scaled_slope<T>(x, t, scale, slope);
    if (wants[1]) out[1] = scaled_slope<T>(x, t, scale, target_slope);
  });
  return out;
}

/// Pairs whose differences stay away from 0.
std::vector<Sample> pair_samples(Generator& generator);
/// Shapes that differ though they broadcast, integers, an unknown reduction.
std::vector<ErrorCase> pair_errors();

}  // namespace lucid::ops
