// Schedules that move the momentum against the rate.

#include <cmath>
#include <numbers>

#include "nn/optim/schedule.hpp"

namespace lucid::optim {
namespace {

void check_momentum(std::string_view op, const Optimizer& optimizer) {
  check(optimizer.momentum().has_value(), op, "cycle_momentum with optim.", optimizer.name(),
        ", which has no momentum; set cycle_momentum to false");
}

std::int64_t steps_of(std::string_view op, const OneCycleLROptions& options) {
  if (options.total_steps) {
    check(*options.total_steps >= 1, op, "total_steps is ", *options.total_steps, "; at least 1 is required");
    return *options.total_steps;
  }
  check(options.epochs && options.steps_per_epoch, op,
        "total_steps, or epochs and steps_per_epoch, must be given");
  check(*options.epochs >= 1, op, "epochs is ", *options.epochs, "; at least 1 is required");
  check(*options.steps_per_epoch >= 1, op, "steps_per_epoch is ", *options.steps_per_epoch,
        "; at least 1 is required");
  return checked_mul(op, "steps", *options.epochs, *options.steps_per_epoch);
}

}  // namespace

OneCycleLR::OneCycleLR(Optimizer& optimizer, const OneCycleLROptions& options)
    : LRScheduler("OneCycleLR", optimizer), options_(options), total_steps_(steps_of(op_, options)) {
  check(options.pct_start >= 0 && options.pct_start <= 1, op_, "pct_start is ", options.pct_start,
        "; it must lie in [0, 1]");
  check(options.anneal_strategy == "cos" || options.anneal_strategy == "linear", op_, "anneal_strategy is \"",
        options.anneal_strategy, "\"; cos or linear is required");
  check(options.div_factor > 0, op_, "div_factor is ", options.div_factor, "; it must be positive");
  check(options.final_div_factor > 0, op_, "final_div_factor is ", options.final_div_factor,
        "; it must be positive");
  if (options.cycle_momentum) check_momentum(op_, optimizer);

  const std::size_t groups = optimizer.num_groups();
  const std::vector<double> top = options.max_lr.expand(op_, "max_lr", groups);
  const std::vector<double> low = options.base_momentum.expand(op_, "base_momentum", groups);
  const std::vector<double> high = options.max_momentum.expand(op_, "max_momentum", groups);
  std::vector<double> first, last;
  for (std::size_t g = 0; g < groups; ++g) {
    first.push_back(top[g] / options.div_factor);
    last.push_back(first[g] / options.final_div_factor);
    optimizer.set_initial_lr(g, first[g]);
  }
  base_lrs_ = first;

  const double steps = static_cast<double>(total_steps_);
  phases_.push_back({options.pct_start * steps - 1, first, top, high, low});
  if (options.three_phase) {
    phases_.push_back({2 * options.pct_start * steps - 2, top, first, low, high});
    phases_.push_back({steps - 1, first, last, high, high});
  } else {
    phases_.push_back({steps - 1, top, last, low, high});
  }
  start();
}

double OneCycleLR::anneal(double from, double to, double share) const {
  if (options_.anneal_strategy == "linear") return (to - from) * share + from;
  return to + (from - to) / 2 * (std::cos(std::numbers::pi * share) + 1);
}

std::pair<const OneCycleLR::Phase&, double> OneCycleLR::position() const {
  const double now = static_cast<double>(last_epoch_);
  double begin = 0;
  std::size_t i = 0;
  for (; i + 1 < phases_.size() && now > phases_[i].end; ++i) begin = phases_[i].end;
  const double length = phases_[i].end - begin;
  return {phases_[i], length == 0 ? 1.0 : (now - begin) / length};
}

std::vector<double> OneCycleLR::rates() const {
  check(last_epoch_ <= total_steps_, op_, "step ", last_epoch_ + 1, " of a cycle of ", total_steps_,
        " steps");
  const auto [phase, share] = position();
  std::vector<double> out;
  for (std::size_t g = 0; g < base_lrs_.size(); ++g)
    out.push_back(anneal(phase.start_lr[g], phase.end_lr[g], share));
  return out;
}

void OneCycleLR::apply(const std::vector<double>& lrs) {
  LRScheduler::apply(lrs);
  if (!options_.cycle_momentum) return;
  const auto [phase, share] = position();
  for (std::size_t g = 0; g < lrs.size(); ++g)
    optimizer_.set_momentum(g, anneal(phase.start_momentum[g], phase.end_momentum[g], share));
}

CyclicLR::CyclicLR(Optimizer& optimizer, const CyclicLROptions& options)
    : LRScheduler("CyclicLR", optimizer), options_(options) {
  check(options.step_size_up >= 1, op_, "step_size_up is ", options.step_size_up, "; at least 1 is required");
  const std::int64_t down = options.step_size_down.value_or(options.step_size_up);
  check(down >= 1, op_, "step_size_down is ", down, "; at least 1 is required");
  check(options.mode == "triangular" || options.mode == "triangular2" || options.mode == "exp_range", op_,
        "mode is \"", options.mode, "\"; triangular, triangular2 or exp_range is required");
  const std::size_t groups = optimizer.num_groups();
  base_lrs_ = options.base_lr.expand(op_, "base_lr", groups);
  max_lrs_ = options.max_lr.expand(op_, "max_lr", groups);
  if (options.cycle_momentum) {
    check_momentum(op_, optimizer);
    base_momentums_ = options.base_momentum.expand(op_, "base_momentum", groups);
    max_momentums_ = options.max_momentum.expand(op_, "max_momentum", groups);
  }
  start();
}

double CyclicLR::height() const {
  const double up = static_cast<double>(options_.step_size_up);
  const double total = up + static_cast<double>(options_.step_size_down.value_or(options_.step_size_up));
  const double now = static_cast<double>(last_epoch_);
  const double cycle = std::floor(1 + now / total);
  const double x = 1 + now / total - cycle;  // in [0, 1)
  const double top = up / total;
  const double height = x <= top ? x / top : (x - 1) / (top - 1);
  if (options_.mode == "triangular2") return height / std::pow(2.0, cycle - 1);
  if (options_.mode == "exp_range") return height * std::pow(options_.gamma, now);
  return height;
}

std::vector<double> CyclicLR::rates() const {
  const double share = height();
  std::vector<double> out;
  for (std::size_t g = 0; g < base_lrs_.size(); ++g)
    out.push_back(base_lrs_[g] + (max_lrs_[g] - base_lrs_[g]) * share);
  return out;
}

void CyclicLR::apply(const std::vector<double>& lrs) {
  LRScheduler::apply(lrs);
  if (!options_.cycle_momentum) return;
  const double share = height();
  for (std::size_t g = 0; g < lrs.size(); ++g)
    optimizer_.set_momentum(g, max_momentums_[g] - (max_momentums_[g] - base_momentums_[g]) * share);
}

}  // namespace lucid::optim
