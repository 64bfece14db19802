#pragma once

#include <cstdint>

namespace lucid::ops {

/// Indices begin to end - 1 of an axis.
struct Range {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
  bool empty() const { return begin >= end; }
  bool operator==(const Range&) const = default;
};

}  // namespace lucid::ops
