#include "nn/optim/optimizer.hpp"

#include <set>

#include "autograd/grad_mode.hpp"
#include "nn/optim/update.hpp"

namespace lucid::optim {
namespace {

bool same_layout(const Tensor& a, const Tensor& b) {
  for (std::size_t i = 0; i < a.shape().size(); ++i)
    if (a.shape()[i] > 1 && a.strides()[i] != b.strides()[i]) return false;
  return true;
}

// `tensor` itself, or its elements under the layout and type asked for.
Tensor laid_out_like(const Tensor& tensor, const Tensor& like, DType dtype) {
  if (tensor.dtype() == dtype && same_layout(tensor, like)) return tensor;
  const Tensor out = empty_like(like, dtype);
  out.copy_(tensor);
  return out;
}

DType state_dtype(const Tensor& param) { return param.dtype() == bf16 ? f32 : param.dtype(); }

}  // namespace

namespace detail {

const Tensor& slot_of(ParamState& state, std::size_t slot, const Tensor& param, double initial) {
  Tensor& tensor = state.slots[slot];
  if (!tensor.defined()) {
    tensor = empty_like(param, state_dtype(param));
    tensor.fill_(initial);
  }
  return tensor;
}

}  // namespace detail

Optimizer::Optimizer(std::string_view name, std::vector<std::string> slot_names)
    : name_(name), slot_names_(std::move(slot_names)) {}

const std::vector<Tensor>& Optimizer::params(std::size_t group) const { return groups_.at(group).params; }

void Optimizer::set_lr(double lr) {
  for (std::size_t group = 0; group < num_groups(); ++group) set_lr(group, lr);
}

void Optimizer::add_group(std::vector<Tensor> params) {
  const std::string op = str("optim.", name_);
  check(!params.empty(), op, "a group without parameters given");
  std::set<const TensorImpl*> known;
  for (const Group& group : groups_)
    for (const Tensor& param : group.params) known.insert(param.handle().get());
  for (std::size_t i = 0; i < params.size(); ++i) {
    const Tensor& param = params[i];
    check(param.defined(), op, "parameter ", i, " is undefined");
    check(is_floating(param.dtype()), op, "parameter ", i, " has type ", param.dtype(),
          "; a floating type is required");
    check(param.is_leaf(), op, "parameter ", i, " of shape ", param.shape(),
          " is a recorded result; only leaves can be trained");
    check(known.insert(param.handle().get()).second, op, "parameter ", i, " of shape ", param.shape(),
          " is given twice");
  }
  ParamState fresh;
  fresh.slots.resize(slot_names_.size());
  states_.resize(states_.size() + params.size(), fresh);
  groups_.push_back({std::move(params), {}});
}

void Optimizer::step() {
  const no_grad guard;
  std::size_t index = 0;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    for (const Tensor& param : groups_[g].params) {
      ParamState& state = states_[index++];
      const Tensor grad = param.grad();
      if (!grad.defined()) continue;
      // What is updated must be dense; a parameter that is not goes through a copy.
      const bool dense = param.is_dense();
      const Tensor target = dense ? param : laid_out_like(param, empty_like(param), param.dtype());
      for (Tensor& slot : state.slots)
        if (slot.defined()) slot = laid_out_like(slot, target, state_dtype(param));
      update(g, target, laid_out_like(grad, target, param.dtype()), state);
      ++state.step;
      if (!dense) param.copy_(target);
    }
  }
}

void Optimizer::zero_grad() const {
  for (const Group& group : groups_)
    for (const Tensor& param : group.params) param.set_grad({});
}

}  // namespace lucid::optim
