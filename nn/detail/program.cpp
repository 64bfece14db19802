#include "nn/detail/program.hpp"

#include <algorithm>

#include "autograd/grad_mode.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/registry.hpp"

namespace lucid::nn::plan {
namespace {

std::size_t index(int value) { return static_cast<std::size_t>(value); }

// Axes of size 1 lie anywhere.
bool lies_as(const Tensor& tensor, const Value& value) {
  for (std::size_t i = 0; i < value.shape.size(); ++i)
    if (value.shape[i] != 1 && tensor.strides()[i] != value.strides[i]) return false;
  return true;
}

Tensor copied(const Tensor& tensor, const Strides& strides) {
  const Tensor out = empty_strided(tensor.shape(), strides, tensor.dtype());
  kernels::copy(out, tensor);
  return out;
}

// A node that runs by its name must be one that ops::call can run.
void require_callable(const Node& node) {
  const ops::Op* op = nullptr;
  try {
    op = &ops::find(node.op);
  } catch (const Error&) {
    raise("compile", "the net uses the op ", node.op,
          ", which is not in the table of ops; add it by ops::register_op");
  }
  for (std::size_t i = 0; i < op->inputs.size(); ++i)
    check(op->inputs[i].optional || op->inputs[i].repeated ||
              (i < node.inputs.size() && node.inputs[i] != kNone),
          "compile", "the net uses the op ", node.op, ", which is recorded without its input \"",
          op->inputs[i].name, "\"; a plan can't repeat it");
}

}  // namespace

Program::Program(Graph graph) : graph_(std::move(graph)), arena_(lay_out(graph_)) {
  for (const Node& node : graph_.nodes) {
    if (node.kind == Kind::call) require_callable(node);
    kernels_.push_back(node.kind == Kind::call ? nullptr : make_kernel(graph_, node));
  }
  own_constants();
  find_last_readers();
}

// What is still read is copied, the rest let go: the kernels hold copies of their own.
void Program::own_constants() {
  std::vector<bool> read(graph_.values.size());
  for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Node& node = graph_.nodes[i];
    const bool all = node.kind == Kind::call || node.kind == Kind::add || node.kind == Kind::cat;
    for (std::size_t k = 0; k < node.inputs.size(); ++k)
      if (node.inputs[k] != kNone && (all || k == 0)) read[index(node.inputs[k])] = true;
    for (const int input : node.joined) read[index(input)] = true;
  }
  for (std::size_t i = 0; i < read.size(); ++i) {
    Value& value = graph_.values[i];
    if (!value.constant.defined()) continue;
    const Strides& strides =
        is_dense(value.shape, value.strides) ? value.strides : contiguous_strides(value.shape);
    value.constant = read[i] ? copied(value.constant, strides) : Tensor();
  }
}

void Program::find_last_readers() {
  released_.resize(graph_.nodes.size());
  const std::vector<int> last = last_uses(graph_);
  for (std::size_t value = 0; value < last.size(); ++value)
    if (last[value] != kNone && index(last[value]) < graph_.nodes.size() &&
        static_cast<int>(value) != graph_.input)
      released_[index(last[value])].push_back(static_cast<int>(value));
}

// One call: the tensors that stand for values, while they live.
class Program::Run {
 public:
  Run(const Program& program, const Tensor& input)
      : graph_(program.graph_), program_(program), tensors_(graph_.values.size()) {
    tensors_[index(graph_.input)] = input;
    if (program.arena_.elements > 0) arena_ = empty({program.arena_.elements});
  }

  Tensor result() {
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      compute(graph_.nodes[i], program_.kernels_[i].get());
      for (const int value : program_.released_[i]) tensors_[index(value)] = Tensor();
    }
    return tensor(graph_.output);
  }

 private:
  void compute(const Node& node, const Kernel* kernel) {
    Tensors inputs;
    if (node.kind == Kind::conv)
      inputs.push_back(tensor(node.inputs[0]));
    else
      for (const int input : node.inputs) inputs.push_back(tensor(input));
    for (const int input : node.joined) inputs.push_back(tensor(input));
    if (kernel) {
      const int output = node.outputs[0];
      kernel->run(inputs, tensors_[index(output)] = placed(output));
      return;
    }
    const Tensors results = ops::call_all(node.op, inputs, node.options);
    for (std::size_t i = 0; i < node.outputs.size() && i < results.size(); ++i)
      if (node.outputs[i] != kNone) tensors_[index(node.outputs[i])] = results[i];
  }

  Tensor tensor(int id) const {
    if (id == kNone) return {};
    const Value& value = graph_.at(id);
    if (value.constant.defined()) return value.constant;
    if (value.base == kNone) return tensors_[index(id)];
    const Tensor& base = tensors_[index(value.base)];
    return alias(base, value.shape, value.strides, base.offset() + value.offset);
  }

  Tensor placed(int id) {
    const Value& value = graph_.at(id);
    const Place& place = program_.arena_.places[index(id)];
    if (place.where == Place::Where::arena) return alias(arena_, value.shape, value.strides, place.offset);
    if (!result_.defined()) result_ = empty_strided(value.shape, value.strides, value.dtype);
    return alias(result_, value.shape, value.strides, 0);
  }

  const Graph& graph_;
  const Program& program_;
  Tensors tensors_;  // of values that own memory
  Tensor arena_, result_;
};

Tensor Program::run(const Tensor& input) const {
  const no_grad guard;
  const Value& expected = graph_.at(graph_.input);
  return Run(*this, lies_as(input, expected) ? input : copied(input, expected.strides)).result();
}

std::int64_t Program::activation_bytes() const { return arena_.elements * size_of(f32); }

std::int64_t Program::weight_bytes() const {
  std::int64_t bytes = 0;
  for (const auto& kernel : kernels_)
    if (kernel) bytes += kernel->weight_bytes();
  for (const Value& value : graph_.values)
    if (value.constant.defined()) bytes += value.constant.nbytes();
  return bytes;
}

std::string Program::str() const {
  std::string out =
      lucid::str("plan for ", input().shape, " ", input().dtype, ": ", graph_.nodes.size(), " steps, ",
                 activation_bytes(), " bytes of activations, ", weight_bytes(), " of weights");
  for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Node& node = graph_.nodes[i];
    out += "\n  " + (kernels_[i] ? kernels_[i]->str() : node.op) + " -> ";
    const int shown = node.outputs[0] == kNone ? node.outputs.back() : node.outputs[0];
    out += graph_.at(shown).shape.str();
    const Place& place = arena_.places[index(shown)];
    if (place.where == Place::Where::arena) out += lucid::str(" at ", place.offset * size_of(f32));
  }
  return out;
}

}  // namespace lucid::nn::plan
