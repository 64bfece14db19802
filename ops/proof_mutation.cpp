// Ops that are wrong on purpose, which a proof worth its name refuses.

#include <algorithm>

#include "autograd/record.hpp"
#include "ops/compare.hpp"
#include "ops/proof.hpp"
#include "ops/proof_inputs.hpp"

namespace lucid::ops {
namespace {

Tensors wrong_backward(const autograd::Backward<autograd::NoOptions>& b) { return {b.grad() * 1.01}; }

Tensor wrong(const Tensor& result) {
  if (is_real(result)) return result * 1.01;
  return result.dtype() == boolean ? logical_not(result) : result + 1;
}

bool is_noticed(const Op& mutant) {
  return !prove(mutant, {.second_derivatives = false, .least_samples = 0, .stop_at_failure = true});
}

}  // namespace

Op with_wrong_gradient(const Op& op, std::size_t input) {
  Op mutant = op;
  mutant.call = [call = op.call, input](const Tensors& inputs, const nlohmann::json& options) {
    Tensors given = inputs;
    if (input < given.size() && is_real(given[input])) {
      const Tensor same = given[input].detach();
      given[input] =
          autograd::record("wrong_gradient", same, {given[input]}, {}, autograd::NoOptions{}, wrong_backward);
    }
    return call(given, options);
  };
  return mutant;
}

Op with_wrong_result(const Op& op, std::size_t result) {
  Op mutant = op;
  mutant.call = [call = op.call, result](const Tensors& inputs, const nlohmann::json& options) {
    Tensors results = call(inputs, options);
    if (result < results.size() && results[result].defined()) results[result] = wrong(results[result]);
    return results;
  };
  return mutant;
}

MutationReport mutate(const Op& op) {
  MutationReport report;
  Generator generator(0);
  std::size_t results = 0;
  std::vector<bool> has_gradient;
  for (const Sample& sample : op.samples(generator)) {
    Tensors inputs = sample.inputs;
    has_gradient.resize(std::max(has_gradient.size(), inputs.size()));
    for (std::size_t i = 0; i < inputs.size(); ++i)
      has_gradient[i] = has_gradient[i] || (op.differentiable && is_real(inputs[i]));
    if (!op.inputs.empty() && !op.inputs.back().repeated) inputs.resize(op.inputs.size());
    results = std::max(results, op.call(inputs, sample.options).size());
  }
  for (std::size_t i = 0; i < has_gradient.size(); ++i) {
    if (!has_gradient[i]) continue;
    ++report.gradients;
    if (!is_noticed(with_wrong_gradient(op, i)))
      report.survivors.push_back(str("a gradient of input ", i, " off by one percent is not noticed"));
  }
  for (std::size_t i = 0; i < results; ++i) {
    ++report.results;
    if (!is_noticed(with_wrong_result(op, i)))
      report.survivors.push_back(str("a result ", i, " off by one percent is not noticed"));
  }
  return report;
}

}  // namespace lucid::ops
