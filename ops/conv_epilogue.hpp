#pragma once
// What a convolution does with each element of its result before it stores it.

#include "ops/kernels/rectifier.hpp"

namespace lucid::ops {

struct ConvEpilogue {
  bool accumulate = false;  ///< the result is added to what the output holds
  kernels::Rectifier rectifier = {};

  bool is_nothing() const { return !accumulate && rectifier.is_identity(); }
};

}  // namespace lucid::ops
