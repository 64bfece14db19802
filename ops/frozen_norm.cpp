#include "ops/frozen_norm.hpp"

#include <nlohmann/json.hpp>

namespace lucid::ops {
namespace {

// Kept in double, as the op reads them; a copy, so that what it came from may change.
Tensor in_double(const Tensor& values) {
  return values.defined() ? Tensor::from(values.to_vector<double>(), values.shape()) : values;
}

std::vector<double> reciprocal_running_std(const NormTensors& tensors, const nlohmann::json& options) {
  return reciprocal_std(tensors.running_var.to_vector<double>(), options.at("eps").get<double>());
}

Grouping grouping_of(std::string_view op, const nlohmann::json& options, const Tensor& input) {
  if (op == "group_norm") return {input, options.at("num_groups").get<std::int64_t>(), false};
  return {input, input.shape()[1], op == "batch_norm" || uses_running_statistics(op, options)};
}

}  // namespace

bool is_channel_norm(std::string_view op) {
  return op == "batch_norm" || op == "instance_norm" || op == "group_norm";
}

bool uses_running_statistics(std::string_view op, const nlohmann::json& options) {
  if (op == "batch_norm") return !options.at("training").get<bool>();
  return op == "instance_norm" && !options.at("use_input_stats").get<bool>();
}

NormTensors norm_tensors(std::string_view op, std::span<const Tensor> inputs) {
  if (op == "group_norm") return {{}, {}, inputs[0], inputs[1]};
  return {inputs[0], inputs[1], inputs[2], inputs[3]};
}

ChannelMap channel_map(const NormTensors& tensors, const nlohmann::json& options) {
  const std::vector<double> mean = tensors.running_mean.to_vector<double>();
  ChannelMap out{reciprocal_running_std(tensors, options), std::vector<double>(mean.size())};
  if (tensors.bias.defined()) out.shift = tensors.bias.to_vector<double>();
  if (tensors.weight.defined()) {
    const std::vector<double> weight = tensors.weight.to_vector<double>();
    for (std::size_t c = 0; c < weight.size(); ++c) out.scale[c] *= weight[c];
  }
  for (std::size_t c = 0; c < mean.size(); ++c) out.shift[c] -= mean[c] * out.scale[c];
  return out;
}

FrozenNorm::FrozenNorm(std::string_view op, const nlohmann::json& options, const Tensor& input,
                       const NormTensors& tensors, const kernels::Rectifier& rectifier)
    : grouping_(grouping_of(op, options, input)),
      eps_(options.at("eps").get<double>()),
      weight_(in_double(tensors.weight)),
      bias_(in_double(tensors.bias)),
      is_constant_(uses_running_statistics(op, options)),
      rectifier_(rectifier) {
  if (is_constant_)
    constant_ = affine_of(grouping_, tensors.running_mean.to_vector<double>(),
                          reciprocal_running_std(tensors, options), weight_, bias_);
}

void FrozenNorm::run(const Tensor& input, const Tensor& out) const {
  if (is_constant_) return kernels::channel_affine_rectified(out, input, constant_, rectifier_);
  const Statistics found = statistics(input, grouping_);
  kernels::channel_affine_rectified(
      out, input, affine_of(grouping_, found.mean, reciprocal_std(found.variance, eps_), weight_, bias_),
      rectifier_);
}

}  // namespace lucid::ops
