// An optimiser's state as named tensors, and back.

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "autograd/grad_mode.hpp"
#include "nn/optim/optimizer.hpp"
#include "nn/optim/update.hpp"

namespace lucid::optim {

using nlohmann::json;

namespace {

Tensor tensor_of(const json& value) {
  if (value.is_boolean()) return scalar_tensor(value.get<bool>(), boolean);
  if (value.is_array()) {
    const auto numbers = value.get<std::vector<double>>();
    return Tensor::from(numbers, {static_cast<std::int64_t>(numbers.size())});
  }
  return scalar_tensor(value.get<double>(), f64);
}

}  // namespace

NamedTensors Optimizer::state_dict() const {
  NamedTensors out;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const ParamState& state = states_[i];
    if (state.step == 0) continue;
    out.add(str("state.", i, ".step"), scalar_tensor(state.step, i64));
    out.add(str("state.", i, ".mu_product"), scalar_tensor(state.mu_product, f64));
    for (std::size_t s = 0; s < slot_names_.size(); ++s)
      if (state.slots[s].defined()) out.add(str("state.", i, ".", slot_names_[s]), state.slots[s]);
  }
  for (std::size_t g = 0; g < num_groups(); ++g) {
    const json options = group_options(g);
    for (const auto& [key, value] : options.items())
      out.add(str("param_groups.", g, ".", key), tensor_of(value));
    if (groups_[g].initial_lr)
      out.add(str("param_groups.", g, ".initial_lr"), scalar_tensor(*groups_[g].initial_lr, f64));
  }
  return out;
}

/// Reads and checks a state before anything is changed.
class StateReader {
 public:
  StateReader(const Optimizer& optimizer, const NamedTensors& given)
      : optimizer_(optimizer), given_(given), op_(str("optim.", optimizer.name(), ".load_state_dict")) {
    for (std::size_t g = 0; g < optimizer.num_groups(); ++g) read_group(g);
    std::size_t index = 0;
    for (std::size_t g = 0; g < optimizer.num_groups(); ++g)
      for (const Tensor& param : optimizer.params(g)) read_state(index++, param, used_[g]);
    for (const auto& entry : given)
      check(taken_.contains(entry.first), op_, "unexpected key ", entry.first,
            "; the state is of another optimiser or of other parameters");
  }

  std::vector<json> options;
  std::vector<std::optional<double>> initial_lrs;
  std::vector<ParamState> states;

 private:
  const Tensor* find(const std::string& key) {
    taken_.insert(key);
    return given_.find(key);
  }

  const Tensor& require(const std::string& key) {
    const Tensor* found = find(key);
    check(found != nullptr, op_, "missing key ", key);
    return *found;
  }

  template <class T>
  T scalar(const std::string& key) {
    const Tensor& tensor = require(key);
    check(tensor.defined() && tensor.numel() == 1 && tensor.dtype() == dtype_of<T>(), op_, key,
          " is not one ", dtype_of<T>());
    return tensor.item<T>();
  }

  // The form of `known`: a flag, a number or a list of numbers.
  json value_like(const json& known, const std::string& key) {
    if (known.is_boolean()) return scalar<bool>(key);
    if (!known.is_array()) return scalar<double>(key);
    const Tensor& tensor = require(key);
    check(tensor.defined() && tensor.dtype() == f64 &&
              tensor.shape() == Shape{static_cast<std::int64_t>(known.size())},
          op_, key, " is not a list of ", known.size(), " float64 numbers");
    return tensor.to_vector<double>();
  }

  void read_group(std::size_t g) {
    json out = json::object();
    const json present = optimizer_.group_options(g);
    for (const auto& [key, known] : present.items())
      out[key] = value_like(known, str("param_groups.", g, ".", key));
    used_.push_back(optimizer_.check_group_options(out));
    options.push_back(std::move(out));
    const std::string key = str("param_groups.", g, ".initial_lr");
    initial_lrs.push_back(find(key) ? std::optional(scalar<double>(key)) : std::nullopt);
  }

  void read_state(std::size_t index, const Tensor& param, const std::vector<bool>& used) {
    const auto& names = optimizer_.slot_names();
    ParamState state;
    state.slots.resize(names.size());
    const std::string prefix = str("state.", index, ".");
    if (find(prefix + "step")) {
      state.step = scalar<std::int64_t>(prefix + "step");
      check(state.step > 0, op_, prefix, "step is ", state.step, "; at least 1 is required");
      state.mu_product = scalar<double>(prefix + "mu_product");
      for (std::size_t s = 0; s < names.size(); ++s) {
        const Tensor* slot = find(prefix + names[s]);
        check(slot != nullptr || !used[s], op_, "missing key ", prefix, names[s]);
        if (slot) state.slots[s] = copy_of(prefix + names[s], *slot, param);
      }
    }
    states.push_back(std::move(state));
  }

  Tensor copy_of(const std::string& key, const Tensor& slot, const Tensor& param) {
    check(slot.defined() && is_floating(slot.dtype()), op_, key, " is not of a floating type");
    check(slot.shape() == param.shape(), op_, key, " has shape ", slot.shape(), ", its parameter has ",
          param.shape());
    ParamState holder{.slots = Tensors(1)};
    detail::slot_of(holder, 0, param).copy_(slot);
    return holder.slots[0];
  }

  const Optimizer& optimizer_;
  const NamedTensors& given_;
  std::string op_;
  std::set<std::string> taken_;
  std::vector<std::vector<bool>> used_;  // slots that each group's options need
};

void Optimizer::load_state_dict(const NamedTensors& given) {
  const no_grad guard;
  StateReader read(*this, given);
  for (std::size_t g = 0; g < num_groups(); ++g) {
    set_group_options(g, read.options[g]);
    groups_[g].initial_lr = read.initial_lrs[g];
  }
  states_ = std::move(read.states);
}

}  // namespace lucid::optim
