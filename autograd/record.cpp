#include "autograd/record.hpp"

#include <nlohmann/json.hpp>

namespace lucid::autograd {
namespace {
thread_local bool recording = true;
}

bool is_recording() { return recording; }
void set_recording(bool on) { recording = on; }

void to_json(nlohmann::json& out, const NoOptions&) { out = nlohmann::json::object(); }
void from_json(const nlohmann::json&, NoOptions&) {}

Tensors listed(TensorView tensors) {
  Tensors out;
  for (std::size_t i = 0; i < tensors.size(); ++i) out.push_back(tensors[i]);
  return out;
}

bool should_record(TensorView inputs) {
  if (!recording) return false;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].defined() && inputs[i].requires_grad()) return true;
  return false;
}

void connect(const std::shared_ptr<Node>& node, TensorView inputs, TensorView saved,
             std::span<const Tensor> results) {
  node->reserve(inputs.size(), saved.size(), results.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) node->add_edge(inputs[i]);
  node->take_sequence();
  for (std::size_t i = 0; i < saved.size(); ++i) {
    const Tensor& tensor = saved[i];
    std::uint32_t number = 0;
    while (number < results.size() && !(tensor.defined() && tensor.is_same(results[number]))) ++number;
    const bool is_result = number < results.size();
    node->save(tensor, is_result, is_result ? number : 0);
  }
  for (const Tensor& result : results) {
    const std::uint32_t number = node->add_result(result);
    if (!is_floating(result.dtype())) continue;
    result.impl().requires_grad = true;
    Meta& meta = meta_of(result);
    meta.node = node;
    meta.result = number;
  }
}

}  // namespace lucid::autograd
