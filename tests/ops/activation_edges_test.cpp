// First and second derivatives of saturating functions against closed forms in double, near 0 and so far out
// that the results have no digits left: there the derivatives must keep theirs.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "autograd/backward.hpp"
#include "lucid/tensor.hpp"
#include "ops/activation.hpp"
#include "ops/unary.hpp"

using namespace lucid;

namespace {

using Values = std::vector<double>;
using Exact = double (*)(double);
constexpr double kInf = std::numeric_limits<double>::infinity();

// Relative errors allowed: some roundings of each type; bfloat16 rounds after every operation.
double tolerance(DType dtype) { return dtype == f64 ? 1e-14 : dtype == f32 ? 4e-6 : 0.03; }

void compare(const std::string& what, const Tensor& x, const Tensor& found, Exact exact) {
  const double least = x.dtype() == f64 ? 0x1p-1022 : 0x1p-126;  // below it a type has fewer digits
  const std::string type = str(x.dtype());
  const Values at = x.to_vector<double>(), values = found.to_vector<double>();
  for (std::size_t i = 0; i < at.size(); ++i) {
    const double wanted = exact(at[i]);
    CAPTURE(what);
    CAPTURE(type);
    CAPTURE(at[i]);
    CAPTURE(values[i]);
    CAPTURE(wanted);
    CHECK(std::abs(values[i] - wanted) <= tolerance(x.dtype()) * std::max(std::abs(wanted), least));
  }
}

// The first derivative by a plain and by a recorded pass, and the second.
template <class F>
void derivatives(F f, DType dtype, const Values& at, Exact first, Exact second) {
  const Tensor x = Tensor::from(at, {static_cast<std::int64_t>(at.size())}).to(dtype).requires_grad_();
  const Tensor seed = ones(x.shape(), dtype);
  compare("plain", x.detach(), autograd::grad({f(x)}, {x}, {seed})[0], first);
  const Tensor slope = autograd::grad({f(x)}, {x}, {seed}, {.create_graph = true})[0];
  compare("recorded", x.detach(), slope.detach(), first);
  compare("second", x.detach(), autograd::grad({slope}, {x}, {seed})[0], second);
}

double sech2(double x) {
  const double e = std::exp(-2 * std::abs(x));
  return 4 * e / ((1 + e) * (1 + e));
}
double sigmoid_of(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }

// tanh(softplus(x)) and its complement 1 - t^2, of e^-x above 0 and e^x below.
struct MishParts {
  explicit MishParts(double x) {
    const double e = std::exp(-std::abs(x));
    const double w = x > 0 ? 1 + 2 * e : e * (e + 2), rest = x > 0 ? 2 * e * e : 2;
    t = w / (w + rest);
    falloff = 2 * rest * (w + rest / 2) / ((w + rest) * (w + rest));
    s = sigmoid_of(x);
  }
  double t, falloff, s;
};

const auto kTypes = {f32, f64};

}  // namespace

TEST_CASE("tanh: both derivatives keep their digits near 0 and at saturation") {
  for (const DType dtype : kTypes)
    derivatives(
        [](const Tensor& x) { return tanh(x); }, dtype,
        {-40, -20, -9, -1, -0.1, -1e-3, -1e-8, -1e-20, 0, 1e-30, 1e-8, 1e-4, 0.3, 2, 10, 30, kInf, -kInf},
        sech2, [](double x) { return -2 * std::tanh(x) * sech2(x); });
}

TEST_CASE("tanh: so does the third derivative") {
  const Tensor x = Tensor::from(Values{1e-8, 0.5, 20}, {3}).to(f32).requires_grad_();
  const Tensor seed = ones({3});
  const Tensor first = autograd::grad({tanh(x)}, {x}, {seed}, {.create_graph = true})[0];
  const Tensor second = autograd::grad({first}, {x}, {seed}, {.create_graph = true})[0];
  compare("third", x.detach(), autograd::grad({second}, {x}, {seed})[0], [](double at) {
    const double t = std::tanh(at);
    return sech2(at) * (4 * t * t - 2 * sech2(at));
  });
}

TEST_CASE("sigmoid: both derivatives keep their digits near 0 and at saturation") {
  for (const DType dtype : kTypes)
    derivatives([](const Tensor& x) { return sigmoid(x); }, dtype,
                {-80, -17, -3, -1e-3, -1e-8, 0, 1e-8, 0.1, 5, 17, 80, kInf, -kInf},
                [](double x) { return sech2(x / 2) / 4; },
                [](double x) { return -std::tanh(x / 2) * sech2(x / 2) / 4; });
}

TEST_CASE("logsigmoid: both derivatives keep their digits far out") {
  for (const DType dtype : kTypes)
    derivatives([](const Tensor& x) { return logsigmoid(x); }, dtype,
                {-1000, -80, -40, -17, -5, -1e-3, 0, 1e-6, 2, 17, 40, 80, 1000, kInf, -kInf},
                [](double x) { return sigmoid_of(-x); }, [](double x) { return -sech2(x / 2) / 4; });
}

TEST_CASE("softsign: both derivatives keep their digits far out, in bfloat16 too") {
  for (const DType dtype : {f32, f64, bf16})
    derivatives([](const Tensor& x) { return softsign(x); }, dtype,
                {-1e10, -4096, -512, -3, -0.5, -1e-6, 1e-6, 0.25, 7, 256, 512, 1024, 1e6, 1e10, kInf},
                [](double x) { return 1 / ((1 + std::abs(x)) * (1 + std::abs(x))); },
                [](double x) { return std::copysign(2, -x) * std::pow(1 + std::abs(x), -3); });
}

TEST_CASE("mish: the derivative goes to 1 and the second to 0, whatever the input") {
  for (const DType dtype : kTypes)
    derivatives([](const Tensor& x) { return mish(x); }, dtype,
                {-80, -20, -5, -1, -1e-4, 0, 1e-4, 1, 5, 15, 19, 21, 23, 40, 150, 500, 1e17, 1e30, kInf},
                [](double x) {
                  if (x > 400) return 1.0;
                  const MishParts p(x);
                  return p.t + x * p.s * p.falloff;
                },
                [](double x) {
                  if (x > 400) return 0.0;
                  const MishParts p(x);
                  return p.falloff * p.s * (2 + x * (1 - p.s) - 2 * x * p.s * p.t);
                });
  const Tensor x = Tensor::from(Values{512, 1e17, 3e38}, {3}).to(bf16).requires_grad_();
  mish(x).backward(ones({3}, bf16));
  CHECK(x.grad().to_vector<double>() == Values{1, 1, 1});
}
