#pragma once
// A traced net: values, and the ops that compute them in the order in which they ran.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lucid/tensor.hpp"
#include "ops/kernels/rectifier.hpp"

namespace lucid::nn::plan {

constexpr int kNone = -1;

struct Value {
  Shape shape;
  Strides strides;
  DType dtype = f32;
  Tensor constant = {};     ///< defined: does not depend on the input
  bool is_state = false;    ///< a constant that is a parameter or buffer of the net
  bool is_changed = false;  ///< its memory was written to after an op had computed or read it
  int base = kNone;         ///< the value whose memory it shows, itself no view
  std::int64_t offset = 0;  ///< of a view: elements from the base's first
};

/// How a node is computed: by ops::call, or into memory that the plan chose.
enum class Kind : std::uint8_t { call, conv, norm, rectify, add, cat, max_pool };

struct Node {
  std::string op;                ///< the registry's name
  nlohmann::json options = {};   ///< as ops::call takes them
  std::vector<int> inputs = {};  ///< values; kNone for an undefined one
  std::vector<int> joined = {};  ///< of a conv: what follows its first input along the channels
  std::vector<int> outputs = {};
  Kind kind = Kind::call;
  kernels::Rectifier rectifier = {};  ///< applied to the result; of every kind but call, cat and max_pool
  int added = kNone;  ///< of a conv: a value that the result is added to, in that value's memory
};

struct Graph {
  std::vector<Value> values;
  std::vector<Node> nodes;
  int input = 0;
  int output = kNone;

  const Value& at(int value) const { return values[static_cast<std::size_t>(value)]; }
  Value& at(int value) { return values[static_cast<std::size_t>(value)]; }
  int add(Value value) {
    values.push_back(std::move(value));
    return static_cast<int>(values.size()) - 1;
  }
  /// The value that owns the memory of `value`.
  int root(int value) const { return at(value).base == kNone ? value : at(value).base; }
  bool is_constant(int value) const { return at(value).constant.defined(); }
};

/// For each value that owns memory, how often it or a view of it is read; the net's result counts as a
/// reading.
std::vector<int> count_uses(const Graph& graph);

/// For each value that owns memory, the last node that reads it or a view of it; past the last node for the
/// net's result, kNone for one that is not read.
std::vector<int> last_uses(const Graph& graph);

/// For each value the node that computes it, or kNone.
std::vector<int> producers(const Graph& graph);

/// Drops nodes whose results nobody reads.
void remove_dead_nodes(Graph& graph);

}  // namespace lucid::nn::plan
