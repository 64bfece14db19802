#pragma once
// Mixed precision: the convolutions of a scope compute in bfloat16, which halves the memory of activations
// and, on processors made for it (AVX512_BF16, AMX), the time.
//
//   Tensor loss;
//   {
//     autocast guard(bf16);
//     loss = cross_entropy(net(x), target);
//   }
//   loss.backward();  // parameters, their gradients and the optimiser's state stay float32

#include "autograd/cast_mode.hpp"
#include "lucid/tensor.hpp"

namespace lucid {

struct AutocastOptions {
  bool enabled = true;  ///< false: nothing is converted, inside another autocast too
  bool even_if_slower =
      false;  ///< on a processor without bfloat16 arithmetic too: to save memory, or to test
};

/// While it lives, on this thread: conv1d to conv3d, conv_transpose1d to 3d and conv3d_joined convert float32
/// operands to bfloat16 (they sum in float32), losses convert a bfloat16 input to float32, and what lies
/// between keeps its input's type. The conversions are recorded, so gradients arrive in the type of their
/// tensor; bfloat16 has float32's range, so losses need no scaling. A checkpoint is computed again as it was
/// first. Where the processor has no bfloat16 arithmetic this would be slower: then nothing is converted, and
/// a warning is logged once.
class autocast : autograd::ComputeDtypeGuard {
 public:
  /// Throws Error unless `dtype` is bf16.
  explicit autocast(DType dtype = bf16, const AutocastOptions& options = {});
};

/// Whether the processor, as oneDNN uses it, has bfloat16 arithmetic.
bool has_fast_bf16();

namespace ops {

/// A convolution's operand: a float32 one converted under an autocast, recorded; any other as it is.
Tensor autocast_operand(const Tensor& tensor);
/// A loss's: a bfloat16 one converted to float32 under an autocast, recorded; any other as it is.
Tensor autocast_loss_operand(const Tensor& tensor);

}  // namespace ops
}  // namespace lucid
