#pragma once
// What the losses share.

#include <nlohmann/json_fwd.hpp>

#include "ops/loss.hpp"
#include "ops/registry.hpp"

namespace lucid {

// "none", "mean", "sum"
void write_option(nlohmann::json& out, const char* key, const Reduction& reduction);
void read_option(const nlohmann::json& in, const char* key, Reduction& reduction);

namespace ops {

/// Throws Error unless both are defined, floating and of one shape.
void require_same_shape(std::string_view op, const Tensor& input, const Tensor& target);

/// The mean, the sum, or the values themselves; recorded. The mean of nothing is 0.
Tensor reduce_loss(const Tensor& values, Reduction reduction);

/// The gradient of the values when `grad` is that of reduce_loss(values): broadcasts to them. Recorded.
Tensor spread_loss(const Tensor& grad, std::int64_t count, Reduction reduction);

}  // namespace ops
}  // namespace lucid
