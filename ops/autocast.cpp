#include "ops/autocast.hpp"

#include <atomic>

#include "lucid/log.hpp"
#include "ops/cast.hpp"
#include "ops/onednn/conv.hpp"

namespace lucid {
namespace {

void warn_once() {
  static std::atomic<bool> warned = false;
  if (!warned.exchange(true))
    logging::warn(
        "autocast: this processor has no bfloat16 arithmetic (AVX512_BF16 or AMX), so float32 is faster and "
        "is "
        "used; AutocastOptions::even_if_slower converts all the same");
}

DType chosen(DType dtype, const AutocastOptions& options) {
  check(dtype == bf16, "autocast", "dtype is ", dtype, "; bfloat16 is required");
  if (!options.enabled) return f32;
  if (options.even_if_slower || has_fast_bf16()) return bf16;
  warn_once();
  return f32;
}

}  // namespace

autocast::autocast(DType dtype, const AutocastOptions& options) : ComputeDtypeGuard(chosen(dtype, options)) {}

bool has_fast_bf16() {
  static const bool has = onednn::has_bf16();
  return has;
}

namespace ops {

Tensor autocast_operand(const Tensor& tensor) {
  const DType wanted = autograd::compute_dtype();
  return wanted == f32 || !tensor.defined() || tensor.dtype() != f32 ? tensor : to(tensor, wanted);
}

Tensor autocast_loss_operand(const Tensor& tensor) {
  const DType reduced = autograd::compute_dtype();
  return reduced == f32 || !tensor.defined() || tensor.dtype() != reduced ? tensor : to(tensor, f32);
}

}  // namespace ops
}  // namespace lucid
