#include "nn/detail/arena.hpp"

#include <algorithm>

namespace lucid::nn::plan {
namespace {

constexpr std::int64_t kAligned = 16;  // elements: 64 bytes

std::size_t index(int value) { return static_cast<std::size_t>(value); }

// Values that use one piece of memory one after the other.
struct Block {
  std::int64_t elements = 0;
  int first = 0, last = 0;  // the nodes that write it first and read it last
  bool is_result = false;
  std::int64_t offset = 0;

  bool meets(const Block& other) const { return first <= other.last && other.first <= last; }
};

class Layout {
 public:
  explicit Layout(const Graph& graph)
      : graph_(graph), last_(last_uses(graph)), block_of_(graph.values.size(), kNone) {
    for (std::size_t i = 0; i < graph.nodes.size(); ++i)
      if (graph.nodes[i].kind != Kind::call) assign(graph.nodes[i], static_cast<int>(i));
    place();
  }

  Arena arena() const {
    Arena out;
    out.places.resize(graph_.values.size());
    for (std::size_t value = 0; value < block_of_.size(); ++value) {
      if (block_of_[value] == kNone) continue;
      const Block& block = blocks_[index(block_of_[value])];
      out.places[value] = {block.is_result ? Place::Where::result : Place::Where::arena, block.offset};
      if (!block.is_result) out.elements = std::max(out.elements, block.offset + block.elements);
    }
    return out;
  }

 private:
  void assign(const Node& node, int number) {
    const int value = node.outputs[0];
    int block = written_over(node, number);
    if (block == kNone) {
      block = static_cast<int>(blocks_.size());
      std::int64_t elements = 1;
      for (const std::int64_t size : graph_.at(value).shape) elements *= size;
      blocks_.push_back({.elements = (elements + kAligned - 1) / kAligned * kAligned, .first = number});
    }
    block_of_[index(value)] = block;
    blocks_[index(block)].last = std::max(last_[index(value)], number);
    blocks_[index(block)].is_result |= graph_.root(graph_.output) == value;
  }

  // The block of an input that the node's result takes over.
  int written_over(const Node& node, int number) const {
    if (node.added != kNone) return block_of_[index(node.added)];
    if (node.kind != Kind::norm && node.kind != Kind::rectify && node.kind != Kind::add) return kNone;
    for (const int input : node.inputs)
      if (input != kNone && block_of_[index(input)] != kNone && last_[index(input)] == number &&
          graph_.at(input).shape == graph_.at(node.outputs[0]).shape &&
          graph_.at(input).strides == graph_.at(node.outputs[0]).strides)
        return block_of_[index(input)];
    return kNone;
  }

  // The largest first, each as low as it can lie beside those that it meets.
  void place() {
    std::vector<Block*> order;
    for (Block& block : blocks_)
      if (!block.is_result) order.push_back(&block);
    std::stable_sort(order.begin(), order.end(),
                     [](const Block* a, const Block* b) { return a->elements > b->elements; });
    std::vector<const Block*> placed;  // by offset
    for (Block* block : order) {
      for (const Block* other : placed)
        if (block->meets(*other) && block->offset < other->offset + other->elements &&
            other->offset < block->offset + block->elements)
          block->offset = other->offset + other->elements;
      placed.insert(std::upper_bound(placed.begin(), placed.end(), block,
                                     [](const Block* a, const Block* b) { return a->offset < b->offset; }),
                    block);
    }
  }

  const Graph& graph_;
  std::vector<int> last_;      // last_uses()
  std::vector<int> block_of_;  // by value
  std::vector<Block> blocks_;
};

}  // namespace

Arena lay_out(const Graph& graph) { return Layout(graph).arena(); }

}  // namespace lucid::nn::plan
