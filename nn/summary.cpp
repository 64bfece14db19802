#include "nn/summary.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "autograd/grad_mode.hpp"
#include "autograd/node.hpp"
#include "autograd/observer.hpp"
#include "autograd/op_timer.hpp"
#include "lucid/allocator.hpp"
#include "lucid/error_path.hpp"
#include "lucid/peak_scope.hpp"
#include "lucid/random.hpp"
#include "nn/peak_memory.hpp"
#include "nn/walk.hpp"
#include "ops/registry.hpp"

namespace lucid::nn::detail {
namespace {

constexpr std::array<std::string_view, 12> kCopies{"cat",    "stack",        "pad",    "clone",
                                                   "to",     "flip",         "roll",   "slice",
                                                   "repeat", "index_select", "gather", "getitem"};

// Puts modes, buffers and the default generator back.
class StateGuard {
 public:
  explicit StateGuard(Module& net) : generator_(default_generator()) {
    net.for_each_module(
        [&](const auto&, Module& module) { modes_.emplace_back(&module, module.training()); });
    const no_grad guard;
    for (const Tensor& buffer : net.buffers()) buffers_.emplace_back(buffer, buffer.clone());
  }
  ~StateGuard() {
    for (const auto& [module, mode] : modes_) module->train(mode);  // parents first
    const no_grad guard;
    for (const auto& [buffer, value] : buffers_) buffer.copy_(value);
    default_generator() = generator_;
  }
  StateGuard(const StateGuard&) = delete;
  StateGuard& operator=(const StateGuard&) = delete;

 private:
  Generator generator_;
  std::vector<std::pair<Module*, bool>> modes_;
  std::vector<std::pair<Tensor, Tensor>> buffers_;
};

struct Layer {
  std::string name;  // relative to the net
  std::string type;
  std::int64_t parameters = 0;  // elements of its own, if no layer before it has them
  bool is_leaf = true;
};

// The tree below a net, by the path that errors name.
std::map<std::string, Layer> layers_of(Module& net) {
  std::map<std::string, Layer> layers;
  net.for_each_module([&](const std::string& name, Module& module) {
    layers[module.path()] = {.name = name, .type = module.type_name()};
    const std::size_t dot = name.rfind('.');
    // The parent of "ups.0" in a list is the module that has the list.
    for (std::size_t end = dot; !name.empty();) {
      const std::string above = end == std::string::npos ? "" : name.substr(0, end);
      const auto found = std::find_if(layers.begin(), layers.end(),
                                      [&](const auto& entry) { return entry.second.name == above; });
      if (found != layers.end()) {
        found->second.is_leaf = false;
        break;
      }
      end = above.rfind('.');
    }
  });
  const std::string root = net.path();
  for (const auto& [name, parameter] : net.named_parameters()) {
    std::string owner = name;
    while (true) {
      const std::size_t dot = owner.rfind('.');
      owner = dot == std::string::npos ? "" : owner.substr(0, dot);
      const auto found = layers.find(root.empty() || owner.empty() ? root + owner : root + "." + owner);
      if (found == layers.end() && !owner.empty()) continue;
      if (found != layers.end()) found->second.parameters += parameter.numel();
      break;
    }
  }
  return layers;
}

// Bytes of the distinct blocks of memory behind tensors, as the allocator counts.
std::int64_t held_bytes(const Tensors& tensors) {
  std::set<const Storage*> seen;
  std::int64_t total = 0;
  for (const Tensor& tensor : tensors) {
    const Storage* storage = tensor.defined() ? tensor.impl().storage.get() : nullptr;
    if (storage && seen.insert(storage).second)
      total += lucid::detail::allocated_bytes(static_cast<std::size_t>(storage->bytes()));
  }
  return total;
}

class Watcher final : public autograd::Observer, public autograd::OpSink {
 public:
  Watcher(Module& net, const Tensors& held, lucid::detail::PeakScope& peak)
      : memory_(held),
        peak_(peak),
        layers_(layers_of(net)),
        root_(net.path()),
        guard_(*this),
        outer_sink_(std::exchange(autograd::detail::op_sink, this)) {
    for (const ops::Op* op : ops::all()) records_.emplace(op->name, op);
  }
  ~Watcher() override { autograd::detail::op_sink = outer_sink_; }

  void begin(std::string_view, bool) override {
    begun_.push_back({rows.size(), rows.empty() ? 0 : rows.back().flops, latest_});
    if (begun_.size() > 1) return;
    memory_.advance(peak_.next());
    memory_.begin_op(autograd::detail::save_policy, memory_stats().current_bytes);
  }
  void end() override { begun_.pop_back(); }
  void kernel(const autograd::KernelRun&) override {}
  void activation_reorder(std::int64_t) override {}

  void on_op(std::string_view name, std::span<const Tensor> inputs, std::span<const Tensor> results,
             const autograd::OpOptions& options) override {
    memory_.advance(peak_.next());
    const SummaryRow inner = forget_inner();
    SummaryRow& row = row_of(name, inputs);
    row.parameters += inner.parameters;
    row.kept_bytes += inner.kept_bytes;
    row.output = results.back().shape();
    row.flops += flops(name, inputs, results, options);
    name_ = name, inputs_ = inputs, results_ = results;
  }

  bool keep(std::span<const Tensor> saved) override {
    memory_.record(name_, inputs_, results_, saved);
    rows.back().kept_bytes += memory_.newly_kept_bytes();
    // A checkpoint keeps nothing either, and is told apart from the next one while it lives.
    return autograd::detail::save_policy != nullptr;
  }

  std::vector<std::string> uncalled() const {
    std::vector<std::string> out;
    for (const auto& [path, layer] : layers_)
      if (layer.parameters > 0 && !path.empty() && path != root_ && !called_.contains(path))
        out.push_back(layer.name);
    return out;
  }
  StepMemory& memory() { return memory_; }

  std::vector<SummaryRow> rows;

 private:
  // The innermost layer that the program is in: the path, without the op that names itself after it.
  std::string current_path() const {
    const std::string* path = lucid::detail::current_error_path();
    if (!path) return root_;
    const std::string layer = path->substr(0, path->find(", "));
    return layers_.contains(layer) ? layer : root_;
  }

  SummaryRow& row_of(std::string_view op, std::span<const Tensor> inputs) {
    const std::string path = current_path();
    const Layer& layer = layers_.at(path);
    const bool is_layer = layer.is_leaf && path != root_;
    if (is_layer && !rows.empty() && path == latest_) return rows.back();
    latest_ = is_layer ? path : std::string();
    SummaryRow& row = rows.emplace_back();
    row.path = layer.name;
    row.type = is_layer ? layer.type : std::string(op);
    // The first that is no parameter.
    const auto known = records_.find(op);
    const auto first = std::find_if(inputs.begin(), inputs.end(), [&](const Tensor& t) {
      const auto at = static_cast<std::size_t>(&t - inputs.data());
      const std::string_view name = known != records_.end() && at < known->second->inputs.size()
                                        ? known->second->inputs[at].name
                                        : std::string_view();
      return t.defined() && name != "weight" && name != "bias";
    });
    if (first != inputs.end()) row.input = first->shape();
    // A net's own parameters belong to the first op that is called in it, as a layer's to its first call.
    if (called_.insert(path).second) row.parameters = layer.parameters;
    return row;
  }

  // What the op that ends now called is a part of it: takes those rows and flops back, and returns their
  // sums.
  SummaryRow forget_inner() {
    SummaryRow sums;
    if (begun_.empty()) return sums;
    const Begun& begun = begun_.back();
    for (; rows.size() > begun.rows; rows.pop_back()) {
      sums.parameters += rows.back().parameters;
      sums.kept_bytes += rows.back().kept_bytes;
    }
    if (!rows.empty()) rows.back().flops = begun.flops;
    latest_ = begun.latest;
    return sums;
  }

  double flops(std::string_view name, std::span<const Tensor> inputs, std::span<const Tensor> results,
               const autograd::OpOptions& options) const {
    const auto found = records_.find(name);
    if (found != records_.end() && found->second->cost) {
      Tensors given(inputs.begin(), inputs.end());
      given.resize(std::max(given.size(), found->second->inputs.size()));
      return found->second->cost(given, options()).flops;
    }
    const bool is_view =
        !inputs.empty() && inputs[0].defined() && inputs[0].impl().storage == results[0].impl().storage;
    const bool copies = std::find(kCopies.begin(), kCopies.end(), name) != kCopies.end();
    return is_view || copies ? 0 : static_cast<double>(results[0].numel());
  }

  StepMemory memory_;
  lucid::detail::PeakScope& peak_;
  std::map<std::string, Layer> layers_;
  std::string root_;
  std::map<std::string, const ops::Op*, std::less<>> records_;
  std::set<std::string> called_;
  std::string latest_;  // the layer that the last row is of
  std::string_view name_;
  std::span<const Tensor> inputs_, results_;
  autograd::ObserverGuard guard_;
  autograd::OpSink* outer_sink_;  // a profile does not see what a summary does
  // Where the rows were when an op began.
  struct Begun {
    std::size_t rows;
    double flops;  // of the last one
    std::string latest;
  };
  std::vector<Begun> begun_;
};

}  // namespace

Summary summarize(Module& net, const Forward& forward, const Tensors& inputs) {
  const StateGuard state(net);
  Summary out;
  Tensors held = net.parameters();
  for (const Tensor& parameter : held) {
    out.parameters += parameter.numel();
    if (parameter.requires_grad()) out.trainable_parameters += parameter.numel();
  }
  for (const Tensor& buffer : net.buffers()) held.push_back(buffer);
  out.model_bytes = held_bytes(held);
  for (const Tensor& input : inputs) held.push_back(input);
  const std::int64_t held_before = held_bytes(held);
  out.input_bytes = held_before - out.model_bytes;

  // What the rest of the program holds is not the net's.
  const auto of_others = [&] { return memory_stats().current_bytes - held_before; };
  {
    net.eval();
    const no_grad guard;
    const std::int64_t others = of_others();
    lucid::detail::PeakScope peak;
    const Tensors outputs = forward(inputs);
    out.inference_peak_bytes = peak.next() - others;
  }
  net.train();
  const enable_grad guard;
  const std::int64_t others = of_others();
  lucid::detail::PeakScope peak;
  Watcher watcher(net, held, peak);
  const Tensors outputs = forward(inputs);
  watcher.memory().advance(peak.next());
  out.training_peak_bytes = watcher.memory().peak(outputs, memory_stats().current_bytes) - others;
  out.kept_bytes = watcher.memory().kept_bytes();
  out.uncalled = watcher.uncalled();
  out.rows = std::move(watcher.rows);
  for (const SummaryRow& row : out.rows) out.flops += row.flops;
  return out;
}

Summary summarize(Module& net, const Forward& forward, const Shape& input_shape) {
  DType dtype = f32;
  for (const Tensor& parameter : net.parameters())
    if (is_floating(parameter.dtype())) {
      dtype = parameter.dtype();
      break;
    }
  Generator generator(0);
  return summarize(net, forward, Tensors{rand(input_shape, dtype, &generator)});
}

}  // namespace lucid::nn::detail
