#pragma once
// Gradients held against central differences.

#include <functional>
#include <string>

#include "lucid/tensor.hpp"

namespace lucid::autograd {

using Function = std::function<Tensors(const Tensors& inputs)>;

struct GradcheckOptions {
  double eps = 1e-6;   ///< step of the central difference
  double atol = 1e-6;  ///< |analytic - numeric| <= atol + rtol * |numeric|
  double rtol = 1e-4;
  std::uint64_t seed = 0;  ///< of the random cotangent
};

struct GradcheckResult {
  bool ok = true;
  double worst = 0;     ///< largest |analytic - numeric| - rtol * |numeric| seen
  std::string message;  ///< where the first mismatch is: input, element, both values
  explicit operator bool() const { return ok; }
};

/// For a random cotangent u, compares the gradient of <u, function(x)> with central differences at every
/// element of every float64 input that requires a gradient. Throws Error when an input that requires a
/// gradient is not float64.
GradcheckResult gradcheck(const Function& function, const Tensors& inputs, GradcheckOptions options = {});

/// gradcheck of the gradient itself: of (x, u) -> d<u, function(x)>/dx.
GradcheckResult gradgradcheck(const Function& function, const Tensors& inputs, GradcheckOptions options = {});

}  // namespace lucid::autograd
