#pragma once
// The plans of convolutions by what they depend on, and how often they ran.

#include <array>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "lucid/parallel.hpp"
#include "ops/conv_algorithm.hpp"
#include "ops/packed_weights.hpp"
#include "ops/plan_stats.hpp"

namespace lucid::ops {

/// All that a plan depends on.
struct PlanKey {
  std::array<std::int64_t, 34> values{};

  PlanKey(const ConvProblem& p, ConvPass pass, DType dtype, const Strides& weight, bool has_bias) {
    const ConvGeometry& g = p.geometry;
    std::size_t at = 0;
    const auto add = [&](std::int64_t value) { values[at++] = value; };
    const auto add_all = [&](const auto& list) {
      for (std::int64_t value : list) add(value);
    };
    add(static_cast<std::int64_t>(pass));
    add(static_cast<std::int64_t>(dtype));
    add(num_threads());
    add(has_bias);
    add(g.transposed);
    add(g.groups);
    add(p.batch);
    add(p.x_channels);
    add(p.y_channels);
    for (const Dims3* dims : {&g.stride, &g.padding, &g.dilation, &g.x, &g.kernel, &g.y}) add_all(*dims);
    add_all(weight);
  }
  bool operator==(const PlanKey&) const = default;
  std::string str() const {
    std::string out;
    for (const std::int64_t value : values) out += std::to_string(value) + " ";
    return out;
  }
};

struct PlanKeyHash {
  std::size_t operator()(const PlanKey& key) const {
    std::uint64_t hash = 0;
    for (std::int64_t value : key.values) {
      hash = (hash ^ static_cast<std::uint64_t>(value)) * 0x9E3779B97F4A7C15ull;
      hash ^= hash >> 32;
    }
    return hash;
  }
};

using Plan = std::shared_ptr<const ConvPlan>;

/// Least recently used plans go first. A plan in use outlives its place in the cache.
class PlanCache {
 public:
  template <class Make>
  Plan find_or_make(const PlanKey& key, Make make) {
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = index_.find(key); found != index_.end()) {
        order_.splice(order_.begin(), order_, found->second);
        return found->second->second;
      }
    }
    Plan plan = make();  // takes milliseconds: other threads go on meanwhile
    const std::lock_guard lock(mutex_);
    ++stats_.plans_created;
    if (index_.contains(key)) return plan;
    order_.emplace_front(key, plan);
    index_.emplace(key, order_.begin());
    trim();
    return plan;
  }

  void count_run(const Plan& plan, bool unpacks) {
    const std::lock_guard lock(mutex_);
    ++stats_.runs;
    stats_.weight_reorders += unpacks;
    stats_.reference_runs += plan->is_reference;
    last_ = plan;
  }
  void count_activation_reorder() {
    const std::lock_guard lock(mutex_);
    ++stats_.activation_reorders;
  }

  PlanStats stats() {
    const std::lock_guard lock(mutex_);
    PlanStats out = stats_;
    out.weight_reorders += weights_packed() - packed_before_;
    out.plans_held = static_cast<std::int64_t>(order_.size());
    if (last_) out.last_implementation = last_->implementation;
    return out;
  }
  void reset() {
    const std::lock_guard lock(mutex_);
    stats_ = {};
    packed_before_ = weights_packed();
    last_.reset();
  }
  void set_limit(std::size_t limit) {
    const std::lock_guard lock(mutex_);
    limit_ = limit;
    trim();
  }

 private:
  void trim() {
    while (order_.size() > limit_) {
      index_.erase(order_.back().first);
      order_.pop_back();
    }
  }

  std::mutex mutex_;
  std::list<std::pair<PlanKey, Plan>> order_;
  std::unordered_map<PlanKey, std::list<std::pair<PlanKey, Plan>>::iterator, PlanKeyHash> index_;
  std::size_t limit_ = 1024;
  PlanStats stats_;
  std::int64_t packed_before_ = 0;
  Plan last_;
};

}  // namespace lucid::ops
