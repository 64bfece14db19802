#include "autograd/node.hpp"

#include <algorithm>
#include <atomic>
#include <iterator>

#include "autograd/accumulate.hpp"
#include "autograd/grad_mode.hpp"
#include "lucid/error.hpp"

namespace lucid {

TensorImpl::TensorImpl() = default;
TensorImpl::~TensorImpl() = default;

namespace autograd {
namespace {

std::atomic<std::uint64_t> next_sequence{1};

}  // namespace

namespace detail {

constinit thread_local SavePolicy* save_policy = nullptr;

// Frees what a dying node holds. It hands its edges over instead of dropping them, and only the outermost
// call empties the list: recursion stays a level or two deep however long the chain is. The saved tensors go
// first, so that one is never the last owner of the node that computed it.
void drop(Edges& edges, SavedTensors& saved) {
  using List = std::vector<Edge, lucid::detail::SmallAllocator<Edge>>;
  thread_local List* doomed = nullptr;  // the outermost call's list
  if (doomed) {
    std::move(edges.begin(), edges.end(), std::back_inserter(*doomed));
    saved.clear();
    return;
  }
  List list;
  doomed = &list;
  saved.clear();
  while (!edges.empty()) {
    edges.pop_back();
    while (!list.empty()) {
      const Edge last = std::move(list.back());
      list.pop_back();
    }
  }
  doomed = nullptr;
}

}  // namespace detail

SavedTensor::SavedTensor(const Tensor& tensor, bool is_result, std::uint32_t result)
    : result_(result), is_result_(is_result) {
  if (!tensor.defined()) return;
  if (detail::save_policy) {
    deferred_ = detail::save_policy->defer(tensor, is_result);
    return;
  }
  tensor_ = is_result ? tensor.detach() : tensor;
  version_ = tensor.version();
}

Tensor SavedTensor::unpack(std::string_view op) const {
  if (deferred_) return deferred_->read(op);
  if (!tensor_.defined()) return tensor_;
  if (tensor_.version() != version_)
    throw AutogradError(
        str(op, ".backward: a tensor of shape ", tensor_.shape(),
            " that was saved for the backward pass has since been changed in place (it is at version ",
            tensor_.version(), ", version ", version_, " is required); change a clone() of it instead"));
  return tensor_;
}

Tensor SavedTensor::unpack(const std::shared_ptr<Node>& node) const {
  const Tensor kept = unpack(node->name());
  if (!is_result_ || !is_recording()) return kept;
  Tensor result = kept.detach();
  result.impl().requires_grad = true;
  Meta& meta = meta_of(result);
  meta.node = node;
  meta.result = result_;
  return result;
}

Tensor HookList::run(Tensor grad) const {
  for (const auto& [id, hook] : std::vector(hooks)) {
    Tensor replaced = hook(grad);
    if (!replaced.defined()) continue;
    if (replaced.shape() != grad.shape() || replaced.dtype() != grad.dtype())
      throw AutogradError(str("register_hook: the hook gave a gradient of shape ", replaced.shape(),
                              " and dtype ", replaced.dtype(), " for one of shape ", grad.shape(),
                              " and dtype ", grad.dtype(), "; both must stay"));
    grad = replaced;
  }
  return grad;
}

Node::~Node() { detail::drop(edges_, saved_); }

std::uint32_t Node::add_result(const Tensor& tensor) {
  results_.emplace_back(tensor.shape(), tensor.dtype());
  return static_cast<std::uint32_t>(results_.size() - 1);
}

void Node::add_edge(const Tensor& input) { edges_.emplace_back(gradient_edge(input)); }

void Node::take_sequence() { sequence_ = next_sequence.fetch_add(1, std::memory_order_relaxed); }

void Node::reserve(std::size_t edges, std::size_t saved, std::size_t results) {
  edges_.reserve(edges);
  saved_.reserve(saved);
  results_.reserve(results);
}

void Node::release() {
  if (saved_.empty()) return;
  saved_.clear();
  released_ = true;
}

Tensors Node::unpack_saved(const std::shared_ptr<Node>& self) const {
  if (released_)
    throw AutogradError(str(name(),
                            ".backward: the graph was freed by an earlier backward pass; pass "
                            "{.retain_graph = true} to that one to walk the graph again"));
  Tensors out;
  out.reserve(saved_.size());
  for (const SavedTensor& saved : saved_) out.push_back(saved.unpack(self));
  return out;
}

Meta& meta_of(const Tensor& tensor) {
  auto& meta = tensor.impl().autograd;
  if (!meta) meta = std::make_unique<Meta>();
  return *meta;
}

Edge gradient_edge(const Tensor& tensor) {
  if (!tensor.defined() || !tensor.requires_grad()) return {};
  Meta& meta = meta_of(tensor);
  if (meta.node) return {meta.node, meta.result};
  auto accumulator = meta.accumulator.lock();
  if (!accumulator) meta.accumulator = accumulator = lucid::detail::make_small<AccumulateGrad>(tensor);
  return {std::move(accumulator), 0};
}

}  // namespace autograd
}  // namespace lucid
