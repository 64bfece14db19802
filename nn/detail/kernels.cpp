#include "nn/detail/program.hpp"
#include "ops/frozen_conv.hpp"
#include "ops/frozen_norm.hpp"
#include "ops/frozen_pool.hpp"
#include "ops/kernels/join.hpp"

namespace lucid::nn::plan {
namespace {

using kernels::Rectifier;

// " with relu" or the like, for what a kernel does besides.
std::string rectifier_text(const Rectifier& r) {
  const Rectifier none;
  if (r == none) return "";
  if (r == Rectifier{.low = 0}) return ", relu";
  std::string out;
  if (r.slope != none.slope) out += lucid::str(", leaky_relu ", static_cast<double>(r.slope));
  if (r.low != none.low || r.high != none.high)
    out += lucid::str(", clamp ", static_cast<double>(r.low), " to ", static_cast<double>(r.high));
  return out;
}

const Tensor& constant(const Graph& graph, int value) {
  static const Tensor none;
  return value == kNone ? none : graph.at(value).constant;
}

// A tensor that has the value's shape, strides and type, over memory that nobody reads.
Tensor stand_in(const Value& value) { return alias(empty({1}, value.dtype), value.shape, value.strides, 0); }

class ConvKernel final : public Kernel {
 public:
  ConvKernel(const Graph& graph, const Node& node)
      : conv_(node.op, node.options, shapes(graph, node), constant(graph, node.inputs[1]),
              constant(graph, node.inputs[2]),
              {.accumulate = node.added != kNone, .rectifier = node.rectifier}),
        text_(lucid::str(node.op, node.joined.empty() ? "" : " of joined parts",
                         node.added != kNone ? ", added" : "", rectifier_text(node.rectifier), " (",
                         conv_.implementation(), ")")) {}
  void run(std::span<const Tensor> inputs, const Tensor& out) const override { conv_.run(inputs, out); }
  std::string str() const override { return text_; }
  std::int64_t weight_bytes() const override { return conv_.weight_bytes(); }

 private:
  static std::vector<Shape> shapes(const Graph& graph, const Node& node) {
    std::vector<Shape> out{graph.at(node.inputs[0]).shape};
    for (const int part : node.joined) out.push_back(graph.at(part).shape);
    return out;
  }

  ops::FrozenConv conv_;
  std::string text_;
};

class NormKernel final : public Kernel {
 public:
  NormKernel(const Graph& graph, const Node& node)
      : norm_(node.op, node.options, stand_in(graph.at(node.inputs[0])), tensors(graph, node),
              node.rectifier),
        text_(node.op + rectifier_text(node.rectifier)) {}
  void run(std::span<const Tensor> inputs, const Tensor& out) const override { norm_.run(inputs[0], out); }
  std::string str() const override { return text_; }

 private:
  static ops::NormTensors tensors(const Graph& graph, const Node& node) {
    Tensors all;
    for (std::size_t i = 1; i < node.inputs.size(); ++i) all.push_back(constant(graph, node.inputs[i]));
    return ops::norm_tensors(node.op, all);
  }

  ops::FrozenNorm norm_;
  std::string text_;
};

class RectifyKernel final : public Kernel {
 public:
  explicit RectifyKernel(const Node& node) : rectifier_(node.rectifier), text_(node.op) {}
  void run(std::span<const Tensor> inputs, const Tensor& out) const override {
    kernels::rectify(out, inputs[0], rectifier_);
  }
  std::string str() const override { return text_; }

 private:
  Rectifier rectifier_;
  std::string text_;
};

class AddKernel final : public Kernel {
 public:
  explicit AddKernel(const Node& node) : rectifier_(node.rectifier) {}
  void run(std::span<const Tensor> inputs, const Tensor& out) const override {
    kernels::add_rectified(out, inputs[0], inputs[1], rectifier_);
  }
  std::string str() const override { return "add" + rectifier_text(rectifier_); }

 private:
  Rectifier rectifier_;
};

class CatKernel final : public Kernel {
 public:
  CatKernel(const Graph& graph, const Node& node)
      : axis_(normalize_axis("cat", node.options.at("dim").get<std::int64_t>(),
                             graph.at(node.outputs[0]).shape.size())) {}
  void run(std::span<const Tensor> inputs, const Tensor& out) const override {
    kernels::concatenate(out, inputs, axis_);
  }
  std::string str() const override { return "cat"; }

 private:
  std::size_t axis_;
};

class MaxPoolKernel final : public Kernel {
 public:
  MaxPoolKernel(const Graph& graph, const Node& node)
      : pool_(node.op, node.options, stand_in(graph.at(node.inputs[0]))), text_(node.op) {}
  void run(std::span<const Tensor> inputs, const Tensor& out) const override { pool_.run(inputs[0], out); }
  std::string str() const override { return text_; }

 private:
  ops::FrozenMaxPool pool_;
  std::string text_;
};

}  // namespace

std::unique_ptr<Kernel> make_kernel(const Graph& graph, const Node& node) {
  switch (node.kind) {
    case Kind::conv: return std::make_unique<ConvKernel>(graph, node);
    case Kind::norm: return std::make_unique<NormKernel>(graph, node);
    case Kind::rectify: return std::make_unique<RectifyKernel>(node);
    case Kind::add: return std::make_unique<AddKernel>(node);
    case Kind::cat: return std::make_unique<CatKernel>(graph, node);
    case Kind::max_pool: return std::make_unique<MaxPoolKernel>(graph, node);
    case Kind::call: break;
  }
  return nullptr;
}

}  // namespace lucid::nn::plan
