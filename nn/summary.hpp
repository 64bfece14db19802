#pragma once
// What a net consists of and what it will cost, told by running it once forward: no training step is needed
// to know whether one fits.
//
//   std::cout << nn::summary(net, {1, 1, 64, 64, 64}).str();

#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "nn/module.hpp"

namespace lucid::nn {

/// One call of a layer, or of an op outside of all layers. Calls of one layer right after another are one.
struct SummaryRow {
  std::string path;             ///< "encoder.0.conv1"; for an op that of the module around it, "" for the net
  std::string type;             ///< the layer's type, or the op's name: "Conv3d", "leaky_relu"
  Shape input, output;          ///< of the first tensor that comes in, and of the last result
  std::int64_t parameters = 0;  ///< elements of the layer's own; 0 from its second call on
  double flops = 0;             ///< a multiplication and an addition are two
  std::int64_t kept_bytes = 0;  ///< activations that its backward pass needs and nothing before kept
};

struct Summary {
  std::vector<SummaryRow> rows;       ///< in the order of the calls
  std::vector<std::string> uncalled;  ///< layers with parameters of their own that were not called
  std::int64_t parameters = 0;        ///< elements, each once
  std::int64_t trainable_parameters = 0;
  std::int64_t model_bytes = 0;  ///< of parameters and buffers
  std::int64_t input_bytes = 0;
  double flops = 0;  ///< of the forward pass
  std::int64_t kept_bytes =
      0;  ///< activations kept for the backward pass, the net's outputs among them if needed
  /// All that tensors hold at the worst moment: parameters, buffers, inputs and, in a training step,
  /// activations and gradients; bytes as memory_stats() counts them. The loss and the optimiser's state come
  /// on top, and in the backward pass what each thread sums for itself: up to about two MiB a thread, in deep
  /// layers, which a volume of 64^3 hides under its finest activations and a smaller one may not.
  std::int64_t inference_peak_bytes = 0;
  std::int64_t training_peak_bytes = 0;
  /// The table.
  std::string str() const;
};

namespace detail {
using Forward = std::function<Tensors(const Tensors& inputs)>;
Summary summarize(Module& net, const Forward& forward, const Tensors& inputs);
Summary summarize(Module& net, const Forward& forward, const Shape& input_shape);

template <class Net, std::size_t... I>
Forward forward_of(Net& net, std::index_sequence<I...>) {
  return [&net](const Tensors& in) -> Tensors {
    if constexpr (std::convertible_to<decltype(net(in[I]...)), Tensor>)
      return {net(in[I]...)};
    else
      return net(in[I]...);
  };
}
}  // namespace detail

/// Runs `net` twice on random numbers of `input_shape` and of its first parameter's type: once as eval()
/// under no_grad, once as train(), keeping nothing for a backward pass, so that it needs no more memory than
/// inference. Modes, buffers (running means) and the default generator are afterwards what they were. `net`
/// returns a Tensor or Tensors.
///
/// Flops are those of the ops' records; an op whose record has no cost counts one an element of its result,
/// and none if it only copies. The training peak is that of net(x).backward(gradient): the forward pass as it
/// ran with what it would have kept, and a backward pass in which every gradient is as large as what it
/// belongs to. On UNet3d of a volume of 64^3 it is within 2 percent of what memory_stats() measures
/// (tests/nn/summary_test.cpp), within 10 with a loss. Not known are the packed weights that convolutions
/// keep from the second inference on, scratch memory of the kernels' backward pass, and changes in place of
/// recorded tensors; what other threads allocate meanwhile is counted.
template <std::derived_from<Module> Net>
Summary summary(Net& net, const Shape& input_shape) {
  return detail::summarize(net, detail::forward_of(net, std::make_index_sequence<1>()), input_shape);
}
/// The same for given inputs.
template <std::derived_from<Module> Net, std::convertible_to<Tensor>... Inputs>
requires(sizeof...(Inputs) > 0) Summary summary_of_call(Net& net, const Inputs&... inputs) {
  return detail::summarize(net, detail::forward_of(net, std::index_sequence_for<Inputs...>()),
                           Tensors{Tensor(inputs)...});
}

}  // namespace lucid::nn
