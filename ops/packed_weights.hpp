#pragma once
// Weights in the layouts that convolutions read, kept while the same elements come again.

#include <cstdint>
#include <functional>

#include "lucid/tensor.hpp"

namespace lucid::ops {

/// Where a convolution's packed weight may be kept. A weight is recognised by a 64-bit hash of its elements,
/// not by its address. The hash itself is remembered for as long as the elements have the same version,
/// unless somebody may write without a new one (Storage::is_shared()): so a change is seen through any
/// pointer that may be kept. What is kept is what came twice in a row of the same layout, so that training,
/// where each step has new weights, keeps nothing.
class PackedWeights {
 public:
  /// A new layout: its weights are not mixed up with others'.
  PackedWeights();

  /// pack(), or what it gave for the same elements of `weight`, which is dense. The result must not be
  /// written to.
  Tensor find_or_pack(const Tensor& weight, const std::function<Tensor()>& pack) const;

 private:
  std::uint64_t layout_;
};

/// How many weights were packed, and how many read for their hash, since the start.
std::int64_t weights_packed();
std::int64_t weights_hashed();

/// A hash of `bytes` bytes at `data` on all threads; the same for every thread count.
std::uint64_t hash_bytes(const void* data, std::int64_t bytes);

}  // namespace lucid::ops
