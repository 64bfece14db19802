#pragma once
// Members of OptimizerOf<Options>, for the .cpp file of each optimiser (brings in all of nlohmann/json).
// There `void validate(std::string_view op, const Options&)` says which options are in range,
// `std::vector<bool> used_slots(const Options&)` which states they need, and LUCID_OPTIONS how they read as
// JSON.

#include <cmath>
#include <string>

#include "nn/optim/optimizer.hpp"
#include "ops/json_options.hpp"

namespace lucid::optim {

namespace detail {
inline void require_option(std::string_view op, const char* name, double value, double least) {
  check(value >= least && std::isfinite(value), op, name, " is ", value, "; a finite number of at least ",
        least, " is required");
}
/// In [0, 1).
inline void require_beta(std::string_view op, const char* name, double value) {
  check(value >= 0 && value < 1, op, name, " is ", value, "; it must lie in [0, 1)");
}
}  // namespace detail

template <class Options>
OptimizerOf<Options>::OptimizerOf(std::string_view name, std::vector<std::string> slot_names,
                                  const std::vector<ParamGroup<Options>>& groups)
    : Optimizer(name, std::move(slot_names)) {
  for (const auto& group : groups) validate(str("optim.", name), group.options);
  check(!groups.empty(), str("optim.", name), "no parameter group given");
  for (const auto& group : groups) add_param_group(group.params, group.options);
}

template <class Options>
void OptimizerOf<Options>::set_options(std::size_t group, const Options& options) {
  validate(str("optim.", name()), options);
  options_.at(group) = options;
}

template <class Options>
void OptimizerOf<Options>::add_param_group(std::vector<Tensor> params, const Options& options) {
  validate(str("optim.", name()), options);
  add_group(std::move(params));
  options_.push_back(options);
}

template <class Options>
void OptimizerOf<Options>::set_lr(std::size_t group, double lr) {
  // A schedule that falls to 0 may miss it by a rounding error.
  constexpr double kRounding = 1e-12;
  detail::require_option(str("optim.", name()), "lr", lr, lr < 0 && lr > -kRounding ? lr : 0);
  options_.at(group).lr = lr;
}

template <class Options>
std::optional<double> OptimizerOf<Options>::momentum(std::size_t group) const {
  if constexpr (requires(Options o) { o.betas; }) return options(group).betas[0];
  if constexpr (requires(Options o) { o.momentum; }) return options(group).momentum;
  return {};
}

template <class Options>
void OptimizerOf<Options>::set_momentum(std::size_t group, double momentum) {
  if constexpr (requires(Options o) { o.betas; })
    options_.at(group).betas[0] = momentum;
  else if constexpr (requires(Options o) { o.momentum; })
    options_.at(group).momentum = momentum;
  else
    raise(str("optim.", name()), "momentum ", momentum, " given to an optimiser without momentum, for group ",
          group);
}

template <class Options>
bool OptimizerOf<Options>::has_betas() const {
  return requires(Options o) { o.betas; };
}

template <class Options>
nlohmann::json OptimizerOf<Options>::group_options(std::size_t group) const {
  return nlohmann::json(options(group));
}

template <class Options>
void OptimizerOf<Options>::set_group_options(std::size_t group, const nlohmann::json& given) {
  options_.at(group) = ops::read_options<Options>(str("optim.", name()), given);
}

template <class Options>
std::vector<bool> OptimizerOf<Options>::check_group_options(const nlohmann::json& given) const {
  const std::string op = str("optim.", name());
  const auto read = ops::read_options<Options>(op, given);
  validate(op, read);
  return used_slots(read);
}

}  // namespace lucid::optim
