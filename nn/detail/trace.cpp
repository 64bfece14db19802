#include "nn/detail/trace.hpp"

#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "autograd/grad_mode.hpp"
#include "autograd/observer.hpp"
#include "lucid/random.hpp"
#include "ops/arithmetic.hpp"
#include "ops/frozen_norm.hpp"
#include "ops/kernels/binary.hpp"

namespace lucid::nn::plan {
namespace {

constexpr std::string_view kWhere = "compile";

template <class T>
using WeakMap = std::map<std::weak_ptr<T>, int, std::owner_less<>>;

class Tracer final : public autograd::Observer {
 public:
  Tracer(Module& net, const Tensor& input) {
    for (const Tensor& tensor : net.parameters()) state_.insert(tensor.impl().storage.get());
    for (const Tensor& tensor : net.buffers()) state_.insert(tensor.impl().storage.get());
    graph_.input = define(input);
  }

  void on_op(std::string_view name, std::span<const Tensor> inputs, std::span<const Tensor> results,
             const autograd::OpOptions& options) override {
    Node node{.op = std::string(name)};
    bool is_constant = true;
    for (const Tensor& input : inputs) {
      node.inputs.push_back(id_of(input));
      is_constant &= node.inputs.back() == kNone || graph_.is_constant(node.inputs.back());
    }
    bool computes = false;
    for (const Tensor& result : results) {
      const bool is_view = result.defined() && !is_constant && shows_input(result, node.inputs);
      node.outputs.push_back(!result.defined() || is_view ? kNone : define(result));
      if (is_view) view(result);
      if (node.outputs.back() == kNone) continue;
      computes = true;
      if (is_constant) graph_.at(node.outputs.back()).constant = result;
    }
    if (is_constant || !computes) return;
    node.options = options();
    if (node.op == "conv3d_joined") join_first(node);
    if (ends_leaky(node)) return push_apart(node);
    graph_.nodes.push_back(std::move(node));
  }

  Graph finish(const Tensor& result) {
    check(result.defined(), kWhere, "the net returned an undefined tensor");
    graph_.output = id_of(result);
    check(!graph_.is_constant(graph_.output), kWhere,
          "the net's result does not depend on its input by any op that is recorded; compute it by lucid's "
          "ops");
    remove_dead_nodes(graph_);
    for (const Memory& memory : memories_)
      if (const auto storage = memory.storage.lock())
        graph_.at(memory.root).is_changed |= storage->version() != memory.version;
    refuse_changed(graph_.output, "the net's result");
    for (const Node& node : graph_.nodes)
      for (const int input : node.inputs)
        if (input != kNone) refuse_changed(input, node.op);
    return std::move(graph_);
  }

 private:
  // What is known of a block of memory: its owner among the values, and when it was last written.
  struct Memory {
    std::weak_ptr<Storage> storage;
    int root;
    std::uint32_t version;
  };

  void refuse_changed(int value, std::string_view reader) const {
    check(!graph_.at(value).is_changed && !graph_.at(graph_.root(value)).is_changed, kWhere, reader,
          " needs a tensor of shape ", graph_.at(value).shape,
          " that was changed in place; a plan can't repeat that: use the out-of-place form");
  }

  Memory* memory_of(const Tensor& tensor) {
    const auto found = storages_.find(tensor.impl().storage);
    return found == storages_.end() ? nullptr : &memories_[static_cast<std::size_t>(found->second)];
  }

  // A value that owns its memory.
  int define(const Tensor& tensor) {
    const int id = graph_.add({tensor.shape(), tensor.strides(), tensor.dtype()});
    ids_.insert_or_assign(tensor.handle(), id);
    const auto& storage = tensor.impl().storage;
    storages_.insert_or_assign(storage, static_cast<int>(memories_.size()));
    memories_.push_back({storage, id, storage->version()});
    offsets_[id] = tensor.offset();
    return id;
  }

  int view(const Tensor& tensor) {
    const int root = memory_of(tensor)->root;
    Value value{tensor.shape(), tensor.strides(), tensor.dtype()};
    if (graph_.is_constant(root))
      value.constant = tensor, value.is_state = graph_.at(root).is_state;
    else
      value.base = root, value.offset = tensor.offset() - offsets_.at(root);
    value.is_changed = graph_.at(root).is_changed;
    const int id = graph_.add(std::move(value));
    ids_.insert_or_assign(tensor.handle(), id);
    return id;
  }

  bool shows_input(const Tensor& result, const std::vector<int>& inputs) {
    const Memory* memory = memory_of(result);
    if (!memory) return false;
    for (const int input : inputs)
      if (input != kNone && !graph_.is_constant(input) && graph_.root(input) == memory->root) return true;
    return false;
  }

  int id_of(const Tensor& tensor) {
    if (!tensor.defined()) return kNone;
    const Memory* memory = memory_of(tensor);
    if (memory && tensor.impl().storage->version() != memory->version) {
      // Within an op that may be; a value that the result needs is refused in the end.
      const int id = define(tensor);
      graph_.at(id).is_changed = true;
      return id;
    }
    if (const auto found = ids_.find(tensor.handle()); found != ids_.end()) return found->second;
    if (memory) return view(tensor);  // by detach(), or within an op
    const int id = define(tensor);
    graph_.at(id).constant = tensor;
    graph_.at(id).is_state = state_.contains(tensor.impl().storage.get());
    return id;
  }

  // Writes a convolution of joined inputs as what it stands for, which the rewrites know.
  void join_first(Node& conv) {
    const std::vector<int> parts(conv.inputs.begin() + 2, conv.inputs.end());
    Shape shape = graph_.at(parts[0]).shape;
    const std::size_t axis = shape.size() - 4;
    for (std::size_t i = 1; i < parts.size(); ++i) shape[axis] += graph_.at(parts[i]).shape[axis];
    const int joined =
        graph_.add({shape, axis == 1 ? channels_last_strides(shape) : contiguous_strides(shape),
                    graph_.at(parts[0]).dtype});
    graph_.nodes.push_back({.op = "cat", .options = {{"dim", axis}}, .inputs = parts, .outputs = {joined}});
    conv.op = "conv3d";
    conv.inputs = {joined, conv.inputs[0], conv.inputs[1]};
  }

  // Fused kernels are for float32, and take the two apart; another type would round once more.
  bool ends_leaky(const Node& node) const {
    return ops::is_channel_norm(node.op) && node.options.at("negative_slope") != 1 &&
           graph_.at(node.outputs[0]).dtype == f32;
  }
  // A normalisation, and the leaky_relu of its result.
  void push_apart(Node& norm) {
    const auto slope = std::exchange(norm.options.at("negative_slope"), 1);
    const int result = std::exchange(norm.outputs[0], copy_of(norm.outputs[0]));
    Node leaky{.op = "leaky_relu",
               .options = {{"negative_slope", slope}},
               .inputs = norm.outputs,
               .outputs = {result}};
    graph_.nodes.push_back(std::move(norm));
    graph_.nodes.push_back(std::move(leaky));
  }

  // A new value of the same shape, layout and type.
  int copy_of(int value) {
    const Value& like = graph_.at(value);
    return graph_.add({like.shape, like.strides, like.dtype});
  }

  Graph graph_;
  std::set<const Storage*> state_;
  WeakMap<TensorImpl>
      ids_;  // weak, so that what the net lets go is freed; no later tensor is mistaken for it
  WeakMap<Storage> storages_;  // indices of memories_
  std::vector<Memory> memories_;
  std::map<int, std::int64_t> offsets_;  // of values that own memory, in their storage
};

Graph traced(Module& net, const Forward& forward, const Tensor& input) {
  const no_grad guard;
  Tracer tracer(net, input);
  Tensor result;
  {
    const autograd::ObserverGuard seen(tracer);
    result = forward(input);
  }
  return tracer.finish(result);
}

// Constants that nodes read and that the net does not own, in order.
std::vector<Tensor> strange_constants(const Graph& graph) {
  std::vector<Tensor> out;
  for (const Node& node : graph.nodes)
    for (const int input : node.inputs)
      if (input != kNone && graph.is_constant(input) && !graph.at(input).is_state)
        out.push_back(graph.at(input).constant);
  return out;
}

bool same_ops(const Graph& a, const Graph& b) {
  if (a.nodes.size() != b.nodes.size()) return false;
  for (std::size_t i = 0; i < a.nodes.size(); ++i)
    if (a.nodes[i].op != b.nodes[i].op || a.nodes[i].options != b.nodes[i].options) return false;
  return true;
}

bool same_elements(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  const Tensor left = a.contiguous(), right = b.contiguous();
  const auto* x = left.impl().storage->data() + left.offset() * size_of(a.dtype());
  const auto* y = right.impl().storage->data() + right.offset() * size_of(b.dtype());
  return std::memcmp(x, y, static_cast<std::size_t>(a.nbytes())) == 0;
}

// Other values that the net accepts as well: drawn from the input's own.
Tensor another_input(const Tensor& input) {
  if (input.numel() == 0) return input;
  const Tensor out = empty_like(input);
  Generator generator(2);
  dispatch_all(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Tensor dense = input.is_dense() ? input : input.contiguous();
    const T* from = dense.data<T>();
    T* to = out.data_to_write<T>();
    for (std::int64_t i = 0; i < out.numel(); ++i) to[i] = from[generator.integer(0, input.numel())];
  });
  return out;
}

}  // namespace

Graph trace(Module& net, const Forward& forward, const Tensor& input) {
  Graph graph = traced(net, forward, input);
  const std::vector<Tensor> constants = strange_constants(graph);
  if (constants.empty()) return graph;
  const Graph again = traced(net, forward, another_input(input));
  check(same_ops(graph, again), kWhere,
        "the net runs other ops for other values of its input; a plan repeats the ops of one run");
  const std::vector<Tensor> others = strange_constants(again);
  for (std::size_t i = 0; i < constants.size(); ++i)
    check(i < others.size() && same_elements(constants[i], others[i]), kWhere,
          "an op reads a tensor of shape ", constants[i].shape(),
          " that differs from run to run but was not computed by ops that a plan can see: by data(), item(), "
          "to_vector(), or random numbers; compute it by lucid's ops");
  return graph;
}

}  // namespace lucid::nn::plan
