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
  return dispatch_floating(L::kName, input.dtype(), [&, &x = input, &t = target](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const auto value = [loss](T a, T b) { return loss.value(static_cast<C>(a), static_cast<C>(b)); };
    if (reduction == Reduction::none) {
      const Tensor out = kernels::empty_for(x.shape(), x.dtype(), {&x, &t});
      kernels::map<T, T, T>(out, x, t, [value](T a, T b) { return static_cast<T>(value(a, b)); });
      return out;
    }
    const double sum = kernels::sum_pairs<T>(x, t, value);
    const bool divide = reduction == Reduction::mean && x.numel() > 0;
    return scalar_tensor(divide ? sum / static_cast<double>(x.numel()) : sum, x.dtype());
  });
}

// slope(x, t) * grad; `grad` has one element or the shape of x.
template <class T, class F>
Tensor scaled_slope(const Tensor& x, const Tensor& t, const Tensor& grad, F slope) {
  using C = Compute<T>;
  const Tensor out = kernels::empty_for(x.shape(), x.dtype(), {&x, &t});
  if (grad.numel() == 1) {
    const C scale = grad.item<C>();
    kernels::map<T, T, T>(out, x, t, [slope, scale](T a, T b) {
      return static_cast<T>(scale * slope(static_cast<C>(a), static_cast<C>(b)));
    });
  } else {
    kernels::map<T, T, T, T>(out, x, t, kernels::converted(grad, x.dtype()), [slope](T a, T b, T g) {
      return static_cast<T>(static_cast<C>(g) * slope(static_cast<C>(a), static_cast<C>(b)));
    });
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
  dispatch_floating(L::kName, input.dtype(), [&, &x = input, &t = target](auto tag) {
    using T = typename decltype(tag)::type;
    if (wants[0]) out[0] = scaled_slope<T>(x, t, scale, [loss](auto a, auto b) { return loss.slope(a, b); });
    if (wants[1])
      out[1] = scaled_slope<T>(x, t, scale, [loss](auto a, auto b) { return loss.target_slope(a, b); });
  });
  return out;
}

/// Pairs whose differences stay away from 0.
std::vector<Sample> pair_samples(Generator& generator);
/// Shapes that differ though they broadcast, integers, an unknown reduction.
std::vector<ErrorCase> pair_errors();

}  // namespace lucid::ops
