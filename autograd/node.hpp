#pragma once
// The computation graph: a Node for each recorded operation, edges towards what it was computed from.

#include <cstdint>
#include <memory>
#include <new>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "lucid/short_list.hpp"
#include "lucid/tensor.hpp"

namespace lucid::autograd {

/// Where a gradient goes: to result number `result` of `node`; a null node wants none.
struct Edge {
  std::shared_ptr<Node> node;
  std::uint32_t result = 0;
};

/// Stands for a saved tensor that is made again when it is read.
class Deferred {
 public:
  virtual ~Deferred() = default;
  /// The tensor, for the backward pass of `op`.
  virtual Tensor read(std::string_view op) = 0;
};

namespace detail {
/// Decides that nothing is kept (autograd/checkpoint.hpp).
class SavePolicy {
 public:
  virtual ~SavePolicy() = default;
  virtual std::unique_ptr<Deferred> defer(const Tensor& tensor, bool is_result) = 0;
};
extern constinit thread_local SavePolicy* save_policy;  // null: tensors are kept
}  // namespace detail

/// A tensor kept for the backward pass. Remembers the version it had, and refuses to be read after a change.
/// An operation's own result is kept without its place in the graph: result and node would own each other.
class SavedTensor {
 public:
  SavedTensor(const Tensor& tensor, bool is_result, std::uint32_t result);
  /// The tensor as it was saved; while recording, connected to `node` again if it is a result of it.
  Tensor unpack(const std::shared_ptr<Node>& node) const;
  /// The same for what is not a result; `op` reads it.
  Tensor unpack(std::string_view op) const;

 private:
  Tensor tensor_;
  std::unique_ptr<Deferred> deferred_;  // instead of tensor_
  std::uint32_t version_ = 0;
  std::uint32_t result_ = 0;
  bool is_result_ = false;
};

using Edges = lucid::detail::ShortList<Edge, 3>;
using SavedTensors = lucid::detail::ShortList<SavedTensor, 3>;

struct HookList {
  std::int64_t next_id = 0;
  std::vector<std::pair<std::int64_t, Hook>> hooks;
  /// Passes `grad` through the hooks in the order of their registration.
  Tensor run(Tensor grad) const;
};

/// Which inputs' gradients are wanted, by position.
using Mask = std::vector<bool>;

class Node {
 public:
  Node() = default;
  virtual ~Node();  ///< iterative: a chain of a million nodes is freed without deep recursion
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// The recorded operation's name in the registry, for example "conv_transpose3d".
  virtual std::string_view name() const = 0;
  /// The recorded operation's options, as ops::call takes them.
  virtual void options(nlohmann::json& out) const = 0;
  /// Gradients with respect to the inputs, from `grads` with respect to the results (undefined where none
  /// arrived). `self` is this node's handle, for results that it connects to itself again.
  virtual Tensors backward(const std::shared_ptr<Node>& self, const Tensors& grads, const Mask& wanted) = 0;

  /// Frees what was saved. A later backward() through this node throws AutogradError.
  virtual void release();

  /// Later nodes have larger numbers, so descending order is a topological one. 0 until the node has one.
  std::uint64_t sequence() const { return sequence_; }
  /// Gives the node its number, once all that it leads to has one.
  void take_sequence();
  std::span<const Edge> edges() const { return edges_; }

  struct Result {
    Shape shape;
    DType dtype;
    Result(const Shape& of, DType type) : shape(of), dtype(type) {}
  };
  std::span<const Result> results() const { return results_; }
  /// Room for that many, so that adding them allocates at most once.
  void reserve(std::size_t edges, std::size_t saved, std::size_t results);
  /// Adds a result and returns its number.
  std::uint32_t add_result(const Tensor& tensor);
  void add_edge(const Tensor& input);
  void save(const Tensor& tensor, bool is_result, std::uint32_t result = 0) {
    saved_.emplace_back(tensor, is_result, result);
  }
  /// What was saved; `self` is this node's handle.
  Tensors unpack_saved(const std::shared_ptr<Node>& self) const;

  /// Hooks on the gradients of the results: (result number, hooks).
  std::vector<std::pair<std::uint32_t, std::shared_ptr<HookList>>> result_hooks;

 private:
  std::uint64_t sequence_ = 0;
  Edges edges_;
  SavedTensors saved_;
  lucid::detail::ShortList<Result, 1> results_;
  bool released_ = false;
};

/// What the graph knows of one tensor.
struct Meta {
  std::shared_ptr<Node> node;  // that computed it; null for a leaf
  std::uint32_t result = 0;    // its number among that node's results
  Tensor grad;
  std::weak_ptr<Node> accumulator;  // of a leaf: the node that adds to `grad`
  std::shared_ptr<HookList> hooks;

  static void* operator new(std::size_t bytes) { return lucid::detail::allocate_small(bytes); }
  static void operator delete(void* block, std::size_t bytes) {
    lucid::detail::deallocate_small(block, bytes);
  }
};

namespace detail {
/// Frees what a dying owner held, without deep recursion.
void drop(Edges& edges, SavedTensors& saved);
}  // namespace detail

Meta& meta_of(const Tensor& tensor);  ///< made on first use

/// The edge along which `tensor`'s gradient leaves; a null node when it wants none.
Edge gradient_edge(const Tensor& tensor);

}  // namespace lucid::autograd
