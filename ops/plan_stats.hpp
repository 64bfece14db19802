#pragma once
// What the convolutions decided and did: counters for tests, benchmarks and the curious. With LUCID_LOG=debug
// each new plan is also logged.

#include <cstdint>
#include <string>

namespace lucid {

/// Counters since the start or reset_plan_stats(), of all threads together.
struct PlanStats {
  std::int64_t plans_created = 0;        ///< a steady loop creates none
  std::int64_t plans_held = 0;           ///< in the cache now
  std::int64_t runs = 0;                 ///< convolutions and their gradients computed
  std::int64_t activation_reorders = 0;  ///< inputs or gradients copied to channels-last
  std::int64_t weight_reorders = 0;      ///< weights copied into or out of a kernel's own layout
  std::int64_t reference_runs = 0;       ///< runs for which oneDNN had no fast implementation
  /// Of the latest run, for example "onednn:jit:avx512_core", "lucid:direct".
  std::string last_implementation;
};

PlanStats plan_stats();
/// Sets the counters to 0; plans are kept.
void reset_plan_stats();
/// Plans beyond this many (default 1024) drop the one unused for longest. Throws Error when `count` < 1.
void set_plan_limit(std::int64_t count);

}  // namespace lucid
