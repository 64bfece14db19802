#pragma once
// A fused graph with its kernels and its memory, ready to run.

#include <memory>
#include <string>

#include "nn/detail/arena.hpp"
#include "nn/detail/graph.hpp"

namespace lucid::nn::plan {

/// Writes the result of one node. May run on several threads at once.
class Kernel {
 public:
  virtual ~Kernel() = default;
  /// `inputs` are the node's; of a conv its first and those joined to it. `out` may be one of them where the
  /// arena says so.
  virtual void run(std::span<const Tensor> inputs, const Tensor& out) const = 0;
  virtual std::string str() const = 0;
  virtual std::int64_t weight_bytes() const { return 0; }
};

/// Of any kind but Kind::call.
std::unique_ptr<Kernel> make_kernel(const Graph& graph, const Node& node);

class Program {
 public:
  explicit Program(Graph graph);

  const Value& input() const { return graph_.at(graph_.input); }
  /// `input` has the shape and type that the graph was traced with.
  Tensor run(const Tensor& input) const;
  std::int64_t activation_bytes() const;
  std::int64_t weight_bytes() const;
  std::string str() const;

 private:
  class Run;
  void own_constants();
  void find_last_readers();

  Graph graph_;
  std::vector<std::unique_ptr<Kernel>> kernels_;  // one for each node; null for Kind::call
  std::vector<std::vector<int>> released_;        // for each node, values that are let go after it
  Arena arena_;
};

}  // namespace lucid::nn::plan
