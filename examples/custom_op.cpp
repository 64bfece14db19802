// An op of one's own: softplus-like "squareplus", (x + sqrt(x^2 + b)) / 2, from J. T. Barron, "Squareplus: A
// Softplus-Like Algebraic Rectifier", arXiv:2112.11687. Once registered it is called by name, trains, and is
// proven by the same machinery that proves the built-in ops.

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "autograd/record.hpp"
#include "lucid/lucid.hpp"
#include "ops/options.hpp"
#include "ops/proof.hpp"
#include "ops/samples.hpp"

using namespace lucid;

namespace {

struct SquareplusOptions {
  double b = 4.0;  // larger is smoother
};
LUCID_OPTIONS(SquareplusOptions, b)

// d/dx = (1 + x / sqrt(x^2 + b)) / 2, written with ops, so that it can be differentiated again.
Tensors squareplus_backward(const autograd::Backward<SquareplusOptions>& backward) {
  const Tensor& x = backward.saved[0];
  return {backward.grad() * (x / (x * x + backward.options.b).sqrt() + 1.0) * 0.5};
}

Tensor squareplus(const Tensor& x, SquareplusOptions options = {}) {
  const autograd::OpTimer timer("squareplus");  // lucid::profile shows it
  check(options.b >= 0, "squareplus", "b is ", options.b, "; it must not be negative");
  // The forward pass may be anything that fills a tensor; here it is written with ops, unrecorded.
  Tensor y;
  {
    const no_grad guard;
    y = (x + (x * x + options.b).sqrt()) * 0.5;
  }
  return autograd::record("squareplus", y, {x}, {x}, options, squareplus_backward);
}

ops::Op squareplus_op() {
  return {
      .name = "squareplus",
      .doc = "(input + sqrt(input^2 + b)) / 2",
      .inputs = {{"input"}},
      .defaults = ops::default_options<SquareplusOptions>(),
      .call = [](const Tensors& inputs, const nlohmann::json& options) -> Tensors {
        return {squareplus(inputs[0], ops::read_options<SquareplusOptions>("squareplus", options))};
      },
      .samples = ops::unary_samples,
      .errors = []() -> std::vector<ops::ErrorCase> {
        return {{{ones({2}, f64)}, {{"b", -1}}, "b is -1"}};
      },
      .reference = [](const reference::Arrays& inputs, const nlohmann::json& options) -> reference::Arrays {
        const double b = options["b"];
        return {reference::map(inputs[0], [b](double x) { return (x + std::sqrt(x * x + b)) / 2; })};
      }};
}

}  // namespace

int main() {
  ops::register_op(squareplus_op());

  const Tensor x = Tensor::from({-2.0, 0.0, 2.0}, {3}).requires_grad_();
  const Tensor y = ops::call("squareplus", {x}, {{"b", 1.0}});
  y.sum().backward();
  std::cout << "squareplus " << y << "\ngradient   " << x.grad() << '\n';

  const ops::Proof proof = ops::prove(ops::find("squareplus"));
  std::cout << proof.checks << " checks, " << proof.failures.size() << " failed\n";
  for (const auto& failure : proof.failures) std::cout << failure.check << ": " << failure.message << '\n';

  // The proof is worth something: gradients and results that are off by one percent do not pass.
  const ops::MutationReport mutants = ops::mutate(ops::find("squareplus"));
  std::cout << mutants.noticed() << " of " << mutants.gradients + mutants.results << " mutants are noticed\n";
  return proof && mutants.survivors.empty() ? 0 : 1;
}
