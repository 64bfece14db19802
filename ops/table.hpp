#pragma once
// The built-in ops, one line each. `X(add)` stands for `Op add_op()`, defined in the op's own file. A static
// library drops objects that register themselves, so the table is explicit.

#include <vector>

#include "ops/registry.hpp"

// clang-format off
#define LUCID_OP_TABLE(X)             \
  X(abs)                              \
  X(adaptive_avg_pool1d)              \
  X(adaptive_avg_pool2d)              \
  X(adaptive_avg_pool3d)              \
  X(adaptive_max_pool1d)              \
  X(adaptive_max_pool2d)              \
  X(adaptive_max_pool3d)              \
  X(add)                              \
  X(addmm)                            \
  X(all)                              \
  X(amax)                             \
  X(amin)                             \
  X(any)                              \
  X(argmax)                           \
  X(argmin)                           \
  X(avg_pool1d)                       \
  X(avg_pool2d)                       \
  X(avg_pool3d)                       \
  X(batch_norm)                       \
  X(binary_cross_entropy)             \
  X(binary_cross_entropy_with_logits) \
  X(bmm)                              \
  X(boundary_loss)                    \
  X(cat)                              \
  X(celu)                             \
  X(chunk)                            \
  X(clamp)                            \
  X(clone)                            \
  X(conv1d)                           \
  X(conv2d)                           \
  X(conv3d)                           \
  X(conv_input_grad)                  \
  X(conv_output)                      \
  X(conv_transpose1d)                 \
  X(conv_transpose2d)                 \
  X(conv_transpose3d)                 \
  X(conv_weight_grad)                 \
  X(cos)                              \
  X(cross_entropy)                    \
  X(cumsum)                           \
  X(dice_ce_loss)                     \
  X(dice_loss)                        \
  X(distance_transform_edt)           \
  X(div)                              \
  X(dropout)                          \
  X(dropout3d)                        \
  X(elu)                              \
  X(embedding)                        \
  X(eq)                               \
  X(erf)                              \
  X(exp)                              \
  X(expand)                           \
  X(expm1)                            \
  X(flatten)                          \
  X(flip)                             \
  X(focal_loss)                       \
  X(focal_tversky_loss)               \
  X(gather)                           \
  X(ge)                               \
  X(gelu)                             \
  X(generalized_dice_loss)            \
  X(getitem)                          \
  X(group_norm)                       \
  X(gt)                               \
  X(hardsigmoid)                      \
  X(hardswish)                        \
  X(hardtanh)                         \
  X(hausdorff_dt_loss)                \
  X(huber_loss)                       \
  X(index_add)                        \
  X(index_select)                     \
  X(index_select_backward)            \
  X(instance_norm)                    \
  X(interpolate)                      \
  X(kl_div)                           \
  X(l1_loss)                          \
  X(layer_norm)                       \
  X(le)                               \
  X(leaky_relu)                       \
  X(linear)                           \
  X(log)                              \
  X(log1p)                            \
  X(log_softmax)                      \
  X(logical_and)                      \
  X(logical_not)                      \
  X(logical_or)                       \
  X(logical_xor)                      \
  X(logsigmoid)                       \
  X(logsumexp)                        \
  X(lt)                               \
  X(masked_fill)                      \
  X(matmul)                           \
  X(max)                              \
  X(max_pool1d)                       \
  X(max_pool2d)                       \
  X(max_pool3d)                       \
  X(max_unpool3d)                     \
  X(maximum)                          \
  X(mean)                             \
  X(min)                              \
  X(minimum)                          \
  X(mish)                             \
  X(mm)                               \
  X(mse_loss)                         \
  X(mul)                              \
  X(narrow)                           \
  X(ne)                               \
  X(neg)                              \
  X(nll_loss)                         \
  X(norm)                             \
  X(one_hot)                          \
  X(overlap_sums)                     \
  X(pad)                              \
  X(permute)                          \
  X(pixel_shuffle3d)                  \
  X(pixel_unshuffle3d)                \
  X(pow)                              \
  X(prelu)                            \
  X(prod)                             \
  X(relu)                             \
  X(relu6)                            \
  X(repeat)                           \
  X(reshape)                          \
  X(rms_norm)                         \
  X(roll)                             \
  X(rsqrt)                            \
  X(scatter_add)                      \
  X(select)                           \
  X(selu)                             \
  X(sigmoid)                          \
  X(sign)                             \
  X(silu)                             \
  X(sin)                              \
  X(slice)                            \
  X(slice_backward)                   \
  X(smooth_l1_loss)                   \
  X(softmax)                          \
  X(softplus)                         \
  X(softsign)                         \
  X(split)                            \
  X(sqrt)                             \
  X(square)                           \
  X(squeeze)                          \
  X(stack)                            \
  X(std)                              \
  X(sub)                              \
  X(sum)                              \
  X(sum_to)                           \
  X(tanh)                             \
  X(threshold)                        \
  X(to)                               \
  X(topk)                             \
  X(transpose)                        \
  X(tversky_loss)                     \
  X(unsqueeze)                        \
  X(var)                              \
  X(where)
// clang-format on

namespace lucid::ops {

#define LUCID_DECLARE_OP(name) Op name##_op();
LUCID_OP_TABLE(LUCID_DECLARE_OP)
#undef LUCID_DECLARE_OP

std::vector<Op> built_in_ops();

}  // namespace lucid::ops
