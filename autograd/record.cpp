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

bool should_record(std::span<const Tensor> inputs) {
  if (!recording) return false;
  for (const Tensor& input : inputs)
    if (input.defined() && input.requires_grad()) return true;
  return false;
}

void connect(const std::shared_ptr<Node>& node, std::span<const Tensor> inputs, std::span<const Tensor> saved,
             std::span<const Tensor> results) {
  for (const Tensor& input : inputs) node->add_edge(input);
  for (const Tensor& tensor : saved) {
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
