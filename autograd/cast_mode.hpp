#pragma once
// The type in which this thread's convolutions compute what is given in float32: see ops/autocast.hpp.

#include "lucid/dtype.hpp"

namespace lucid::autograd {

namespace detail {
inline constinit thread_local DType cast_dtype = f32;
}

/// float32, or bfloat16 under an autocast.
inline DType compute_dtype() { return detail::cast_dtype; }

/// Sets it for a scope and restores it at the end.
class ComputeDtypeGuard {
 public:
  explicit ComputeDtypeGuard(DType dtype) : before_(detail::cast_dtype) { detail::cast_dtype = dtype; }
  ~ComputeDtypeGuard() { detail::cast_dtype = before_; }
  ComputeDtypeGuard(const ComputeDtypeGuard&) = delete;
  ComputeDtypeGuard& operator=(const ComputeDtypeGuard&) = delete;

 private:
  DType before_;
};

}  // namespace lucid::autograd
