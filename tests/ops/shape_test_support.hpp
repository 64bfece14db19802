#pragma once
// Small helpers of the suites about shapes, parts and products.

#include <doctest/doctest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "autograd/gradcheck.hpp"
#include "ops/registry.hpp"

namespace shape_tests {

using lucid::Tensor;
using Values = std::vector<double>;

/// 0, 1, 2, ... in float64.
inline Tensor counting(const lucid::Shape& shape) {
  Values values(static_cast<std::size_t>(lucid::checked_numel("counting", shape)));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  return Tensor::from(values, shape);
}

inline Values values(const Tensor& tensor) { return tensor.to_vector<double>(); }

inline bool same_memory(const Tensor& a, const Tensor& b) { return a.impl().storage == b.impl().storage; }

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const lucid::Error& error) {
    return error.what();
  }
  return "no error";
}

/// Gradients of every sample against differences, and every error case against its text.
inline void check_record(const std::string& name) {
  const lucid::ops::Op& op = lucid::ops::find(name);
  lucid::Generator generator(1);
  for (const lucid::ops::Sample& sample : op.samples(generator)) {
    CAPTURE(name);
    CAPTURE(sample.options.json().dump());
    const auto call = [&](const lucid::Tensors& in) { return op.call(in, sample.options); };
    bool has_gradient = false;
    for (const Tensor& input : sample.inputs) {
      if (!op.differentiable || !input.defined() || !lucid::is_floating(input.dtype())) continue;
      input.requires_grad_();
      has_gradient = true;
    }
    if (!has_gradient) {  // integers
      call(sample.inputs);
      continue;
    }
    const auto first = lucid::autograd::gradcheck(call, sample.inputs);
    CHECK_MESSAGE(first.ok, first.message);
    const auto second = lucid::autograd::gradgradcheck(call, sample.inputs);
    CHECK_MESSAGE(second.ok, second.message);
  }
  for (const lucid::ops::ErrorCase& error : op.errors()) {
    const std::string message = message_of([&] { op.call(error.inputs, error.options); });
    CAPTURE(message);
    CHECK(message.starts_with(name + ": "));
    CHECK(contains(message, error.message));
  }
}

}  // namespace shape_tests
