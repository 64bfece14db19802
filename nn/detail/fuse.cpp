#include "nn/detail/fuse.hpp"

#include <algorithm>
#include <optional>

#include "ops/frozen_conv.hpp"
#include "ops/frozen_norm.hpp"
#include "ops/frozen_pool.hpp"
#include "ops/kernels/binary.hpp"

namespace lucid::nn::plan {
namespace {

// ---- kinds ----

std::optional<kernels::Rectifier> rectifier_of(const Node& node) {
  const auto number = [&](const char* key) { return static_cast<float>(node.options.at(key).get<double>()); };
  const auto bound = [&](const char* key, float otherwise) {
    const auto found = node.options.find(key);
    return found == node.options.end() || found->is_null() ? otherwise
                                                           : static_cast<float>(found->get<double>());
  };
  kernels::Rectifier out;
  if (node.op == "relu") return kernels::Rectifier{.low = 0};
  if (node.op == "relu6") return kernels::Rectifier{.low = 0, .high = 6};
  if (node.op == "leaky_relu") return kernels::Rectifier{.slope = number("negative_slope")};
  if (node.op == "hardtanh") return kernels::Rectifier{.low = number("min_val"), .high = number("max_val")};
  if (node.op == "clamp" && node.inputs.size() == 1)
    return kernels::Rectifier{.low = bound("min", out.low), .high = bound("max", out.high)};
  return std::nullopt;
}

bool is_placeable(const Value& value) {
  std::int64_t numel = 1;
  for (const std::int64_t size : value.shape) numel *= size;
  return value.dtype == f32 && numel > 0 && is_dense(value.shape, value.strides);
}

bool is_float(const Graph& graph, int value) { return value == kNone || graph.at(value).dtype == f32; }

bool are_constants(const Graph& graph, const Node& node, std::size_t first) {
  for (std::size_t i = first; i < node.inputs.size(); ++i)
    if (node.inputs[i] != kNone && !graph.is_constant(node.inputs[i])) return false;
  return true;
}

bool lies_like(const Graph& graph, int a, int b) {
  return graph.at(a).shape == graph.at(b).shape && graph.at(a).strides == graph.at(b).strides;
}

Kind kind_of(const Graph& graph, const Node& node) {
  if (node.outputs.size() != 1 || node.outputs[0] == kNone || !is_placeable(graph.at(node.outputs[0])))
    return Kind::call;
  for (const int input : node.inputs)
    if (!is_float(graph, input)) return Kind::call;
  if (node.inputs.empty() || node.inputs[0] == kNone) return Kind::call;
  const Value& input = graph.at(node.inputs[0]);
  if (!is_placeable(input)) return Kind::call;
  if (ops::is_conv(node.op) || ops::is_conv_transpose(node.op))
    return are_constants(graph, node, 1) ? Kind::conv : Kind::call;
  if (ops::is_channel_norm(node.op)) {
    const bool fits =
        is_contiguous(input.shape, input.strides) || is_channels_last(input.shape, input.strides);
    const bool updates = !ops::uses_running_statistics(node.op, node.options) && node.op != "group_norm" &&
                         node.inputs[1] != kNone;
    return fits && !updates && node.options.at("negative_slope") == 1 && are_constants(graph, node, 1) &&
                   lies_like(graph, node.inputs[0], node.outputs[0])
               ? Kind::norm
               : Kind::call;
  }
  if (node.op == "add")
    return node.options.at("alpha") == 1.0 && lies_like(graph, node.inputs[0], node.outputs[0]) &&
                   lies_like(graph, node.inputs[1], node.outputs[0])
               ? Kind::add
               : Kind::call;
  if (rectifier_of(node))
    return lies_like(graph, node.inputs[0], node.outputs[0]) ? Kind::rectify : Kind::call;
  if (node.op == "cat") {
    for (const int part : node.inputs)
      if (graph.at(part).shape.size() != graph.at(node.outputs[0]).shape.size()) return Kind::call;
    return Kind::cat;
  }
  if (ops::is_max_pool(node.op)) {
    const Value& out = graph.at(node.outputs[0]);
    return input.shape.size() > 2 && out.shape.size() == static_cast<std::size_t>(node.op[8] - '0') + 2 &&
                   is_channels_last(input.shape, input.strides) && is_channels_last(out.shape, out.strides)
               ? Kind::max_pool
               : Kind::call;
  }
  return Kind::call;
}

void choose_kinds(Graph& graph) {
  for (Node& node : graph.nodes) {
    node.kind = kind_of(graph, node);
    if (node.kind == Kind::rectify) node.rectifier = *rectifier_of(node);
  }
}

// ---- what the rewrites ask ----

// The node that computes `value` for one reader alone and without a view between; nullptr if there is none.
class Sole {
 public:
  explicit Sole(Graph& graph) : graph_(graph), uses_(count_uses(graph)), producers_(producers(graph)) {}
  Node* operator()(int value) const {
    if (value == kNone || graph_.at(value).base != kNone || uses_[static_cast<std::size_t>(value)] != 1)
      return nullptr;
    const int producer = producers_[static_cast<std::size_t>(value)];
    return producer == kNone || graph_.root(graph_.output) == value
               ? nullptr
               : &graph_.nodes[static_cast<std::size_t>(producer)];
  }

 private:
  Graph& graph_;
  std::vector<int> uses_, producers_;
};

// `node` goes; `into` computes its result.
void absorb(Node& node, Node& into) {
  into.outputs = node.outputs;
  node.outputs.clear();
}

void drop_absorbed(Graph& graph) {
  std::erase_if(graph.nodes, [](const Node& node) { return node.outputs.empty(); });
}

int add_constant(Graph& graph, const Tensor& tensor) {
  return graph.add(
      {.shape = tensor.shape(), .strides = tensor.strides(), .dtype = tensor.dtype(), .constant = tensor});
}

const Tensor& constant_or_none(const Graph& graph, int value) {
  static const Tensor none;
  return value == kNone ? none : graph.at(value).constant;
}

// ---- norms into convolutions ----

// weight (Cout, Cin / groups, ...), or transposed (Cin, Cout / groups, ...), times scale of the output
// channel.
Tensor scaled_weight(const Tensor& weight, bool transposed, std::int64_t groups,
                     const std::vector<double>& scale) {
  std::vector<double> values = weight.to_vector<double>();
  const std::int64_t first = weight.size(0), second = weight.size(1);
  const std::int64_t taps = first * second == 0 ? 0 : weight.numel() / first / second;
  for (std::int64_t i = 0; i < first; ++i)
    for (std::int64_t j = 0; j < second; ++j) {
      const std::int64_t channel = transposed ? i / (first / groups) * second + j : i;
      for (std::int64_t tap = 0; tap < taps; ++tap)
        values[static_cast<std::size_t>((i * second + j) * taps + tap)] *=
            scale[static_cast<std::size_t>(channel)];
    }
  return kernels::converted(Tensor::from(values, weight.shape()), f32);
}

void fold_norms(Graph& graph) {
  const Sole sole(graph);
  for (Node& norm : graph.nodes) {
    if (norm.kind != Kind::norm || !ops::uses_running_statistics(norm.op, norm.options)) continue;
    Node* conv = sole(norm.inputs[0]);
    // A convolution without a batch axis has its channels elsewhere.
    if (!conv || conv->kind != Kind::conv ||
        graph.at(norm.inputs[0]).shape.size() != graph.at(conv->inputs[1]).shape.size())
      continue;
    Tensors tensors;
    for (std::size_t i = 1; i < norm.inputs.size(); ++i)
      tensors.push_back(constant_or_none(graph, norm.inputs[i]));
    ops::ChannelMap map = ops::channel_map(ops::norm_tensors(norm.op, tensors), norm.options);
    if (const Tensor& bias = constant_or_none(graph, conv->inputs[2]); bias.defined()) {
      const std::vector<double> values = bias.to_vector<double>();
      for (std::size_t c = 0; c < values.size(); ++c) map.shift[c] += values[c] * map.scale[c];
    }
    const Tensor weight = scaled_weight(graph.at(conv->inputs[1]).constant, ops::is_conv_transpose(conv->op),
                                        conv->options.at("groups").get<std::int64_t>(), map.scale);
    const auto channels = static_cast<std::int64_t>(map.shift.size());
    conv->inputs[1] = add_constant(graph, weight);
    conv->inputs[2] = add_constant(graph, kernels::converted(Tensor::from(map.shift, {channels}), f32));
    absorb(norm, *conv);
  }
  drop_absorbed(graph);
}

// ---- convolutions of joined tensors ----

constexpr std::size_t kMostParts = 4;        // each may cost a pass over the result
constexpr std::int64_t kFewestChannels = 8;  // fewer leave vectors idle

// Whether `node` joins channels, such that a convolution could as well read the parts.
bool joins_channels(const Graph& graph, const Node& node) {
  if (node.kind != Kind::cat || node.inputs.size() > kMostParts) return false;
  const auto rank = static_cast<std::int64_t>(graph.at(node.outputs[0]).shape.size());
  const auto dim = node.options.at("dim").get<std::int64_t>();
  if (rank < 3 || (dim < 0 ? dim + rank : dim) != 1) return false;
  for (const int part : node.inputs)
    if (!is_placeable(graph.at(part)) || static_cast<std::int64_t>(graph.at(part).shape.size()) != rank ||
        graph.at(part).shape[1] < kFewestChannels)
      return false;
  return true;
}

bool can_read_parts(const Graph& graph, const Node& node, int joined) {
  return node.kind == Kind::conv && node.inputs[0] == joined && !ops::is_conv_transpose(node.op) &&
         node.options.at("groups") == 1 &&
         graph.at(joined).shape.size() == graph.at(node.inputs[1]).shape.size();
}

void read_parts(Graph& graph) {
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!joins_channels(graph, graph.nodes[i])) continue;
    const int joined = graph.nodes[i].outputs[0];
    const std::vector<int> parts = graph.nodes[i].inputs;
    int readers = 0;
    for (const Node& node : graph.nodes) readers += can_read_parts(graph, node, joined);
    if (readers != count_uses(graph)[static_cast<std::size_t>(joined)]) continue;
    for (Node& node : graph.nodes) {
      if (!can_read_parts(graph, node, joined)) continue;
      node.inputs[0] = parts[0];
      node.joined.assign(parts.begin() + 1, parts.end());
    }
    graph.nodes.erase(graph.nodes.begin() + static_cast<std::ptrdiff_t>(i--));
  }
}

// ---- sums and activations into what computes their input ----

bool reads(const Graph& graph, const Node& node, int value) {
  const auto is_value = [&](int input) { return input != kNone && graph.root(input) == value; };
  return node.added == value || std::any_of(node.inputs.begin(), node.inputs.end(), is_value) ||
         std::any_of(node.joined.begin(), node.joined.end(), is_value);
}

// `other` can be added to by `conv`, instead of by the node `sum`: it is there before, and nobody reads it
// after.
bool can_receive(const Graph& graph, int other, const Node& conv, const Node& sum) {
  if (graph.is_constant(other) || graph.at(other).base != kNone || reads(graph, conv, other)) return false;
  bool placed = false;
  for (const Node& node : graph.nodes) {
    if (&node == &conv) break;
    placed |= node.kind != Kind::call && !node.outputs.empty() && node.outputs[0] == other;
  }
  const int last = last_uses(graph)[static_cast<std::size_t>(other)];
  return placed && last < static_cast<int>(graph.nodes.size()) &&
         &graph.nodes[static_cast<std::size_t>(last)] == &sum;
}

// The sum runs where the convolution stands, so nobody may read the other operand between the two.
bool is_read_between(const Graph& graph, int value, const Node& from, const Node& to) {
  for (const Node* node = &from + 1; node < &to; ++node)
    if (reads(graph, *node, value)) return true;
  return false;
}

void fuse_sums(Graph& graph) {
  const Sole sole(graph);
  for (Node& sum : graph.nodes) {
    if (sum.kind != Kind::add || graph.root(sum.inputs[0]) == graph.root(sum.inputs[1])) continue;
    for (const std::size_t i : {std::size_t{1}, std::size_t{0}}) {
      Node* conv = sole(sum.inputs[i]);
      const int other = sum.inputs[1 - i];
      if (!conv || conv->kind != Kind::conv || conv->added != kNone ||
          !can_receive(graph, other, *conv, sum) || is_read_between(graph, other, *conv, sum))
        continue;
      conv->added = other;
      absorb(sum, *conv);
      break;
    }
  }
  drop_absorbed(graph);
}

void fuse_rectifiers(Graph& graph) {
  const Sole sole(graph);
  for (Node& node : graph.nodes) {
    if (node.kind != Kind::rectify) continue;
    Node* source = sole(node.inputs[0]);
    if (!source || !source->rectifier.is_identity()) continue;
    if (source->kind != Kind::conv && source->kind != Kind::norm && source->kind != Kind::add) continue;
    source->rectifier = node.rectifier;
    absorb(node, *source);
  }
  drop_absorbed(graph);
}

}  // namespace

void fuse(Graph& graph) {
  choose_kinds(graph);
  fold_norms(graph);
  read_parts(graph);
  fuse_sums(graph);
  fuse_rectifiers(graph);
}

}  // namespace lucid::nn::plan
