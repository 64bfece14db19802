#pragma once
// How an operation enters the graph. An op's backward is a plain function over its options and what it saved:
//
//   Tensors exp_backward(const Backward<NoOptions>& b) { return {b.grad() * b.saved[0]}; }
//   Tensor exp(const Tensor& x) {
//     Tensor y = ...;
//     return record("exp", y, {x}, {y}, NoOptions{}, exp_backward);
//   }

#include <concepts>
#include <initializer_list>
#include <span>
#include <utility>

#include "autograd/grad_mode.hpp"
#include "autograd/node.hpp"
#include "autograd/observer.hpp"
#include "autograd/op_timer.hpp"

namespace lucid::autograd {

/// What a backward rule is given.
template <class Options>
struct Backward {
  const Options& options;
  const Tensors& grads;  ///< one for each result; undefined where no gradient arrived
  const Tensors& saved;  ///< in the order in which they were saved
  const Mask& wants;     ///< wants[i]: input i's gradient is needed
  const Tensor& grad() const { return grads[0]; }
};

/// Returns one gradient for each input: undefined where none is wanted or where it is zero. A gradient may
/// have the broadcast shape or another floating type: the walker reduces and converts. Written with
/// differentiable operations, so that a recorded backward pass can itself be differentiated.
template <class Options>
using Rule = Tensors (*)(const Backward<Options>&);

struct NoOptions {};
void to_json(nlohmann::json& out, const NoOptions&);
void from_json(const nlohmann::json& in, NoOptions&);

template <class Options>
class RuleNode final : public Node {
 public:
  RuleNode(std::string_view name, Options&& options, Rule<Options> rule)
      : name_(name), options_(std::move(options)), rule_(rule) {}
  std::string_view name() const override { return name_; }
  void options(nlohmann::json& out) const override { to_json(out, options_); }
  Tensors backward(const std::shared_ptr<Node>& self, const Tensors& grads, const Mask& wanted) override {
    const Tensors saved = unpack_saved(self);
    return rule_(Backward<Options>{options_, grads, saved, wanted});
  }

 private:
  std::string_view name_;  // points into static storage: the op's own name
  Options options_;
  Rule<Options> rule_;
};

/// A tensor in a braced list, by reference: `{x, weight}` copies no handles.
struct TensorRef {
  TensorRef(const Tensor& referred) : tensor(&referred) {}
  const Tensor* tensor;
};
using TensorList = std::initializer_list<TensorRef>;

/// The tensors of a braced list or of a span, which must outlive it.
class TensorView {
 public:
  TensorView() = default;
  TensorView(TensorList list) : refs_(std::data(list)), size_(list.size()) {}
  template <std::convertible_to<std::span<const Tensor>> Tensors>
  TensorView(const Tensors& tensors) : tensors_(std::data(tensors)), size_(std::size(tensors)) {}
  std::size_t size() const { return size_; }
  const Tensor& operator[](std::size_t i) const { return refs_ ? *refs_[i].tensor : tensors_[i]; }

 private:
  const TensorRef* refs_ = nullptr;
  const Tensor* tensors_ = nullptr;
  std::size_t size_ = 0;
};

/// The tensors as a list of handles.
Tensors listed(TensorView tensors);

/// True when recording is on and some input wants a gradient.
bool should_record(TensorView inputs);
/// Makes `results` the results of `node`, computed from `inputs`. Integer results take no part.
void connect(const std::shared_ptr<Node>& node, TensorView inputs, TensorView saved,
             std::span<const Tensor> results);

/// Records `results` = op(inputs) if needed. `op` must outlive the graph (a literal). `inputs` may hold
/// undefined tensors; `saved` may hold inputs, results, and tensors of the op's own.
template <class Options>
void record_all(std::string_view op, std::span<const Tensor> results, TensorView inputs, TensorView saved,
                Options options, Rule<Options> rule) {
  bool recorded = should_record(inputs);
  if (detail::observer) [[unlikely]]
    recorded = detail::observe_call(op, listed(inputs), results, listed(saved), options, recorded);
  if (!recorded) return;
  connect(lucid::detail::make_small<RuleNode<Options>>(op, std::move(options), rule), inputs, saved, results);
}

/// The common case of one result, which is returned.
template <class Options>
Tensor record(std::string_view op, Tensor result, TensorList inputs, TensorList saved, Options options,
              Rule<Options> rule) {
  record_all(op, std::span<const Tensor>(&result, 1), inputs, saved, std::move(options), rule);
  return result;
}

}  // namespace lucid::autograd
