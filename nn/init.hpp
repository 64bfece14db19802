#pragma once
// Initial values of parameters, under PyTorch's names. All write in place, unrecorded, draw from `generator`
// or else the default one, and return their tensor. They throw Error on a type that is not floating.

#include <cstdint>
#include <string_view>
#include <utility>

#include "lucid/random.hpp"
#include "lucid/tensor.hpp"

namespace lucid::nn::init {

Tensor uniform_(const Tensor& tensor, double a = 0, double b = 1, Generator* generator = nullptr);
Tensor normal_(const Tensor& tensor, double mean = 0, double std = 1, Generator* generator = nullptr);
/// N(mean, std^2) restricted to [a, b].
Tensor trunc_normal_(const Tensor& tensor, double mean = 0, double std = 1, double a = -2, double b = 2,
                     Generator* generator = nullptr);
Tensor constant_(const Tensor& tensor, double value);
Tensor zeros_(const Tensor& tensor);
Tensor ones_(const Tensor& tensor);

struct Fans {
  std::int64_t fan_in, fan_out;
};
/// fan_in = shape[1] * receptive field, fan_out = shape[0] * receptive field, whichever way round the weight
/// stores its channels: for a transposed convolution fan_in is thus that of its output side, as PyTorch has
/// it. Throws Error below rank 2.
Fans calculate_fan_in_and_fan_out(const Tensor& tensor);

/// The factor by which the spread is widened: "linear", "conv3d", "conv_transpose3d", "sigmoid": 1;
/// "tanh": 5/3; "relu": sqrt(2); "leaky_relu": sqrt(2 / (1 + param^2)) (param 0.01 unless given); "selu":
/// 3/4.
double calculate_gain(std::string_view nonlinearity, double param = 0.01);

enum class FanMode { fan_in, fan_out };

struct KaimingOptions {
  double a = 0;  ///< slope of the leaky ReLU that follows
  FanMode mode = FanMode::fan_in;
  std::string_view nonlinearity = "leaky_relu";
  Generator* generator = nullptr;
};
/// U(-bound, bound), bound = gain * sqrt(3 / fan); N(0, (gain / sqrt(fan))^2). He et al., "Delving Deep into
/// Rectifiers", 2015.
Tensor kaiming_uniform_(const Tensor& tensor, KaimingOptions options = {});
Tensor kaiming_normal_(const Tensor& tensor, KaimingOptions options = {});

/// As above with variance gain^2 * 2 / (fan_in + fan_out). Glorot and Bengio, "Understanding the difficulty
/// of training deep feedforward neural networks", 2010.
Tensor xavier_uniform_(const Tensor& tensor, double gain = 1, Generator* generator = nullptr);
Tensor xavier_normal_(const Tensor& tensor, double gain = 1, Generator* generator = nullptr);

/// Rows (or columns, when there are more rows than columns) orthonormal times `gain`, of the tensor seen as a
/// matrix of shape[0] rows. Throws Error below rank 2.
Tensor orthogonal_(const Tensor& tensor, double gain = 1, Generator* generator = nullptr);

}  // namespace lucid::nn::init
