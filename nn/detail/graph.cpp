#include "nn/detail/graph.hpp"

namespace lucid::nn::plan {
namespace {

// Calls f(root) for every value that `node` reads.
template <class F>
void for_each_read(const Graph& graph, const Node& node, F&& f) {
  for (const int input : node.inputs)
    if (input != kNone) f(static_cast<std::size_t>(graph.root(input)));
  for (const int input : node.joined) f(static_cast<std::size_t>(graph.root(input)));
  if (node.added != kNone) f(static_cast<std::size_t>(graph.root(node.added)));
}

}  // namespace

std::vector<int> count_uses(const Graph& graph) {
  std::vector<int> uses(graph.values.size());
  for (const Node& node : graph.nodes) for_each_read(graph, node, [&](std::size_t root) { ++uses[root]; });
  ++uses[static_cast<std::size_t>(graph.root(graph.output))];
  return uses;
}

std::vector<int> last_uses(const Graph& graph) {
  std::vector<int> last(graph.values.size(), kNone);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    for_each_read(graph, graph.nodes[i], [&](std::size_t root) { last[root] = static_cast<int>(i); });
  last[static_cast<std::size_t>(graph.root(graph.output))] = static_cast<int>(graph.nodes.size());
  return last;
}

std::vector<int> producers(const Graph& graph) {
  std::vector<int> out(graph.values.size(), kNone);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    for (const int output : graph.nodes[i].outputs)
      if (output != kNone) out[static_cast<std::size_t>(output)] = static_cast<int>(i);
  return out;
}

void remove_dead_nodes(Graph& graph) {
  std::vector<bool> wanted(graph.values.size());
  wanted[static_cast<std::size_t>(graph.root(graph.output))] = true;
  std::vector<Node> kept;
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {
    Node& node = graph.nodes[i];
    bool needed = false;
    for (const int output : node.outputs)
      needed |= output != kNone && wanted[static_cast<std::size_t>(output)];
    if (!needed) continue;
    for_each_read(graph, node, [&](std::size_t root) { wanted[root] = true; });
    kept.push_back(std::move(node));
  }
  graph.nodes.assign(std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend()));
}

}  // namespace lucid::nn::plan
