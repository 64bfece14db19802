#pragma once
// A normalisation whose parameters are known beforehand, and the activation behind it in the same pass.
// float32.

#include <nlohmann/json_fwd.hpp>

#include "ops/kernels/channels.hpp"
#include "ops/norm_core.hpp"

namespace lucid::ops {

/// Whether `op` is batch_norm, instance_norm or group_norm.
bool is_channel_norm(std::string_view op);
/// Whether such an op with `options` takes mean and variance from the running statistics, not from its input.
bool uses_running_statistics(std::string_view op, const nlohmann::json& options);

/// Those of a norm; undefined where it has none.
struct NormTensors {
  Tensor running_mean, running_var, weight, bias;
};
/// `inputs` as the op's record lists them, without the first.
NormTensors norm_tensors(std::string_view op, std::span<const Tensor> inputs);

/// A norm by running statistics is y = x * scale + shift with constants for each channel, in double.
struct ChannelMap {
  std::vector<double> scale, shift;
};
ChannelMap channel_map(const NormTensors& tensors, const nlohmann::json& options);

class FrozenNorm {
 public:
  /// `op` with `options` as ops::call takes them, over inputs like `input`, which is channel-ordered and not
  /// empty.
  FrozenNorm(std::string_view op, const nlohmann::json& options, const Tensor& input,
             const NormTensors& tensors, const kernels::Rectifier& rectifier);
  /// `out` is laid out like `input` and may be `input`. May run on several threads at once.
  void run(const Tensor& input, const Tensor& out) const;

 private:
  Grouping grouping_;
  double eps_;
  Tensor weight_, bias_;
  bool is_constant_;
  kernels::Affine constant_;  // where the statistics are
  kernels::Rectifier rectifier_;
};

}  // namespace lucid::ops
