// Schedules that are a formula of the epoch. Where PyTorch computes a rate from the one before, so does
// rates(): the two agree to the last digits, and a rate changed by hand is carried on.

#include <algorithm>
#include <cmath>
#include <numbers>

#include "nn/optim/schedule.hpp"

namespace lucid::optim {
namespace {

double ratio(std::int64_t a, std::int64_t b) { return static_cast<double>(a) / static_cast<double>(b); }
double unchanged(double lr) { return lr; }

void check_factor(std::string_view op, const char* what, double value) {
  check(value > 0 && value <= 1, op, what, " is ", value, "; it must lie in (0, 1]");
}
void check_count(std::string_view op, const char* what, std::int64_t value) {
  check(value >= 1, op, what, " is ", value, "; at least 1 is required");
}
void check_gamma(std::string_view op, double gamma) {
  check(gamma >= 0 && std::isfinite(gamma), op, "gamma is ", gamma, "; it must be finite and not negative");
}

}  // namespace

LambdaLR::LambdaLR(Optimizer& optimizer, Function lr_lambda)
    : LambdaLR(optimizer, std::vector<Function>(optimizer.num_groups(), std::move(lr_lambda))) {}

LambdaLR::LambdaLR(Optimizer& optimizer, std::vector<Function> lr_lambda)
    : LRScheduler("LambdaLR", optimizer), functions_(std::move(lr_lambda)) {
  check(functions_.size() == optimizer.num_groups(), op_, functions_.size(), " functions given for ",
        optimizer.num_groups(), " parameter groups");
  start();
}

std::vector<double> LambdaLR::rates() const {
  std::vector<double> out;
  for (std::size_t g = 0; g < base_lrs_.size(); ++g) out.push_back(base_lrs_[g] * functions_[g](last_epoch_));
  return out;
}

MultiplicativeLR::MultiplicativeLR(Optimizer& optimizer, Function lr_lambda)
    : MultiplicativeLR(optimizer, std::vector<Function>(optimizer.num_groups(), std::move(lr_lambda))) {}

MultiplicativeLR::MultiplicativeLR(Optimizer& optimizer, std::vector<Function> lr_lambda)
    : LRScheduler("MultiplicativeLR", optimizer), functions_(std::move(lr_lambda)) {
  check(functions_.size() == optimizer.num_groups(), op_, functions_.size(), " functions given for ",
        optimizer.num_groups(), " parameter groups");
  start();
}

std::vector<double> MultiplicativeLR::rates() const {
  std::vector<double> out = from_present(unchanged);
  if (last_epoch_ == 0) return out;
  for (std::size_t g = 0; g < out.size(); ++g) out[g] *= functions_[g](last_epoch_);
  return out;
}

StepLR::StepLR(Optimizer& optimizer, const StepLROptions& options)
    : LRScheduler("StepLR", optimizer), options_(options) {
  check_count(op_, "step_size", options.step_size);
  check_gamma(op_, options.gamma);
  start();
}

std::vector<double> StepLR::rates() const {
  if (last_epoch_ == 0 || last_epoch_ % options_.step_size != 0) return from_present(unchanged);
  return from_present([&](double lr) { return lr * options_.gamma; });
}

std::vector<double> StepLR::closed_form() const {
  const double factor = std::pow(options_.gamma, static_cast<double>(last_epoch_ / options_.step_size));
  return from_base([&](double lr) { return lr * factor; });
}

MultiStepLR::MultiStepLR(Optimizer& optimizer, const MultiStepLROptions& options)
    : LRScheduler("MultiStepLR", optimizer), options_(options) {
  check_gamma(op_, options.gamma);
  std::sort(options_.milestones.begin(), options_.milestones.end());
  start();
}

std::vector<double> MultiStepLR::rates() const {
  const auto& list = options_.milestones;
  const auto times = std::count(list.begin(), list.end(), last_epoch_);
  if (times == 0) return from_present(unchanged);
  const double factor = std::pow(options_.gamma, static_cast<double>(times));
  return from_present([&](double lr) { return lr * factor; });
}

std::vector<double> MultiStepLR::closed_form() const {
  const auto& list = options_.milestones;
  const auto passed = std::upper_bound(list.begin(), list.end(), last_epoch_) - list.begin();
  const double factor = std::pow(options_.gamma, static_cast<double>(passed));
  return from_base([&](double lr) { return lr * factor; });
}

ConstantLR::ConstantLR(Optimizer& optimizer, const ConstantLROptions& options)
    : LRScheduler("ConstantLR", optimizer), options_(options) {
  check_factor(op_, "factor", options.factor);
  check_count(op_, "total_iters", options.total_iters);
  start();
}

std::vector<double> ConstantLR::rates() const {
  if (last_epoch_ == 0) return from_present([&](double lr) { return lr * options_.factor; });
  if (last_epoch_ != options_.total_iters) return from_present(unchanged);
  return from_present([&](double lr) { return lr * (1 / options_.factor); });
}

std::vector<double> ConstantLR::closed_form() const {
  const double factor = last_epoch_ >= options_.total_iters ? 1 : options_.factor;
  return from_base([&](double lr) { return lr * factor; });
}

LinearLR::LinearLR(Optimizer& optimizer, const LinearLROptions& options)
    : LRScheduler("LinearLR", optimizer), options_(options) {
  check_factor(op_, "start_factor", options.start_factor);
  check(options.end_factor >= 0 && options.end_factor <= 1, op_, "end_factor is ", options.end_factor,
        "; it must lie in [0, 1]");
  check_count(op_, "total_iters", options.total_iters);
  start();
}

std::vector<double> LinearLR::rates() const {
  if (last_epoch_ == 0) return from_present([&](double lr) { return lr * options_.start_factor; });
  if (last_epoch_ > options_.total_iters) return from_present(unchanged);
  const double rise = options_.end_factor - options_.start_factor;
  const double before = static_cast<double>(options_.total_iters) * options_.start_factor +
                        static_cast<double>(last_epoch_ - 1) * rise;
  return from_present([&](double lr) { return lr * (1 + rise / before); });
}

std::vector<double> LinearLR::closed_form() const {
  const double done = ratio(std::min(last_epoch_, options_.total_iters), options_.total_iters);
  const double factor = options_.start_factor + (options_.end_factor - options_.start_factor) * done;
  return from_base([&](double lr) { return lr * factor; });
}

ExponentialLR::ExponentialLR(Optimizer& optimizer, const ExponentialLROptions& options)
    : LRScheduler("ExponentialLR", optimizer), options_(options) {
  check_gamma(op_, options.gamma);
  start();
}

std::vector<double> ExponentialLR::rates() const {
  if (last_epoch_ == 0) return from_present(unchanged);
  return from_present([&](double lr) { return lr * options_.gamma; });
}

std::vector<double> ExponentialLR::closed_form() const {
  const double factor = std::pow(options_.gamma, static_cast<double>(last_epoch_));
  return from_base([&](double lr) { return lr * factor; });
}

PolynomialLR::PolynomialLR(Optimizer& optimizer, const PolynomialLROptions& options)
    : LRScheduler("PolynomialLR", optimizer), options_(options) {
  check_count(op_, "total_iters", options.total_iters);
  check(options.power >= 0, op_, "power is ", options.power, "; it must not be negative");
  start();
}

std::vector<double> PolynomialLR::rates() const {
  if (last_epoch_ == 0 || last_epoch_ > options_.total_iters) return from_present(unchanged);
  const double now = 1 - ratio(last_epoch_, options_.total_iters);
  const double before = 1 - ratio(last_epoch_ - 1, options_.total_iters);
  const double factor = std::pow(now / before, options_.power);
  return from_present([&](double lr) { return lr * factor; });
}

std::vector<double> PolynomialLR::closed_form() const {
  const double left = 1 - ratio(std::min(last_epoch_, options_.total_iters), options_.total_iters);
  const double factor = std::pow(left, options_.power);
  return from_base([&](double lr) { return lr * factor; });
}

CosineAnnealingLR::CosineAnnealingLR(Optimizer& optimizer, const CosineAnnealingLROptions& options)
    : LRScheduler("CosineAnnealingLR", optimizer), options_(options) {
  check_count(op_, "T_max", options.T_max);
  check(options.eta_min >= 0, op_, "eta_min is ", options.eta_min, "; it must not be negative");
  start();
}

std::vector<double> CosineAnnealingLR::rates() const {
  constexpr double pi = std::numbers::pi;
  const double eta_min = options_.eta_min, period = static_cast<double>(options_.T_max);
  if (last_epoch_ == 0) return from_present(unchanged);
  if ((last_epoch_ - 1 - options_.T_max) % (2 * options_.T_max) ==
      0) {  // at the bottom the ratio below is 0 / 0
    const double rise = (1 - std::cos(pi / period)) / 2;
    std::vector<double> out = from_present(unchanged);
    for (std::size_t g = 0; g < out.size(); ++g) out[g] += (base_lrs_[g] - eta_min) * rise;
    return out;
  }
  const double now = static_cast<double>(last_epoch_);
  const double factor = (1 + std::cos(pi * now / period)) / (1 + std::cos(pi * (now - 1) / period));
  return from_present([&](double lr) { return factor * (lr - eta_min) + eta_min; });
}

std::vector<double> CosineAnnealingLR::closed_form() const {
  const double share = (1 + std::cos(std::numbers::pi * ratio(last_epoch_, options_.T_max))) / 2;
  return from_base([&](double lr) { return options_.eta_min + (lr - options_.eta_min) * share; });
}

CosineAnnealingWarmRestarts::CosineAnnealingWarmRestarts(Optimizer& optimizer,
                                                         const CosineAnnealingWarmRestartsOptions& options)
    : LRScheduler("CosineAnnealingWarmRestarts", optimizer), options_(options) {
  check_count(op_, "T_0", options.T_0);
  check_count(op_, "T_mult", options.T_mult);
  check(options.eta_min >= 0, op_, "eta_min is ", options.eta_min, "; it must not be negative");
  start();
}

std::vector<double> CosineAnnealingWarmRestarts::rates() const {
  std::int64_t inside = last_epoch_, period = options_.T_0;
  if (options_.T_mult == 1) inside %= period;
  while (inside >= period) {
    inside -= period;
    period = checked_mul(op_, "period", period, options_.T_mult);
  }
  const double share =
      (1 + std::cos(std::numbers::pi * static_cast<double>(inside) / static_cast<double>(period))) / 2;
  return from_base([&](double lr) { return options_.eta_min + (lr - options_.eta_min) * share; });
}

WarmupLR::WarmupLR(Optimizer& optimizer, const WarmupLROptions& options)
    : LRScheduler("WarmupLR", optimizer), options_(options) {
  check_count(op_, "total_iters", options.total_iters);
  check(options.warmup_iters >= 0 && options.warmup_iters <= options.total_iters, op_, "warmup_iters is ",
        options.warmup_iters, "; it must lie in [0, total_iters = ", options.total_iters, "]");
  check(options.start_factor >= 0 && options.start_factor <= 1, op_, "start_factor is ", options.start_factor,
        "; it must lie in [0, 1]");
  check(options.decay == "poly" || options.decay == "cosine" || options.decay == "constant", op_,
        "decay is \"", options.decay, "\"; poly, cosine or constant is required");
  check(options.power >= 0, op_, "power is ", options.power, "; it must not be negative");
  check(options.eta_min >= 0, op_, "eta_min is ", options.eta_min, "; it must not be negative");
  start();
}

std::vector<double> WarmupLR::rates() const {
  const std::int64_t rising = options_.warmup_iters;
  if (last_epoch_ < rising) {
    const double factor = options_.start_factor + (1 - options_.start_factor) * ratio(last_epoch_, rising);
    return from_base([&](double lr) { return lr * factor; });
  }
  const std::int64_t falling = std::max<std::int64_t>(1, options_.total_iters - rising);
  const double done = std::min(1.0, ratio(last_epoch_ - rising, falling));
  double share = 1;
  if (options_.decay == "poly") share = std::pow(1 - done, options_.power);
  if (options_.decay == "cosine") share = (1 + std::cos(std::numbers::pi * done)) / 2;
  return from_base([&](double lr) { return options_.eta_min + (lr - options_.eta_min) * share; });
}

}  // namespace lucid::optim
