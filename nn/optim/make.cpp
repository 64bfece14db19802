#include "nn/optim/make.hpp"

#include <functional>
#include <map>

#include "nn/optim/adam.hpp"
#include "nn/optim/adaptive.hpp"
#include "nn/optim/sgd.hpp"
#include "ops/json_options.hpp"

namespace lucid::optim {

using nlohmann::json;

// Each optimiser's own file defines how its options read as JSON.
#define LUCID_DECLARE_JSON(Options)        \
  void to_json(json& out, const Options&); \
  void from_json(const json& in, Options&);
LUCID_DECLARE_JSON(SGDOptions)
LUCID_DECLARE_JSON(AdamOptions)
LUCID_DECLARE_JSON(AdamWOptions)
LUCID_DECLARE_JSON(AdamaxOptions)
LUCID_DECLARE_JSON(NAdamOptions)
LUCID_DECLARE_JSON(RAdamOptions)
LUCID_DECLARE_JSON(RMSpropOptions)
LUCID_DECLARE_JSON(AdagradOptions)
LUCID_DECLARE_JSON(AdadeltaOptions)
#undef LUCID_DECLARE_JSON

void to_json(json& out, const PerGroup& value) {
  if (value.values.size() == 1)
    out = value.values[0];
  else
    out = value.values;
}

void from_json(const json& in, PerGroup& value) {
  value = in.is_array() ? PerGroup(in.get<std::vector<double>>()) : PerGroup(in.get<double>());
}

LUCID_OPTIONS(StepLROptions, step_size, gamma)
LUCID_OPTIONS(MultiStepLROptions, milestones, gamma)
LUCID_OPTIONS(ConstantLROptions, factor, total_iters)
LUCID_OPTIONS(LinearLROptions, start_factor, end_factor, total_iters)
LUCID_OPTIONS(ExponentialLROptions, gamma)
LUCID_OPTIONS(PolynomialLROptions, total_iters, power)
LUCID_OPTIONS(CosineAnnealingLROptions, T_max, eta_min)
LUCID_OPTIONS(CosineAnnealingWarmRestartsOptions, T_0, T_mult, eta_min)
LUCID_OPTIONS(OneCycleLROptions, max_lr, total_steps, epochs, steps_per_epoch, pct_start, anneal_strategy,
              cycle_momentum, base_momentum, max_momentum, div_factor, final_div_factor, three_phase)
LUCID_OPTIONS(CyclicLROptions, base_lr, max_lr, step_size_up, step_size_down, mode, gamma, cycle_momentum,
              base_momentum, max_momentum)
LUCID_OPTIONS(ReduceLROnPlateauOptions, mode, factor, patience, threshold, threshold_mode, cooldown, min_lr,
              eps)
LUCID_OPTIONS(WarmupLROptions, total_iters, warmup_iters, start_factor, decay, power, eta_min)

namespace {

using Groups = std::vector<std::vector<Tensor>>;
using MakeOptimizer = std::unique_ptr<Optimizer> (*)(const std::string& op, const Groups&, const json&,
                                                     const std::vector<json>&);
using MakeSchedule = std::unique_ptr<LRScheduler> (*)(const std::string& op, Optimizer&, const json&);

template <class Class, class Options>
std::unique_ptr<Optimizer> make_optimizer(const std::string& op, const Groups& groups, const json& options,
                                          const std::vector<json>& overrides) {
  std::vector<ParamGroup<Options>> out;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    json merged = options.is_null() ? json::object() : options;
    if (i < overrides.size() && merged.is_object()) merged.update(overrides[i]);
    out.push_back({groups[i], ops::read_options<Options>(op, merged)});
  }
  return std::make_unique<Class>(out);
}

const std::map<std::string_view, MakeOptimizer> kOptimizers{
    {"SGD", make_optimizer<SGD, SGDOptions>},
    {"Adam", make_optimizer<Adam, AdamOptions>},
    {"AdamW", make_optimizer<AdamW, AdamWOptions>},
    {"Adamax", make_optimizer<Adamax, AdamaxOptions>},
    {"NAdam", make_optimizer<NAdam, NAdamOptions>},
    {"RAdam", make_optimizer<RAdam, RAdamOptions>},
    {"RMSprop", make_optimizer<RMSprop, RMSpropOptions>},
    {"Adagrad", make_optimizer<Adagrad, AdagradOptions>},
    {"Adadelta", make_optimizer<Adadelta, AdadeltaOptions>},
};

template <class Class, class Options>
std::unique_ptr<LRScheduler> make_lr(const std::string& op, Optimizer& optimizer, const json& options) {
  return std::make_unique<Class>(optimizer, ops::read_options<Options>(op, options));
}

std::vector<std::unique_ptr<LRScheduler>> make_members(const std::string& op, Optimizer& optimizer,
                                                       const json& list) {
  std::vector<std::unique_ptr<LRScheduler>> members;
  for (const json& member : list) {
    const bool pair = member.is_array() && member.size() == 2 && member[0].is_string();
    check(pair, op, "a scheduler must be a pair of its name and its options, got ", member.dump());
    members.push_back(make_schedule(member[0].get<std::string>(), optimizer, member[1]));
  }
  return members;
}

std::unique_ptr<LRScheduler> make_chained(const std::string& op, Optimizer& optimizer, const json& options) {
  check(options.is_object() && options.size() == 1 && options.contains("schedulers") &&
            options["schedulers"].is_array(),
        op, "the options must be {\"schedulers\": [...]}");
  return std::make_unique<ChainedScheduler>(optimizer, make_members(op, optimizer, options["schedulers"]));
}

std::unique_ptr<LRScheduler> make_sequential(const std::string& op, Optimizer& optimizer,
                                             const json& options) {
  check(options.is_object() && options.size() == 2 && options.contains("schedulers") &&
            options.contains("milestones") && options["schedulers"].is_array() &&
            options["milestones"].is_array(),
        op, "the options must be {\"schedulers\": [...], \"milestones\": [...]}");
  auto members = make_members(op, optimizer, options["schedulers"]);
  std::vector<std::int64_t> milestones;
  for (const json& milestone : options["milestones"]) milestones.push_back(ops::read_integer(milestone));
  return std::make_unique<SequentialLR>(optimizer, std::move(members), std::move(milestones));
}

const std::map<std::string_view, MakeSchedule> kSchedules{
    {"StepLR", make_lr<StepLR, StepLROptions>},
    {"MultiStepLR", make_lr<MultiStepLR, MultiStepLROptions>},
    {"ConstantLR", make_lr<ConstantLR, ConstantLROptions>},
    {"LinearLR", make_lr<LinearLR, LinearLROptions>},
    {"ExponentialLR", make_lr<ExponentialLR, ExponentialLROptions>},
    {"PolynomialLR", make_lr<PolynomialLR, PolynomialLROptions>},
    {"CosineAnnealingLR", make_lr<CosineAnnealingLR, CosineAnnealingLROptions>},
    {"CosineAnnealingWarmRestarts", make_lr<CosineAnnealingWarmRestarts, CosineAnnealingWarmRestartsOptions>},
    {"OneCycleLR", make_lr<OneCycleLR, OneCycleLROptions>},
    {"CyclicLR", make_lr<CyclicLR, CyclicLROptions>},
    {"ReduceLROnPlateau", make_lr<ReduceLROnPlateau, ReduceLROnPlateauOptions>},
    {"SequentialLR", make_sequential},
    {"ChainedScheduler", make_chained},
    {"WarmupLR", make_lr<WarmupLR, WarmupLROptions>},
};

template <class Map>
auto look_up(const char* what, const Map& known, std::string_view name) {
  const auto found = known.find(name);
  if (found != known.end()) return found->second;
  std::string list;
  for (const auto& entry : known) list += str(list.empty() ? "" : ", ", entry.first);
  raise(what, "\"", name, "\" is not known; use one of ", list);
}

}  // namespace

std::unique_ptr<Optimizer> make(std::string_view name, std::vector<Tensor> params, const json& options) {
  return make(name, Groups{std::move(params)}, options, {});
}

std::unique_ptr<Optimizer> make(std::string_view name, const Groups& groups, const json& options,
                                const std::vector<json>& overrides) {
  return look_up("optim", kOptimizers, name)(str("optim.", name), groups, options, overrides);
}

std::unique_ptr<LRScheduler> make_schedule(std::string_view name, Optimizer& optimizer, const json& options) {
  return look_up("lr_scheduler", kSchedules, name)(str("lr_scheduler.", name), optimizer, options);
}

}  // namespace lucid::optim
