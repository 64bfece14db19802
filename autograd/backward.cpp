#include "autograd/backward.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "autograd/accumulate.hpp"
#include "autograd/checkpoint.hpp"
#include "autograd/grad_mode.hpp"
#include "autograd/op_timer.hpp"

namespace lucid::autograd {
namespace {

// Gradients that wait at a node, one for each of its results.
struct Pending {
  std::shared_ptr<Node> node;
  Tensors grads;
};

// By the nodes' sequence numbers, latest first: the order of the walk. One map serves as queue and as index.
using Queue = std::map<std::uint64_t, Pending, std::greater<>,
                       lucid::detail::SmallAllocator<std::pair<const std::uint64_t, Pending>>>;

// What autograd::grad asks for: the gradient of result `result` of a node is output number `position`.
struct Capture {
  std::uint32_t result;
  std::size_t position;
};

class Walk {
 public:
  explicit Walk(bool create_graph, bool retain_graph)
      : create_graph_(create_graph), retain_graph_(retain_graph) {}

  void seed(const Tensors& tensors, const Tensors& gradients);
  Tensors run_for(const Tensors& inputs, bool allow_unused);
  void run();

 private:
  void arrive(const Edge& edge, Tensor grad, std::string_view from);
  Tensors step(Pending& pending);
  bool wanted(const Edge& edge) const {
    return edge.node && (!restricted_ || needed_.contains(edge.node.get()));
  }
  void find_needed();

  bool create_graph_;
  bool retain_graph_;
  Queue queue_;
  Mask mask_;  // of the node that runs

  bool restricted_ = false;  // to the paths that lead to captured nodes
  std::unordered_map<const Node*, std::vector<Capture>> captures_;
  std::unordered_set<const Node*> needed_;
  Tensors captured_;
};

// Fits a gradient to what it belongs to: the sum over broadcast axes, the type of the forward value.
Tensor fit(Tensor grad, const Node::Result& target, std::string_view from) {
  if (grad.shape() != target.shape) {
    bool fits = grad.shape().size() >= target.shape.size();
    const std::size_t skip = fits ? grad.shape().size() - target.shape.size() : 0;
    for (std::size_t i = 0; fits && i < target.shape.size(); ++i)
      fits = target.shape[i] == 1 || target.shape[i] == grad.shape()[skip + i];
    if (!fits)
      throw AutogradError(str(from, ".backward: the rule gave a gradient of shape ", grad.shape(),
                              ", the forward value has shape ", target.shape));
    grad = grad.sum_to(target.shape);
  }
  return grad.dtype() == target.dtype ? grad : grad.to(target.dtype);
}

void Walk::arrive(const Edge& edge, Tensor grad, std::string_view from) {
  Node* node = edge.node.get();
  grad = fit(std::move(grad), node->results()[edge.result], from);
  Pending& pending = queue_[node->sequence()];
  if (!pending.node) {
    pending.node = edge.node;
    pending.grads.resize(node->results().size());
  }
  Tensor& sum = pending.grads[edge.result];
  if (!sum.defined())
    sum = std::move(grad);
  else if (!create_graph_ && is_exclusive(sum))
    sum.add_(grad);
  else
    sum = sum + grad;
}

void Walk::seed(const Tensors& tensors, const Tensors& gradients) {
  if (!gradients.empty() && gradients.size() != tensors.size())
    throw AutogradError(
        str("backward: ", gradients.size(), " gradients given for ", tensors.size(), " tensors"));
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& tensor = tensors[i];
    if (!tensor.defined() || !tensor.requires_grad())
      throw AutogradError(
          "backward: the tensor is not part of a graph: nothing it was computed from requires a gradient, or "
          "recording was off; call requires_grad_() on a leaf first");
    Tensor grad = gradients.empty() ? Tensor() : gradients[i];
    if (!grad.defined()) {
      if (tensor.numel() != 1)
        throw AutogradError(
            str("backward: the tensor has shape ", tensor.shape(),
                "; give a gradient of that shape, or reduce it to one element with sum() or mean()"));
      grad = ones(tensor.shape(), tensor.dtype());
    }
    if (grad.shape() != tensor.shape())
      throw AutogradError(
          str("backward: the gradient has shape ", grad.shape(), ", the tensor ", tensor.shape()));
    arrive(gradient_edge(tensor), grad, "backward");
  }
}

// Runs the node's hooks and rule on the gradients that arrived.
Tensors Walk::step(Pending& pending) {
  Node& node = *pending.node;
  for (const auto& [result, hooks] : node.result_hooks)
    if (Tensor& grad = pending.grads[result]; grad.defined()) grad = hooks->run(grad);
  if (const auto found = captures_.find(&node); found != captures_.end()) {
    for (const Capture& capture : found->second) captured_[capture.position] = pending.grads[capture.result];
    if (node.edges().empty()) return {};  // a leaf: grad() stays as it is
  }
  mask_.resize(node.edges().size());
  for (std::size_t i = 0; i < mask_.size(); ++i) mask_[i] = wanted(node.edges()[i]);
  if (restricted_ && std::none_of(mask_.begin(), mask_.end(), [](bool b) { return b; })) return {};
  Tensors grads;
  {
    const OpTimer timer(node.name(), true);
    grads = node.backward(pending.node, pending.grads, mask_);
  }
  if (grads.size() < mask_.size() && !grads.empty())
    throw AutogradError(str(node.name(), ".backward: the rule gave ", grads.size(), " gradients for ",
                            mask_.size(), " inputs"));
  return grads;
}

void Walk::run() {
  const OpTimer timer("backward", true);
  const RecordingGuard guard(create_graph_);
  const detail::RecomputedScope recomputed;
  while (!queue_.empty()) {
    const Queue::node_type first = queue_.extract(queue_.begin());
    Pending& pending = first.mapped();
    Tensors grads = step(pending);
    pending.grads.clear();
    const auto edges = pending.node->edges();
    for (std::size_t i = 0; i < grads.size() && i < edges.size(); ++i) {
      Tensor grad = std::move(grads[i]);
      if (grad.defined() && wanted(edges[i])) arrive(edges[i], std::move(grad), pending.node->name());
    }
    if (!retain_graph_) pending.node->release();
  }
}

// Marks every node from which a captured node can be reached. Ascending sequence is an order in which every
// node comes after all that it leads to.
void Walk::find_needed() {
  std::vector<const Node*> reached;
  std::unordered_set<const Node*> seen;
  std::vector<const Node*> stack;
  for (const auto& [sequence, pending] : queue_) stack.push_back(pending.node.get());
  while (!stack.empty()) {
    const Node* node = stack.back();
    stack.pop_back();
    if (!seen.insert(node).second) continue;
    reached.push_back(node);
    for (const Edge& edge : node->edges())
      if (edge.node) stack.push_back(edge.node.get());
  }
  std::sort(reached.begin(), reached.end(), [](auto a, auto b) { return a->sequence() < b->sequence(); });
  for (const Node* node : reached) {
    const auto leads = [&](const Edge& edge) { return edge.node && needed_.contains(edge.node.get()); };
    if (captures_.contains(node) || std::any_of(node->edges().begin(), node->edges().end(), leads))
      needed_.insert(node);
  }
}

Tensors Walk::run_for(const Tensors& inputs, bool allow_unused) {
  restricted_ = true;
  captured_.resize(inputs.size());
  std::vector<std::shared_ptr<Node>> alive;  // an accumulator that nothing else holds must live until the end
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Edge edge = gradient_edge(inputs[i]);
    if (!edge.node) throw AutogradError(str("grad: input ", i, " does not require a gradient"));
    captures_[edge.node.get()].push_back({edge.result, i});
    alive.push_back(edge.node);
  }
  find_needed();
  run();
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (!captured_[i].defined() && !allow_unused)
      throw AutogradError(str("grad: the outputs do not depend on input ", i,
                              "; pass {.allow_unused = true} if that is meant"));
  return std::move(captured_);
}

}  // namespace

void backward(const Tensors& tensors, const Tensors& gradients, BackwardOptions options) {
  Walk walk(options.create_graph, options.retain_graph || options.create_graph);
  walk.seed(tensors, gradients);
  walk.run();
}

Tensors grad(const Tensors& outputs, const Tensors& inputs, const Tensors& gradients, GradOptions options) {
  Walk walk(options.create_graph, options.retain_graph || options.create_graph);
  walk.seed(outputs, gradients);
  return walk.run_for(inputs, options.allow_unused);
}

}  // namespace lucid::autograd
