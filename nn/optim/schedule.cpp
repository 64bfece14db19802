// What all schedules share, and those that are more than a formula of the epoch.

#include "nn/optim/schedule.hpp"

#include <algorithm>
#include <cmath>

namespace lucid::optim {
namespace {

Tensor list_tensor(const std::vector<double>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

using Schedulers = std::vector<std::unique_ptr<LRScheduler>>;

// The members' states under "schedulers.<i>.<key>".
void add_member_states(NamedTensors& out, const Schedulers& schedulers) {
  for (std::size_t i = 0; i < schedulers.size(); ++i)
    for (const auto& [key, tensor] : schedulers[i]->state_dict())
      out.add(str("schedulers.", i, ".", key), tensor);
}

// Member i's part of them; `own` has its keys.
NamedTensors member_state(const NamedTensors& state, std::size_t i, const NamedTensors& own) {
  NamedTensors part;
  for (const auto& entry : own) part.add(entry.first, state.at(str("schedulers.", i, ".", entry.first)));
  return part;
}

}  // namespace

std::vector<double> PerGroup::expand(std::string_view op, const char* what, std::size_t count) const {
  std::string list;
  for (const double value : values) list += (list.empty() ? "" : ", ") + str(value);
  check(values.size() == 1 || values.size() == count, op, what, " has ", values.size(), " values; 1 or ",
        count, ", one for each parameter group, are required, not ", list);
  return values.size() == count ? values : std::vector<double>(count, values[0]);
}

LRScheduler::LRScheduler(std::string_view name, Optimizer& optimizer)
    : op_(str("lr_scheduler.", name)), optimizer_(optimizer) {
  for (std::size_t g = 0; g < optimizer.num_groups(); ++g) {
    if (!optimizer.initial_lr(g)) optimizer.set_initial_lr(g, optimizer.lr(g));
    base_lrs_.push_back(*optimizer.initial_lr(g));
  }
}

void LRScheduler::start() {
  ++last_epoch_;
  apply(rates());
}

void LRScheduler::step() {
  check(base_lrs_.size() == optimizer_.num_groups(), op_, "the optimiser has ", optimizer_.num_groups(),
        " parameter groups, it had ", base_lrs_.size(), " when the schedule was made");
  ++last_epoch_;
  apply(rates());
}

void LRScheduler::restart() {
  last_epoch_ = 0;
  apply(closed_form());
}

void LRScheduler::apply(const std::vector<double>& lrs) {
  for (std::size_t g = 0; g < lrs.size(); ++g) optimizer_.set_lr(g, lrs[g]);
  last_lr_ = lrs;
}

NamedTensors LRScheduler::state_dict() const {
  return {{"last_epoch", scalar_tensor(last_epoch_, i64)},
          {"base_lrs", list_tensor(base_lrs_)},
          {"last_lr", list_tensor(last_lr_)}};
}

void LRScheduler::load_state_dict(const NamedTensors& state) {
  const NamedTensors own = state_dict();
  for (const auto& [key, tensor] : own) {
    const Tensor* given = state.find(key);
    check(given && given->defined(), op_, "load_state_dict: missing key ", key);
    check(given->shape() == tensor.shape() && given->dtype() == tensor.dtype(), op_, "load_state_dict: ", key,
          " has shape ", given->shape(), " and type ", given->dtype(), "; ", tensor.shape(), " and ",
          tensor.dtype(), " are required");
  }
  for (const auto& entry : state)
    check(own.contains(entry.first), op_, "load_state_dict: unexpected key ", entry.first);
  restore(state);
}

void LRScheduler::restore(const NamedTensors& state) {
  last_epoch_ = state.at("last_epoch").item<std::int64_t>();
  base_lrs_ = state.at("base_lrs").to_vector<double>();
  last_lr_ = state.at("last_lr").to_vector<double>();
}

SequentialLR::SequentialLR(Optimizer& optimizer, std::vector<std::unique_ptr<LRScheduler>> schedulers,
                           std::vector<std::int64_t> milestones)
    : LRScheduler("SequentialLR", optimizer),
      schedulers_(std::move(schedulers)),
      milestones_(std::move(milestones)) {
  check(!schedulers_.empty() && milestones_.size() + 1 == schedulers_.size(), op_, milestones_.size(),
        " milestones given for ", schedulers_.size(), " schedulers; one less than those is required");
  check(std::is_sorted(milestones_.begin(), milestones_.end()), op_, "the milestones must not fall");
  for (const auto& scheduler : schedulers_) {
    check(scheduler && &scheduler->optimizer_ == &optimizer, op_,
          "every scheduler must be of this optimiser");
    check(!dynamic_cast<ReduceLROnPlateau*>(scheduler.get()) && !dynamic_cast<SequentialLR*>(scheduler.get()),
          op_, "ReduceLROnPlateau, which needs a metric, and another SequentialLR can't be members");
  }
  for (std::size_t g = 0; g < optimizer.num_groups(); ++g) optimizer.set_lr(g, *optimizer.initial_lr(g));
  for (const auto& scheduler : schedulers_) scheduler->unstart();
  schedulers_[0]->start();
  last_epoch_ = 0;
  last_lr_ = schedulers_[0]->last_lr();
}

void SequentialLR::step() {
  ++last_epoch_;
  const auto next = std::upper_bound(milestones_.begin(), milestones_.end(), last_epoch_);
  LRScheduler& member = *schedulers_[static_cast<std::size_t>(next - milestones_.begin())];
  if (next != milestones_.begin() && *(next - 1) == last_epoch_)
    member.restart();
  else
    member.step();
  last_lr_ = member.last_lr();
}

NamedTensors SequentialLR::state_dict() const {
  NamedTensors out = LRScheduler::state_dict();
  add_member_states(out, schedulers_);
  return out;
}

void SequentialLR::restore(const NamedTensors& state) {
  LRScheduler::restore(state);
  for (std::size_t i = 0; i < schedulers_.size(); ++i)
    schedulers_[i]->restore(member_state(state, i, schedulers_[i]->state_dict()));
}

ChainedScheduler::ChainedScheduler(Optimizer& optimizer, std::vector<std::unique_ptr<LRScheduler>> schedulers)
    : LRScheduler("ChainedScheduler", optimizer), schedulers_(std::move(schedulers)) {
  check(!schedulers_.empty(), op_, "no schedulers given");
  for (const auto& scheduler : schedulers_) {
    check(scheduler && &scheduler->optimizer_ == &optimizer, op_,
          "every scheduler must be of this optimiser");
    check(!dynamic_cast<ReduceLROnPlateau*>(scheduler.get()), op_,
          "ReduceLROnPlateau, which needs a metric, can't be a member");
  }
  last_epoch_ = 0;
  last_lr_ = schedulers_.back()->last_lr();
}

void ChainedScheduler::step() {
  ++last_epoch_;
  for (const auto& scheduler : schedulers_) scheduler->step();
  last_lr_ = schedulers_.back()->last_lr();
}

NamedTensors ChainedScheduler::state_dict() const {
  NamedTensors out = LRScheduler::state_dict();
  add_member_states(out, schedulers_);
  return out;
}

void ChainedScheduler::restore(const NamedTensors& state) {
  LRScheduler::restore(state);
  for (std::size_t i = 0; i < schedulers_.size(); ++i)
    schedulers_[i]->restore(member_state(state, i, schedulers_[i]->state_dict()));
}

ReduceLROnPlateau::ReduceLROnPlateau(Optimizer& optimizer, const ReduceLROnPlateauOptions& options)
    : LRScheduler("ReduceLROnPlateau", optimizer), options_(options) {
  check(options.mode == "min" || options.mode == "max", op_, "mode is \"", options.mode,
        "\"; min or max is required");
  check(options.threshold_mode == "rel" || options.threshold_mode == "abs", op_, "threshold_mode is \"",
        options.threshold_mode, "\"; rel or abs is required");
  check(options.factor >= 0 && options.factor < 1, op_, "factor is ", options.factor,
        "; it must lie in [0, 1)");
  check(options.patience >= 0, op_, "patience is ", options.patience, "; it must not be negative");
  check(options.cooldown >= 0, op_, "cooldown is ", options.cooldown, "; it must not be negative");
  min_lrs_ = options.min_lr.expand(op_, "min_lr", optimizer.num_groups());
  const double infinity = std::numeric_limits<double>::infinity();
  best_ = options.mode == "min" ? infinity : -infinity;
  last_epoch_ = 0;
  last_lr_ = from_present([](double lr) { return lr; });
}

void ReduceLROnPlateau::step() { raise(op_, "step() without a metric; call step(metric)"); }

bool ReduceLROnPlateau::is_better(double metric) const {
  const bool relative = options_.threshold_mode == "rel";
  if (options_.mode == "min")
    return metric < (relative ? best_ * (1 - options_.threshold) : best_ - options_.threshold);
  return metric > (relative ? best_ * (options_.threshold + 1) : best_ + options_.threshold);
}

void ReduceLROnPlateau::step(double metric) {
  ++last_epoch_;
  if (is_better(metric)) {
    best_ = metric;
    bad_epochs_ = 0;
  } else {
    ++bad_epochs_;
  }
  if (cooldown_left_ > 0) {
    --cooldown_left_;
    bad_epochs_ = 0;
  }
  std::vector<double> lrs = from_present([](double lr) { return lr; });
  if (bad_epochs_ > options_.patience) {
    for (std::size_t g = 0; g < lrs.size(); ++g) {
      const double reduced = std::max(lrs[g] * options_.factor, min_lrs_[g]);
      if (lrs[g] - reduced > options_.eps) lrs[g] = reduced;
    }
    cooldown_left_ = options_.cooldown;
    bad_epochs_ = 0;
  }
  apply(lrs);
}

NamedTensors ReduceLROnPlateau::state_dict() const {
  NamedTensors out = LRScheduler::state_dict();
  out.add("best", scalar_tensor(best_, f64));
  out.add("num_bad_epochs", scalar_tensor(bad_epochs_, i64));
  out.add("cooldown_counter", scalar_tensor(cooldown_left_, i64));
  return out;
}

void ReduceLROnPlateau::restore(const NamedTensors& state) {
  LRScheduler::restore(state);
  best_ = state.at("best").item<double>();
  bad_epochs_ = state.at("num_bad_epochs").item<std::int64_t>();
  cooldown_left_ = state.at("cooldown_counter").item<std::int64_t>();
}

}  // namespace lucid::optim
