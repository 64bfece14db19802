#pragma once
// A max pooling whose windows are worked out beforehand. float32, channels-last.

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "lucid/tensor.hpp"
#include "ops/kernels/axis_taps.hpp"

namespace lucid::ops {

/// Whether `op` is one of max_pool1d to max_pool3d.
bool is_max_pool(std::string_view op);

class FrozenMaxPool {
 public:
  /// `op` with `options` as ops::call takes them. Throws Error as the op does.
  FrozenMaxPool(std::string_view op, const nlohmann::json& options, const Tensor& input);
  /// Both lie channels-last. May run on several threads at once.
  void run(const Tensor& input, const Tensor& out) const;

 private:
  std::size_t axes_;
  kernels::SpatialTaps taps_;
};

}  // namespace lucid::ops
