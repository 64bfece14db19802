// The methods of Tensor that speak of the graph.

#include <algorithm>

#include "autograd/backward.hpp"
#include "autograd/grad_mode.hpp"
#include "autograd/node.hpp"

namespace lucid {

const Tensor& Tensor::requires_grad_(bool wanted) const {
  check(defined(), "requires_grad_", "the tensor is undefined");
  check(!wanted || is_floating(dtype()), "requires_grad_", "dtype ", dtype(),
        " has no gradient; use a floating type");
  if (!is_leaf()) {
    if (!wanted)
      throw AutogradError(
          "requires_grad_: only a leaf can stop requiring a gradient; use detach() on a recorded result");
    return *this;
  }
  impl_->requires_grad = wanted;
  return *this;
}

bool Tensor::is_leaf() const { return !impl_->autograd || !impl_->autograd->node; }

Tensor Tensor::grad() const { return impl_->autograd ? impl_->autograd->grad : Tensor(); }

void Tensor::set_grad(const Tensor& grad) const {
  if (grad.defined())
    check(grad.shape() == shape() && grad.dtype() == dtype(), "set_grad", "gradient of shape ", grad.shape(),
          " and type ", grad.dtype(), " for a tensor of shape ", shape(), " and type ", dtype());
  else if (!impl_->autograd)
    return;
  autograd::meta_of(*this).grad = grad;
}

void Tensor::backward(const Tensor& gradient, BackwardOptions options) const {
  autograd::backward({*this}, {gradient}, options);
}

Tensor Tensor::detach() const { return alias(*this, shape(), strides(), offset()); }

std::int64_t Tensor::register_hook(autograd::Hook hook) const {
  if (!requires_grad()) throw AutogradError("register_hook: the tensor does not require a gradient");
  autograd::Meta& meta = autograd::meta_of(*this);
  if (!meta.hooks) {
    meta.hooks = std::make_shared<autograd::HookList>();
    if (meta.node) meta.node->result_hooks.emplace_back(meta.result, meta.hooks);
  }
  const std::int64_t id = meta.hooks->next_id++;
  meta.hooks->hooks.emplace_back(id, std::move(hook));
  return id;
}

void Tensor::remove_hook(std::int64_t id) const {
  if (!impl_->autograd || !impl_->autograd->hooks) return;
  std::erase_if(impl_->autograd->hooks->hooks, [id](const auto& entry) { return entry.first == id; });
}

void Tensor::retain_grad() const {
  if (is_leaf()) return;
  register_hook([weak = std::weak_ptr<TensorImpl>(impl_)](const Tensor& grad) {
    if (const auto impl = weak.lock()) {
      autograd::Meta& meta = autograd::meta_of(Tensor(impl));
      meta.grad = meta.grad.defined() ? meta.grad + grad : grad;
    }
    return Tensor();
  });
}

std::shared_ptr<autograd::Node> Tensor::grad_fn() const {
  return impl_->autograd ? impl_->autograd->node : nullptr;
}

}  // namespace lucid
