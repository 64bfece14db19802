// Convolutions too large to store: inputs by formula, results as sums and samples.

#include <algorithm>
#include <cmath>

#include "autograd/backward.hpp"
#include "case.hpp"
#include "names.hpp"
#include "ops/registry.hpp"

namespace run_cases {
namespace {

using namespace lucid;

// Element `index` of the sequence: splitmix64 started at `seed`, its upper 24 bits spread over [-1, 1).
double generated(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t z = seed + (index + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  return static_cast<double>(z >> 40) * 0x1p-23 - 1;
}

Tensor generate(const json& how, DType dtype) {
  const Shape shape(how.at("shape").get<std::vector<std::int64_t>>());
  const Tensor out = empty(shape, f32);
  float* data = out.mutable_data<float>();
  const std::uint64_t seed = how.at("seed");
  for (std::int64_t i = 0; i < out.numel(); ++i)
    data[i] = static_cast<float>(generated(seed, static_cast<std::uint64_t>(i)));
  return out.to(dtype);
}

// `element_tolerance` is absolute, or 0 for the case's own relative one.
void compare_digest(const Case& c, const std::string& key, const Tensor& found, double element_tolerance,
                    Verdict& verdict) {
  const json& digest = c.field("digest").at(key);
  if (digest.contains("shape") && found.shape() != Shape(digest.at("shape").get<std::vector<std::int64_t>>()))
    return verdict.fail(str(key, " has shape ", found.shape()));
  const auto values = found.to_vector<double>();
  if (digest.at("numel").get<std::size_t>() != values.size())
    return verdict.fail(str(key, " has ", values.size(), " elements"));
  if (values.empty()) return verdict.count();
  double sum = 0, abs_sum = 0, sq_sum = 0, probe = 0, low = values[0], high = values[0];
  const std::uint64_t probe_seed = digest.at("probe_seed");
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum += values[i];
    abs_sum += std::abs(values[i]);
    sq_sum += values[i] * values[i];
    probe += values[i] * generated(probe_seed, i);
    low = std::min(low, values[i]);
    high = std::max(high, values[i]);
  }
  const double total = digest.at("abs_sum"), squares = digest.at("sq_sum");
  const double relative = c.is_f32() ? 1e-5 : 1e-9;
  const double least = digest.at("min"), greatest = digest.at("max");
  const double largest = std::max(std::abs(least), std::abs(greatest));
  const double element = element_tolerance > 0 ? element_tolerance : c.tolerance().relative * largest;
  verdict.compare(key + " sum", sum, digest.at("sum"), relative * total);
  verdict.compare(key + " abs_sum", abs_sum, total, relative * total);
  verdict.compare(key + " sq_sum", sq_sum, squares, relative * squares);
  verdict.compare(key + " probe_dot", probe, digest.at("probe_dot"), relative * total);
  verdict.compare(key + " min", low, least, element);
  verdict.compare(key + " max", high, greatest, element);
  for (std::size_t i = 0; i < digest.at("index").size(); ++i) {
    const std::size_t index = digest.at("index").at(i);
    verdict.compare(str(key, "[", index, "]"), values.at(index), digest.at("value").at(i), element);
  }
}

}  // namespace

void run_large(const Case& c, Verdict& verdict) {
  const json& how = c.field("generate");
  const Tensor x = generate(how.at("x"), c.dtype).requires_grad_(),
               w = generate(how.at("w"), c.dtype).requires_grad_();
  const Tensor b = how.contains("b") ? generate(how.at("b"), c.dtype).requires_grad_() : Tensor();
  json options = json::object();
  for (const char* key : {"stride", "padding", "dilation", "groups", "output_padding"})
    if (c.field("params").contains(key)) options[key] = c.field("params").at(key);

  const Tensor y = ops::call(find_op(c.op()).name, {x, w, b}, options);
  compare_digest(c, "y", y.detach(), 0, verdict);
  Tensors inputs{x, w};
  if (b.defined()) inputs.push_back(b);
  const Tensor g = generate(how.at("g"), c.dtype);
  const Tensors grads = autograd::grad({y}, inputs, {g}, {.allow_unused = true});
  compare_digest(c, "gx", grads[0], 0, verdict);
  compare_digest(c, "gw", grads[1], 0, verdict);
  if (!b.defined()) return;
  double magnitude = 0;  // a bias gradient is a plain sum that can cancel: judged against sum|g|
  for (double value : g.to_vector<double>()) magnitude += std::abs(value);
  compare_digest(c, "gb", grads[2], c.is_f32() ? 1e-6 * magnitude : 0, verdict);
}

}  // namespace run_cases
