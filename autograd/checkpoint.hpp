#pragma once
// Gradient checkpointing: less memory for more time. The graph of the function is recorded as always, but
// what its operations save for the backward pass is not kept: the first of them that needs it calls the
// function again. T. Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016; behaves as
// torch.utils.checkpoint with use_reentrant=False.
//
//   Tensor y = autograd::checkpoint(block, x);
//   Tensors z = autograd::checkpoint([&](const Tensor& a, const Tensor& b) { return Tensors{net(a, b), a}; },
//   x, y);

#include <functional>
#include <type_traits>
#include <utility>

#include "lucid/tensor.hpp"

namespace lucid::autograd {

struct CheckpointOptions {
  /// The second call draws the random numbers of the first from the default generator, which is then where it
  /// was: dropout has the same mask. A generator of the function's own is the function's business.
  bool preserve_rng_state = true;
};

/// function(inputs). While nothing is recorded that is all. The graph, not the caller, keeps a copy of
/// `function` and the inputs until it goes; parameters that `function` uses otherwise get their gradients
/// too, and a checkpoint inside another one works, as do retain_graph and create_graph. `function` must
/// compute the same every time, and what it changes (batch norm's running values) is changed twice. Throws
/// AutogradError from the backward pass when the second call saves other tensors than the first, in number,
/// shape or type, when an input or a parameter was changed in place in between, and from the first call when
/// `function` walks the graph that it is recording.
Tensors checkpoint(const std::function<Tensors(const Tensors& inputs)>& function, const Tensors& inputs,
                   CheckpointOptions options = {});

namespace detail {
template <class T>
concept TensorLike = std::is_convertible_v<const T&, Tensor>;

template <class Function, std::size_t... I>
std::function<Tensors(const Tensors&)> over_list(const Function& function, std::index_sequence<I...>) {
  static_assert(
      std::is_copy_constructible_v<Function>,
      "checkpoint keeps a copy of the function until the backward pass; give a lambda that refers to "
      "what can't be copied");
  return [function](const Tensors& in) mutable -> Tensors {
    if constexpr (std::is_convertible_v<std::invoke_result_t<Function&, decltype(in[I])...>, Tensor>)
      return {function(in[I]...)};
    else
      return function(in[I]...);
  };
}
}  // namespace detail

/// The same for a function of some tensors that returns a Tensor or Tensors.
template <class Function, detail::TensorLike... Inputs>
auto checkpoint(CheckpointOptions options, const Function& function, const Inputs&... inputs) {
  using Result = std::invoke_result_t<Function&, std::conditional_t<true, const Tensor&, Inputs>...>;
  Tensors out = checkpoint(detail::over_list(function, std::index_sequence_for<Inputs...>()),
                           Tensors{Tensor(inputs)...}, options);
  if constexpr (std::is_convertible_v<Result, Tensor>)
    return Tensor(out.at(0));
  else
    return out;
}

template <class Function, detail::TensorLike... Inputs>
requires(!std::is_same_v<Function, CheckpointOptions>) auto checkpoint(const Function& function,
                                                                       const Inputs&... inputs) {
  return checkpoint(CheckpointOptions{}, function, inputs...);
}

namespace detail {
/// What is made again during a walk and not used by it is dropped at its end.
class RecomputedScope {
 public:
  RecomputedScope();
  ~RecomputedScope();
  RecomputedScope(const RecomputedScope&) = delete;
  RecomputedScope& operator=(const RecomputedScope&) = delete;

 private:
  RecomputedScope* outer_;
  friend class Frame;
  std::vector<std::weak_ptr<class Frame>> frames_;
};
}  // namespace detail

}  // namespace lucid::autograd
