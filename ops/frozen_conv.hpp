#pragma once
// A convolution whose shape and weight are known beforehand: the weight is packed once, and what follows the
// convolution happens while its result is in the cache. float32.

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "ops/conv_epilogue.hpp"
#include "ops/conv_problem.hpp"

namespace lucid::direct {
class Winograd;
}

namespace lucid::ops {

/// Whether `op` is one of conv1d to conv3d, or of conv_transpose1d to conv_transpose3d.
bool is_conv(std::string_view op);
bool is_conv_transpose(std::string_view op);

class FrozenConv {
 public:
  /// `op` with `options` as ops::call takes them, over inputs of these shapes, which are joined along the
  /// channels; several for a conv without groups that has a batch axis. Nothing is empty. `bias` may be
  /// undefined. The tensors are copied or packed. Throws Error as the op does.
  FrozenConv(std::string_view op, const nlohmann::json& options, std::span<const Shape> inputs,
             const Tensor& weight, const Tensor& bias, const ConvEpilogue& epilogue);
  ~FrozenConv();

  /// Writes `out`, or adds to it where the epilogue says so. `out` has the result's shape and lies
  /// channels-last; `inputs` lie as they like. May run on several threads at once.
  void run(std::span<const Tensor> inputs, const Tensor& out) const;
  /// "lucid:winograd", "onednn:brgconv:avx512_core", "lucid:direct".
  const std::string& implementation() const { return implementation_; }
  std::int64_t weight_bytes() const;

 private:
  class Share;
  std::size_t axes_;
  std::unique_ptr<direct::Winograd> winograd_;
  std::vector<std::unique_ptr<Share>> shares_;  // otherwise: one for each input, added up
  std::string implementation_;
};

}  // namespace lucid::ops
