#include "ops/conv_plan.hpp"

#include <array>
#include <list>
#include <mutex>
#include <unordered_map>

#include "lucid/log.hpp"
#include "lucid/parallel.hpp"
#include "ops/conv_algorithm.hpp"
#include "ops/direct/conv.hpp"
#include "ops/direct/depthwise.hpp"
#include "ops/direct/few_channels.hpp"
#include "ops/direct/single_voxel.hpp"
#include "ops/onednn/conv.hpp"
#include "ops/plan_stats.hpp"

namespace lucid::ops {
namespace {

// All that a plan depends on.
struct Key {
  std::array<std::int64_t, 34> values{};

  Key(const ConvProblem& p, ConvPass pass, DType dtype, const Strides& weight, bool has_bias) {
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
  bool operator==(const Key&) const = default;
};

struct Hash {
  std::size_t operator()(const Key& key) const {
    std::uint64_t hash = 0;
    for (std::int64_t value : key.values) {
      hash = (hash ^ static_cast<std::uint64_t>(value)) * 0x9E3779B97F4A7C15ull;
      hash ^= hash >> 32;
    }
    return hash;
  }
};

using Plan = std::shared_ptr<const ConvPlan>;

// Least recently used plans go first. A plan in use outlives its place in the cache.
class PlanCache {
 public:
  template <class Make>
  Plan find_or_make(const Key& key, Make make) {
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
  std::list<std::pair<Key, Plan>> order_;
  std::unordered_map<Key, std::list<std::pair<Key, Plan>>::iterator, Hash> index_;
  std::size_t limit_ = 1024;
  PlanStats stats_;
  std::int64_t packed_before_ = 0;
  Plan last_;
};

// Never destroyed: a convolution may run while static objects go.
PlanCache& cache() {
  static auto* instance = new PlanCache;
  return *instance;
}

constexpr std::string_view pass_name(const ConvGeometry& g, ConvPass pass) {
  if (pass == ConvPass::w) return "weight gradient";
  return (pass == ConvPass::x) == g.transposed ? "forward" : "input gradient";
}

void log_plan(const ConvProblem& p, ConvPass pass, const ConvPlan& plan) {
  if (!logging::enabled(logging::Level::debug)) return;
  const ConvGeometry& g = p.geometry;
  logging::debug(str("plan: ", g.transposed ? "conv_transpose " : "conv ", pass_name(g, pass), ", batch ",
                     p.batch, ", x ", p.x_row(), " x ", g.x, ", y ", p.y_row(), " x ", g.y, ", kernel ",
                     g.kernel, ", stride ", g.stride, ", padding ", g.padding, ", dilation ", g.dilation,
                     ", groups ", g.groups, ": ", plan.implementation));
}

void run_direct(const ConvProblem& p, ConvPass pass, const Tensor& x, const Tensor& weight, const Tensor& y,
                const Tensor& bias, const PackedWeights& kept) {
  switch (pass) {
    case ConvPass::y: return direct::conv_forward(p, x, weight, bias, y, kept);
    case ConvPass::x: return direct::conv_transpose(p, y, weight, bias, x, kept);
    case ConvPass::w: return direct::conv_weight_grad(p, x, y, weight);
  }
}

void run_depthwise(const ConvProblem& p, ConvPass pass, const Tensor& x, const Tensor& weight,
                   const Tensor& y, const Tensor& bias) {
  switch (pass) {
    case ConvPass::y: return direct::depthwise_forward(p, x, weight, bias, y);
    case ConvPass::x: return direct::depthwise_transpose(p, y, weight, bias, x);
    case ConvPass::w: return direct::depthwise_weight_grad(p, x, y, weight);
  }
}

}  // namespace

void run_conv(const ConvProblem& problem, ConvPass pass, const Tensor& x, const Tensor& weight,
              const Tensor& y, const Tensor& bias) {
  const Strides& strides = weight.strides();
  const Plan plan = cache().find_or_make(Key(problem, pass, weight.dtype(), strides, bias.defined()), [&] {
    auto fresh = std::make_shared<const ConvPlan>(problem, pass, weight.dtype(), strides, bias.defined());
    log_plan(problem, pass, *fresh);
    return fresh;
  });
  cache().count_run(plan, pass == ConvPass::w && plan->primitive && plan->primitive->packs_weight());
  switch (plan->algorithm) {
    case ConvAlgorithm::onednn: return plan->primitive->run(x, weight, y, bias, plan->weights);
    case ConvAlgorithm::direct: return run_direct(problem, pass, x, weight, y, bias, plan->weights);
    case ConvAlgorithm::few_channels: return direct::conv_transpose_few(problem, y, weight, bias, x);
    case ConvAlgorithm::single_voxel: return direct::run_single_voxel(problem, pass, x, weight, y, bias);
    case ConvAlgorithm::depthwise: return run_depthwise(problem, pass, x, weight, y, bias);
  }
}

void count_activation_reorder() { cache().count_activation_reorder(); }

}  // namespace lucid::ops

namespace lucid {

PlanStats plan_stats() { return ops::cache().stats(); }
void reset_plan_stats() { ops::cache().reset(); }
void set_plan_limit(std::int64_t count) {
  check(count >= 1, "set_plan_limit", "count is ", count, "; at least 1 is required");
  ops::cache().set_limit(static_cast<std::size_t>(count));
}

}  // namespace lucid
