#include "autograd/accumulate.hpp"

#include <nlohmann/json.hpp>

#include "autograd/grad_mode.hpp"

namespace lucid::autograd {

bool is_exclusive(const Tensor& tensor) {
  return tensor.handle().use_count() == 1 && tensor.impl().storage.use_count() == 1 &&
         !tensor.requires_grad() && tensor.is_dense();
}

AccumulateGrad::AccumulateGrad(const Tensor& leaf) : leaf_(leaf) {
  add_result(leaf);
  take_sequence();
}

void AccumulateGrad::options(nlohmann::json& out) const { out = nlohmann::json::object(); }

Tensors AccumulateGrad::backward(const std::shared_ptr<Node>&, const Tensors& grads, const Mask&) {
  Meta& meta = meta_of(leaf_);
  Tensor grad = meta.hooks ? meta.hooks->run(grads[0]) : grads[0];
  if (meta.grad.defined()) {
    // A gradient that the caller set may repeat its elements.
    if (is_recording() || !meta.grad.is_dense())
      meta.grad = meta.grad + grad;
    else
      meta.grad.add_(grad);
  } else {
    // The walker's list holds the second handle, unless a hook gave another tensor; anything beyond it means
    // that the elements are shared, with the graph too while it is recorded: a later backward pass adds to
    // them in place.
    const long own = grad.handle() == grads[0].handle() ? 2 : 1;
    const bool shared =
        grad.handle().use_count() > own || grad.impl().storage.use_count() > 1 || !grad.is_dense();
    meta.grad = shared || is_recording() ? grad.clone() : grad;
  }
  return {};
}

}  // namespace lucid::autograd
