#pragma once
// Optimisers: groups of parameters, each with options of its own, and a state for every parameter.
//
//   optim::AdamW optimizer(net.parameters(), {.lr = 1e-2, .weight_decay = 1e-5});
//   optimizer.zero_grad();
//   loss.backward();
//   optimizer.step();

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lucid/named_tensors.hpp"
#include "lucid/tensor.hpp"

namespace lucid::optim {

/// What an optimiser remembers of one parameter.
struct ParamState {
  std::int64_t step = 0;      ///< updates done so far
  double mu_product = 1;      ///< NAdam only
  std::vector<Tensor> slots;  ///< moments and the like, in the order of slot_names(); undefined until used
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// "AdamW"
  std::string_view name() const { return name_; }
  /// Updates every parameter that has a gradient. Nothing is recorded.
  void step();
  /// Clears the gradients of all parameters.
  void zero_grad() const;

  std::size_t num_groups() const { return groups_.size(); }
  const std::vector<Tensor>& params(std::size_t group = 0) const;
  virtual double lr(std::size_t group = 0) const = 0;
  virtual void set_lr(std::size_t group, double lr) = 0;
  void set_lr(double lr);  ///< of all groups
  /// The momentum, or the first of the betas, of optimisers that have one.
  virtual std::optional<double> momentum(std::size_t group = 0) const = 0;
  virtual void set_momentum(std::size_t group, double momentum) = 0;
  virtual bool has_betas() const = 0;
  /// The rate from which schedules start: the one that the group had when the first schedule was made.
  std::optional<double> initial_lr(std::size_t group) const { return groups_.at(group).initial_lr; }
  void set_initial_lr(std::size_t group, double lr) { groups_.at(group).initial_lr = lr; }

  /// The state by name: "state.3.exp_avg" (3: the parameter's number over all groups), "state.3.step",
  /// "param_groups.0.lr". Tensors are shared with the optimiser, not copied.
  NamedTensors state_dict() const;
  /// Takes the state over, copying the tensors. Everything is checked first: throws Error naming what is
  /// missing, unexpected or of another shape, and then changes nothing.
  void load_state_dict(const NamedTensors& state);
  /// The state of parameter number `index`, for inspection.
  const ParamState& state(std::size_t index) const { return states_.at(index); }
  /// The names of the slots that this optimiser's states have, as PyTorch calls them.
  const std::vector<std::string>& slot_names() const { return slot_names_; }

 protected:
  Optimizer(std::string_view name, std::vector<std::string> slot_names);

  /// Throws Error unless all are distinct, defined, floating leaves that no other group has.
  void add_group(std::vector<Tensor> params);
  /// One update of `param`; `grad` is dense and laid out like it.
  virtual void update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) = 0;
  virtual nlohmann::json group_options(std::size_t group) const = 0;
  virtual void set_group_options(std::size_t group, const nlohmann::json& options) = 0;
  /// Throws Error when set_group_options would. Returns which slots a state has under these options: Adam's
  /// maximum, for one, only with amsgrad.
  virtual std::vector<bool> check_group_options(const nlohmann::json& options) const = 0;

 private:
  struct Group {
    std::vector<Tensor> params;
    std::optional<double> initial_lr;
  };
  friend class StateReader;

  std::string_view name_;  // a literal
  std::vector<std::string> slot_names_;
  std::vector<Group> groups_;
  std::vector<ParamState> states_;  // in the order of the parameters over all groups
};

template <class Options>
struct ParamGroup {
  std::vector<Tensor> params;
  Options options = {};
};

/// An optimiser whose groups have Options. Its options' own file defines the members (optimizer_of.hpp).
template <class Options>
class OptimizerOf : public Optimizer {
 public:
  const Options& options(std::size_t group = 0) const { return options_.at(group); }
  /// Throws Error naming the option that is out of range.
  void set_options(std::size_t group, const Options& options);
  void add_param_group(std::vector<Tensor> params, const Options& options);

  using Optimizer::set_lr;
  double lr(std::size_t group = 0) const override { return options(group).lr; }
  void set_lr(std::size_t group, double lr) override;
  std::optional<double> momentum(std::size_t group = 0) const override;
  void set_momentum(std::size_t group, double momentum) override;
  bool has_betas() const override;

 protected:
  OptimizerOf(std::string_view name, std::vector<std::string> slot_names,
              const std::vector<ParamGroup<Options>>& groups);
  nlohmann::json group_options(std::size_t group) const override;
  void set_group_options(std::size_t group, const nlohmann::json& options) override;
  std::vector<bool> check_group_options(const nlohmann::json& options) const override;

 private:
  std::vector<Options> options_;
};

}  // namespace lucid::optim
