#pragma once
// Freezes a net in eval mode into a plan for inference on inputs of one shape: what does not depend on the
// input is done beforehand. docs/inference.md tells what is done, what a plan can't know, and what it costs.
//
//   net.eval();
//   const auto plan = nn::compile(net, {1, 1, 128, 128, 128});
//   const Tensor y = plan(x);

#include <concepts>
#include <functional>
#include <memory>
#include <string>

#include "nn/module.hpp"

namespace lucid::nn {

namespace plan {
class Program;
}

/// A net frozen by compile(). Copies share what they hold; what they hold is a copy of the net's tensors, so
/// nothing that happens to the net later matters.
class Plan {
 public:
  /// The net's result, to float32 rounding; not recorded. Throws Error unless `input` has the shape and type
  /// that the plan was made for. May run on several threads at once: each call has its own memory for
  /// activations.
  Tensor operator()(const Tensor& input) const;

  const Shape& input_shape() const;
  DType dtype() const;
  /// Of the one block that a call takes for activations; ops that the plan knows only by name allocate beside
  /// it, and the result is the caller's.
  std::int64_t activation_bytes() const;
  std::int64_t weight_bytes() const;  ///< held by the plan
  /// The steps, one a line.
  std::string str() const;

 private:
  Plan() = default;
  friend Plan compile_forward(Module& net, const std::function<Tensor(const Tensor&)>& forward,
                              const Tensor& example);
  std::shared_ptr<const plan::Program> program_;
};

/// compile() for a net whose call is written out: forward(input) may use `net` as it likes.
Plan compile_forward(Module& net, const std::function<Tensor(const Tensor&)>& forward, const Tensor& example);

/// Normal numbers of `shape`, of the type of the net's first floating parameter, or float32.
Tensor example_input(const Module& net, const Shape& shape);

/// Runs net(example) once, and freezes what ran. The example's shape and type are those that the plan takes;
/// its values matter where the net looks at them, since the plan repeats the ops of this run whatever its
/// input. Throws Error when a module is in training mode, when the result does not depend on the input, and
/// when an op reads what was computed from the input out of the recorder's sight (by data(), item(), in
/// place).
template <std::derived_from<Module> M>
Plan compile(const M& net, const Tensor& example) {
  M seen = net;  // walking tells modules their paths
  return compile_forward(
      seen, [&](const Tensor& input) -> Tensor { return seen(input); }, example);
}

/// The same with random numbers of `shape`.
template <std::derived_from<Module> M>
Plan compile(const M& net, const Shape& shape) {
  return compile(net, example_input(net, shape));
}

}  // namespace lucid::nn
