// An op's results against its definition.

#include <cmath>
#include <nlohmann/json.hpp>

#include "ops/proof.hpp"
#include "ops/proof_inputs.hpp"

namespace lucid::ops {
namespace {

reference::Array as_array(const Tensor& tensor) {
  if (!tensor.defined()) return {};
  return {tensor.shape(), tensor.detach().to_vector<double>()};
}

bool agree(double found, double expected, double allowed) {
  if (found == expected || (std::isnan(found) && std::isnan(expected))) return true;
  return std::abs(found - expected) <= allowed;  // false when either is infinite or NaN
}

std::string compare(const Tensor& result, const reference::Array& expected, double tolerance) {
  if (!expected.defined()) return result.defined() ? "should not be there" : "";
  if (!result.defined()) return "is missing";
  if (result.shape() != expected.shape)
    return str("has shape ", result.shape(), "; by definition ", expected.shape);
  double scale = 0;
  for (const double value : expected.values)
    if (std::isfinite(value)) scale = std::max(scale, std::abs(value));
  const auto found = result.to_vector<double>();
  for (std::size_t i = 0; i < found.size(); ++i)
    if (!agree(found[i], expected.values[i], tolerance * scale))
      return str("is ", found[i], " at element ", i, "; by definition ", expected.values[i]);
  return "";
}

}  // namespace

std::string compare_with_reference(const Op& op, const Sample& sample, double tolerance) {
  if (!op.reference)
    return "the record has no definition to compare with; give it `reference`, a built-in op one in "
           "ops/reference/";
  reference::Arrays inputs;
  for (const Tensor& input : sample.inputs) inputs.push_back(as_array(input));
  nlohmann::json options = op.defaults;
  options.update(sample.options.json());
  const auto expected = op.reference(inputs, options);
  const Tensors results = op.call(sample.inputs, sample.options);
  if (results.size() != expected.size())
    return str(results.size(), " results; by definition ", expected.size());
  for (std::size_t i = 0; i < results.size(); ++i)
    if (const std::string wrong = compare(results[i], expected[i], tolerance); !wrong.empty())
      return str("result ", i, " ", wrong);
  return "";
}

}  // namespace lucid::ops
