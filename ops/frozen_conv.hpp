#pragma once
// A convolution whose shape and weight are known beforehand: the weight is packed once, and what follows the
// convolution happens while its result is in the cache. float32.

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "ops/conv_epilogue.hpp"
#include "ops/conv_problem.hpp"

namespace lucid::onednn {
class Convolution;
}

namespace lucid::ops {

/// Whether `op` is one of conv1d to conv3d, or of conv_transpose1d to conv_transpose3d.
bool is_conv(std::string_view op);
bool is_conv_transpose(std::string_view op);

class FrozenConv {
 public:
  /// `op` with `options` as ops::call takes them, over inputs of shape `input`; nothing is empty. `bias` may
  /// be undefined. The tensors are copied or packed. Throws Error as the op does.
  FrozenConv(std::string_view op, const nlohmann::json& options, const Shape& input, const Tensor& weight,
             const Tensor& bias, const ConvEpilogue& epilogue);
  ~FrozenConv();

  /// Writes `out`, or adds to it where the epilogue says so. `out` has the result's shape and lies
  /// channels-last; `input` lies as it likes. May run on several threads at once.
  void run(const Tensor& input, const Tensor& out) const;
  /// "onednn:brgconv:avx512_core", "lucid:direct".
  const std::string& implementation() const { return implementation_; }
  /// Held beside the plan's other memory.
  std::int64_t weight_bytes() const;

 private:
  ConvProblem problem_;
  ConvPass pass_;
  ConvEpilogue epilogue_;
  Tensor weight_;  // rank 5; or the bytes that primitive_ reads
  Tensor bias_;
  std::unique_ptr<onednn::Convolution> primitive_;  // null: the loops that conv_plan chooses
  std::string implementation_;
};

}  // namespace lucid::ops
