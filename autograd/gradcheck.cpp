#include "autograd/gradcheck.hpp"

#include <cmath>

#include "autograd/backward.hpp"
#include "autograd/grad_mode.hpp"
#include "lucid/random.hpp"

namespace lucid::autograd {
namespace {

bool is_checked(const Tensor& input) { return input.defined() && input.requires_grad(); }

// Leaves with the inputs' values, of which the checked ones are contiguous copies that may be written to.
Tensors fresh_leaves(const Tensors& inputs) {
  const no_grad guard;
  Tensors out;
  for (const Tensor& input : inputs) {
    if (!is_checked(input)) {
      out.push_back(input);
      continue;
    }
    check(input.dtype() == f64, "gradcheck", "an input that requires a gradient has dtype ", input.dtype(),
          "; float64 is required");
    Tensor copy = empty(input.shape(), f64);
    copy.copy_(input.detach());
    out.push_back(copy.requires_grad_());
  }
  return out;
}

// <u, outputs>, over the outputs that have a gradient.
double project(const Tensors& outputs, const Tensors& cotangents) {
  double total = 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!cotangents[i].defined()) continue;
    const auto values = outputs[i].to_vector<double>(), weights = cotangents[i].to_vector<double>();
    for (std::size_t j = 0; j < values.size(); ++j) total += values[j] * weights[j];
  }
  return total;
}

Tensors random_cotangents(const Tensors& outputs, std::uint64_t seed) {
  Generator generator(seed);
  Tensors out;
  for (const Tensor& output : outputs)
    out.push_back(output.defined() && output.requires_grad()
                      ? randn(output.shape(), output.dtype(), &generator)
                      : Tensor());
  return out;
}

// Outputs with a gradient and their cotangents, side by side.
std::pair<Tensors, Tensors> differentiable(const Tensors& outputs, const Tensors& cotangents) {
  std::pair<Tensors, Tensors> out;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!cotangents[i].defined()) continue;
    out.first.push_back(outputs[i]);
    out.second.push_back(cotangents[i]);
  }
  return out;
}

}  // namespace

GradcheckResult gradcheck(const Function& function, const Tensors& inputs, GradcheckOptions options) {
  const Tensors leaves = fresh_leaves(inputs);
  Tensors wanted;
  for (const Tensor& leaf : leaves)
    if (is_checked(leaf)) wanted.push_back(leaf);
  check(!wanted.empty(), "gradcheck", "no input requires a gradient");

  const enable_grad recording;
  const Tensors outputs = function(leaves);
  const Tensors cotangents = random_cotangents(outputs, options.seed);
  const auto [roots, seeds] = differentiable(outputs, cotangents);
  check(!roots.empty(), "gradcheck", "no output depends on the inputs that require a gradient");
  const Tensors analytic = grad(roots, wanted, seeds, {.allow_unused = true});

  GradcheckResult result;
  const no_grad guard;
  for (std::size_t k = 0; k < wanted.size(); ++k) {
    const std::vector<double> gradient =
        analytic[k].defined() ? analytic[k].to_vector<double>()
                              : std::vector<double>(static_cast<std::size_t>(wanted[k].numel()));
    for (std::int64_t j = 0; j < wanted[k].numel(); ++j) {
      const double value = wanted[k].data<double>()[j];
      wanted[k].mutable_data<double>()[j] = value + options.eps;
      const double above = project(function(leaves), cotangents);
      wanted[k].mutable_data<double>()[j] = value - options.eps;
      const double below = project(function(leaves), cotangents);
      wanted[k].mutable_data<double>()[j] = value;
      const double numeric = (above - below) / (2 * options.eps);
      const double found = gradient[static_cast<std::size_t>(j)];
      const double excess = std::abs(found - numeric) - options.rtol * std::abs(numeric);
      if (!(excess <= result.worst)) result.worst = excess;
      if (!(excess <= options.atol) && result.ok) {
        result.ok = false;
        result.message = str("differentiable input ", k, " of shape ", wanted[k].shape(), ", element ", j,
                             ": analytic ", found, ", numeric ", numeric);
      }
    }
  }
  return result;
}

GradcheckResult gradgradcheck(const Function& function, const Tensors& inputs, GradcheckOptions options) {
  const Tensors leaves = fresh_leaves(inputs);
  Tensors cotangents;
  {
    const enable_grad recording;
    cotangents = random_cotangents(function(leaves), options.seed + 1);
  }
  Tensors all = leaves;
  for (const Tensor& cotangent : cotangents)
    if (cotangent.defined()) all.push_back(cotangent.requires_grad_());

  const Function gradient = [&](const Tensors& given) {
    const enable_grad recording;  // the inner pass is recorded even while differences are taken
    const Tensors arguments(given.begin(), given.begin() + static_cast<std::ptrdiff_t>(inputs.size()));
    Tensors roots, seeds, wanted;
    const Tensors outputs = function(arguments);
    std::size_t next = inputs.size();
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (cotangents[i].defined()) roots.push_back(outputs[i]), seeds.push_back(given[next++]);
    for (const Tensor& argument : arguments)
      if (is_checked(argument)) wanted.push_back(argument);
    Tensors grads = grad(roots, wanted, seeds, {.create_graph = true, .allow_unused = true});
    for (std::size_t i = 0; i < grads.size(); ++i)
      if (!grads[i].defined()) grads[i] = zeros(wanted[i].shape(), f64);
    return grads;
  };
  return gradcheck(gradient, all, options);
}

}  // namespace lucid::autograd
