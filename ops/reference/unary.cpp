// Elementwise ops of one operand. Each function is written as the literature defines it, not as its kernel
// computes it.

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "ops/reference/definitions.hpp"

namespace lucid::reference {
namespace {

using nlohmann::json;

template <class F>
Definition of_one(F f) {
  return [f](const Arrays& in, const json&) -> Arrays { return {map(in[0], f)}; };
}

// f(x, value of the option `a`), or f(x, a, b).
template <class F>
Definition of_one(const char* a, F f) {
  return [f, a](const Arrays& in, const json& o) -> Arrays {
    return {map(in[0], [&, p = o[a].get<double>()](double x) { return f(x, p); })};
  };
}
template <class F>
Definition of_one(const char* a, const char* b, F f) {
  return [f, a, b](const Arrays& in, const json& o) -> Arrays {
    return {map(in[0], [&, p = o[a].get<double>(), q = o[b].get<double>()](double x) { return f(x, p, q); })};
  };
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double relu6(double x) { return std::fmin(std::fmax(x, 0), 6); }

// D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units", arXiv:1606.08415.
double gelu(double x) { return x * 0.5 * std::erfc(-x / std::numbers::sqrt2); }
double gelu_tanh(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}

void define_math(Definitions& d) {
  d["abs"] = of_one([](double x) { return std::fabs(x); });
  d["neg"] = of_one([](double x) { return -x; });
  d["sign"] = of_one([](double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0; });
  d["square"] = of_one([](double x) { return x * x; });
  d["exp"] = of_one([](double x) { return std::exp(x); });
  d["expm1"] = of_one([](double x) { return std::expm1(x); });
  d["log"] = of_one([](double x) { return std::log(x); });
  d["log1p"] = of_one([](double x) { return std::log1p(x); });
  d["sqrt"] = of_one([](double x) { return std::sqrt(x); });
  d["rsqrt"] = of_one([](double x) { return 1 / std::sqrt(x); });
  d["sin"] = of_one([](double x) { return std::sin(x); });
  d["cos"] = of_one([](double x) { return std::cos(x); });
  d["erf"] = of_one([](double x) { return std::erf(x); });
  d["tanh"] = of_one([](double x) { return std::tanh(x); });
  d["sigmoid"] = of_one(sigmoid);
  d["logical_not"] = of_one([](double x) { return x == 0; });
  d["clone"] = of_one([](double x) { return x; });
  d["to"] = [](const Arrays& in, const json& o) -> Arrays { return {converted(in[0], o["dtype"])}; };
}

void define_smooth_activations(Definitions& d) {
  d["elu"] = of_one("alpha", [](double x, double alpha) { return x > 0 ? x : alpha * (std::exp(x) - 1); });
  d["celu"] = of_one("alpha", [](double x, double alpha) {
    return std::fmax(x, 0) + std::fmin(alpha * (std::exp(x / alpha) - 1), 0);
  });
  // The constants of G. Klambauer et al., "Self-Normalizing Neural Networks", arXiv:1706.02515.
  d["selu"] = of_one(
      [](double x) { return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * (std::exp(x) - 1)); });
  d["gelu"] = [](const Arrays& in, const json& o) -> Arrays {
    return {map(in[0], o["approximate"] == "tanh" ? gelu_tanh : gelu)};
  };
  d["silu"] = of_one([](double x) { return x * sigmoid(x); });
  d["mish"] = of_one([](double x) { return x * std::tanh(std::log1p(std::exp(x))); });
  d["softplus"] = of_one("beta", "threshold", [](double x, double beta, double threshold) {
    return beta * x > threshold ? x : std::log1p(std::exp(beta * x)) / beta;
  });
  d["softsign"] = of_one([](double x) { return x / (1 + std::fabs(x)); });
  d["logsigmoid"] = of_one([](double x) { return std::log(sigmoid(x)); });
}

}  // namespace

void define_unary(Definitions& d) {
  define_math(d);
  define_smooth_activations(d);
  d["relu"] = of_one([](double x) { return x > 0 ? x : 0; });
  d["relu6"] = of_one(relu6);
  d["leaky_relu"] = of_one("negative_slope", [](double x, double slope) { return x > 0 ? x : slope * x; });
  d["hardtanh"] = of_one("min_val", "max_val", [](double x, double low, double high) {
    return std::fmin(std::fmax(x, low), high);
  });
  d["hardsigmoid"] = of_one([](double x) { return relu6(x + 3) / 6; });
  d["hardswish"] = of_one([](double x) { return x * relu6(x + 3) / 6; });
  d["threshold"] = of_one("threshold", "value",
                          [](double x, double threshold, double value) { return x > threshold ? x : value; });
}

}  // namespace lucid::reference
