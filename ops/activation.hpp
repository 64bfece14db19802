#pragma once
// Activations: functions of one tensor, element by element, that keep its shape and layout. Integers become
// float32, but for relu, which keeps them. Throw Error on an undefined tensor.

#include <string_view>

#include "lucid/tensor.hpp"

namespace lucid {

/// max(x, 0); derivative 0 at 0. Keeps its result alone for the backward pass.
Tensor relu(const Tensor& input);
/// x where x > 0, else negative_slope * x; derivative negative_slope at 0.
Tensor leaky_relu(const Tensor& input, double negative_slope = 0.01);
/// x where x > 0, else weight * x. `weight` has one value, or one for each channel (axis 1; of rank 0 and 1
/// there is one channel). Throws Error on another number.
Tensor prelu(const Tensor& input, const Tensor& weight);
/// x where x > threshold, else value.
Tensor threshold(const Tensor& input, double threshold, double value);

/// In place; recorded. Throw AutogradError on a leaf that requires a gradient and on shared memory, while
/// recording.
const Tensor& relu_(const Tensor& input);
const Tensor& leaky_relu_(const Tensor& input, double negative_slope = 0.01);

/// x where x > 0, else alpha (e^x - 1).
Tensor elu(const Tensor& input, double alpha = 1.0);
/// x where x > 0, else alpha (e^(x/alpha) - 1). Throws Error when alpha is 0.
Tensor celu(const Tensor& input, double alpha = 1.0);
/// elu scaled so that mean 0 and variance 1 persist through layers: Klambauer et al., "Self-Normalizing
/// Neural Networks", 2017.
Tensor selu(const Tensor& input);
/// x P(X <= x) for normal X; `approximate` is "none" or "tanh", the formula of Hendrycks and Gimpel,
/// "Gaussian Error Linear Units", 2016.
Tensor gelu(const Tensor& input, std::string_view approximate = "none");
/// x sigmoid(x).
Tensor silu(const Tensor& input);
/// x tanh(softplus(x)).
Tensor mish(const Tensor& input);
/// log(1 + e^(beta x)) / beta; x itself where beta x > threshold. Throws Error when beta is 0.
Tensor softplus(const Tensor& input, double beta = 1.0, double threshold = 20.0);
/// x / (1 + |x|).
Tensor softsign(const Tensor& input);
/// log(sigmoid(x)).
Tensor logsigmoid(const Tensor& input);

/// x between min_val and max_val, max_val where they cross; derivative 0 at both, other than clamp's.
Tensor hardtanh(const Tensor& input, double min_val = -1.0, double max_val = 1.0);
/// x between 0 and 6; derivative 0 at both.
Tensor relu6(const Tensor& input);
/// relu6(x + 3) / 6.
Tensor hardsigmoid(const Tensor& input);
/// x relu6(x + 3) / 6.
Tensor hardswish(const Tensor& input);

}  // namespace lucid
