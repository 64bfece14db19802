#pragma once
// The built-in ops, one line each. `X(add)` stands for `Op add_op()`, defined in the op's own file. A static
// library drops objects that register themselves, so the table is explicit.

#include <vector>

#include "ops/registry.hpp"

// clang-format off
#define LUCID_OP_TABLE(X) \
  X(add)                  \
  X(all)                  \
  X(amax)                 \
  X(amin)                 \
  X(any)                  \
  X(argmax)               \
  X(argmin)               \
  X(clone)                \
  X(conv1d)               \
  X(conv2d)               \
  X(conv3d)               \
  X(conv_input_grad)      \
  X(conv_output)          \
  X(conv_transpose1d)     \
  X(conv_transpose2d)     \
  X(conv_transpose3d)     \
  X(conv_weight_grad)     \
  X(cumsum)               \
  X(div)                  \
  X(expand)               \
  X(flatten)              \
  X(getitem)              \
  X(max)                  \
  X(mean)                 \
  X(min)                  \
  X(mul)                  \
  X(narrow)               \
  X(neg)                  \
  X(permute)              \
  X(reshape)              \
  X(select)               \
  X(slice)                \
  X(slice_backward)       \
  X(squeeze)              \
  X(std)                  \
  X(sub)                  \
  X(sum)                  \
  X(sum_to)               \
  X(to)                   \
  X(transpose)            \
  X(unsqueeze)            \
  X(var)
// clang-format on

namespace lucid::ops {

#define LUCID_DECLARE_OP(name) Op name##_op();
LUCID_OP_TABLE(LUCID_DECLARE_OP)
#undef LUCID_DECLARE_OP

std::vector<Op> built_in_ops();

}  // namespace lucid::ops
