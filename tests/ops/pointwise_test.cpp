// Facts about functions of one element at a time: values, subgradients at kinks, types, layouts.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "autograd/backward.hpp"
#include "autograd/grad_mode.hpp"
#include "lucid/random.hpp"
#include "lucid/tensor.hpp"
#include "ops/activation.hpp"
#include "ops/compare.hpp"
#include "ops/loss.hpp"
#include "ops/power.hpp"
#include "ops/reduce.hpp"
#include "ops/registry.hpp"
#include "ops/select.hpp"
#include "ops/unary.hpp"

using namespace lucid;

namespace {

using Values = std::vector<double>;
constexpr double kInf = std::numeric_limits<double>::infinity();

Tensor vector(const Values& values, DType dtype = f64) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}).to(dtype);
}
Tensor leaf(const Values& values) { return vector(values).requires_grad_(); }

// The gradient of sum(f(x)).
template <class F>
Values slope_at(const Values& at, F f) {
  const Tensor x = leaf(at);
  const Tensor y = f(x);
  y.backward(ones(y.shape(), y.dtype()));
  return x.grad().to_vector<double>();
}

}  // namespace

// The prover checks the fused form against differences; the form for recorded backward passes is what it is
// held against here, for every op there is.
TEST_CASE("a recorded backward pass gives the gradients that a plain one gives") {
  for (const ops::Op* op : ops::all()) {
    if (!op->differentiable) continue;
    Generator generator(3);
    for (const ops::Sample& sample : op->samples(generator)) {
      Tensors inputs = sample.inputs, wanted;
      for (Tensor& input : inputs)
        if (input.defined() && is_floating(input.dtype()))
          wanted.push_back(input = input.clone().requires_grad_());
      if (!op->inputs.back().repeated) inputs.resize(op->inputs.size());
      const std::string where = op->name + " " + sample.options.json().dump();
      CAPTURE(where);
      const Tensor y = op->call(inputs, sample.options)[0];
      if (!y.requires_grad()) continue;
      Generator cotangent(4);
      const Tensors seeds{randn(y.shape(), f64, &cotangent)};
      const Tensors plain = autograd::grad({y}, wanted, seeds, {.retain_graph = true, .allow_unused = true});
      const Tensors recorded =
          autograd::grad({y}, wanted, seeds, {.create_graph = true, .allow_unused = true});
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        REQUIRE(plain[i].defined() == recorded[i].defined());
        if (!plain[i].defined()) continue;
        const Values a = plain[i].to_vector<double>(), b = recorded[i].to_vector<double>();
        double most = 0, difference = 0;
        for (std::size_t k = 0; k < a.size(); ++k) {
          most = std::max(most, std::abs(b[k]));
          difference = std::max(difference, std::abs(a[k] - b[k]));
        }
        CHECK(difference <= 1e-11 * most);
      }
    }
  }
}

TEST_CASE("subgradients at kinks and bounds") {
  CHECK(slope_at({-1, 0, 2}, [](const Tensor& x) { return relu(x); }) == Values{0, 0, 1});
  CHECK(slope_at({-1, 0, 2}, [](const Tensor& x) { return leaky_relu(x, 0.25); }) == Values{0.25, 0.25, 1});
  CHECK(slope_at({-1, 0, 2}, [](const Tensor& x) { return leaky_relu(x, -0.5); }) == Values{-0.5, -0.5, 1});
  CHECK(slope_at({-1, 0, 2}, [](const Tensor& x) { return abs(x); }) == Values{-1, 0, 1});
  CHECK(slope_at({-2, -1, 0, 1, 2}, [](const Tensor& x) { return clamp(x, -1, 1); }) ==
        Values{0, 1, 1, 1, 0});
  CHECK(slope_at({1, 2, 3}, [](const Tensor& x) {
          return maximum(x, vector({2, 2, 2}));
        }) == Values{0, 0.5, 1});
  CHECK(slope_at({1, 2, 3}, [](const Tensor& x) {
          return minimum(vector({2, 2, 2}), x);
        }) == Values{1, 0.5, 0});
  CHECK(slope_at({0, 2}, [](const Tensor& x) { return pow(x, 0); }) == Values{0, 0});
  CHECK(slope_at({0, 2}, [](const Tensor& x) { return pow(x, vector({0, 3})); }) == Values{0, 12});
  CHECK(slope_at({0, 2}, [](const Tensor& x) { return pow(vector({0, 0}), x); }) == Values{0, 0});
}

TEST_CASE("clamp: crossing bounds give max, whose gradient it is; one bound may be missing") {
  const Tensor x = leaf({-3, 0, 3}), low = leaf({1, 1, 1}), high = leaf({-1, -1, 4});
  const Tensor y = clamp(x, low, high);
  CHECK(y.to_vector<double>() == Values{-1, -1, 3});
  y.backward(ones({3}, f64));
  CHECK(x.grad().to_vector<double>() == Values{0, 0, 1});
  CHECK(low.grad().to_vector<double>() == Values{0, 0, 0});
  CHECK(high.grad().to_vector<double>() == Values{1, 1, 0});
  CHECK(clamp(vector({-3, 0, 3}), std::nullopt, 1).to_vector<double>() == Values{-3, 0, 1});
  CHECK(clamp(vector({-3, 0, 3}), 1).to_vector<double>() == Values{1, 1, 3});
  CHECK(clamp(vector({-3, 0, 3}, i64), 0.5).dtype() == f32);
  CHECK(clamp(vector({-3, 0, 3}, i64), -1, 1).to_vector<double>() == Values{-1, 0, 1});
}

TEST_CASE("clamp: a bound that is NaN is the result, and NaN in the input has no gradient") {
  for (const DType dtype : {f32, f64, bf16}) {
    const Tensor low = clamp(ones({3}, dtype), NAN, 2), high = clamp(ones({3}, dtype), std::nullopt, NAN);
    for (const double value : (low + high).to_vector<double>()) CHECK(std::isnan(value));
  }
  CHECK(slope_at({NAN, 1}, [](const Tensor& x) { return clamp(x, 0, 2); }) == Values{0, 1});
  const Tensor x = leaf({NAN, 1});
  CHECK(autograd::grad({clamp(x, 0, 2).sum()}, {x}, {}, {.create_graph = true})[0].to_vector<double>() ==
        Values{0, 1});
  CHECK(slope_at({NAN, 1}, [](const Tensor& v) { return clamp(v, zeros({}, f64), full({}, 2, f64)); }) ==
        Values{0, 1});
}

TEST_CASE("clamp: bounds are of the input's type") {
  for (const bool recorded : {false, true}) {
    const Tensor x = full({1}, 0.3, bf16).requires_grad_();
    const Tensor grad =
        autograd::grad({clamp(x, std::nullopt, 0.3).sum()}, {x}, {}, {.create_graph = recorded})[0];
    CHECK(grad.item<double>() == 1);
  }
  const Tensor bytes = vector({1, 100, 200}, u8);
  CHECK(clamp(bytes, 2, 150).to_vector<double>() == Values{2, 100, 150});
  CHECK_THROWS_WITH_AS(clamp(bytes, std::nullopt, 300),
                       "clamp: value 300 does not fit dtype uint8, which holds 0 to 255", Error);
  CHECK_THROWS_AS(clamp(bytes, -1, std::nullopt), Error);
  CHECK_THROWS_AS(clamp(vector({1, 2}, i32), std::nullopt, std::int64_t{1} << 32), Error);
}

TEST_CASE("NaN goes through, and comparisons with it fail") {
  const Tensor nan = vector({std::nan("")}), one = vector({1});
  for (const Tensor& y : {relu(nan), leaky_relu(nan), clamp(nan, -1, 1), maximum(nan, one), maximum(one, nan),
                          minimum(nan, one), minimum(one, nan), abs(nan), sigmoid(nan), sign(nan)})
    CHECK(std::isnan(y.item<double>()));
  CHECK_FALSE((nan == nan).item<bool>());
  CHECK((nan != nan).item<bool>());
  CHECK_FALSE((nan >= one).item<bool>());
  CHECK(logical_and(nan, one).item<bool>());
}

TEST_CASE("types: integers become float32 where the function leaves them, else stay") {
  const Tensor x = vector({-2, 0, 3}, i64);
  CHECK(exp(x).dtype() == f32);
  CHECK(sqrt(vector({4}, i32)).item<float>() == 2);
  CHECK(abs(x).to_vector<std::int64_t>() == std::vector<std::int64_t>{2, 0, 3});
  CHECK(sign(x).to_vector<std::int64_t>() == std::vector<std::int64_t>{-1, 0, 1});
  CHECK(relu(x).to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 0, 3});
  CHECK(pow(x, 3).to_vector<std::int64_t>() == std::vector<std::int64_t>{-8, 0, 27});
  CHECK(pow(x, 0.5).dtype() == f32);
  CHECK(pow(2, x).to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 8});
  CHECK(pow(vector({2}, i64), 62).item<std::int64_t>() == std::int64_t{1} << 62);
  CHECK((x > 0.5).dtype() == boolean);
  CHECK((x == 3).to_vector<bool>() == std::vector<bool>{false, false, true});
  CHECK((x <= vector({0, 0, 0}, f32)).to_vector<bool>() == std::vector<bool>{true, true, false});
  CHECK(where(x > 0, x, 1.5).dtype() == f32);
  CHECK(maximum(x, vector({0.5, 0.5, 0.5}, f32)).dtype() == f32);
}

TEST_CASE("sigmoid saturates without overflow") {
  CHECK(sigmoid(vector({-1000, 0, 1000}, f32)).to_vector<double>() == Values{0, 0.5, 1});
}

TEST_CASE("layouts: the result keeps channels-last, and gradients come back in it") {
  Generator generator(5);
  const Tensor x = randn({2, 3, 2, 3, 4}, f32, &generator).channels_last().requires_grad_();
  const Tensor y = leaky_relu(x, 0.1);
  CHECK(y.is_channels_last());
  y.backward(ones({1}, f32).expand({2, 3, 2, 3, 4}));
  CHECK(x.grad().is_channels_last());
  CHECK((x > 0.0).is_channels_last());
  CHECK(where(x > 0.0, x, 0.0).is_channels_last());
  CHECK(clamp(x, 0.0).is_channels_last());
}

TEST_CASE("empty and rank 0 tensors") {
  CHECK(exp(zeros({2, 0, 3})).shape() == Shape{2, 0, 3});
  CHECK((zeros({0}) < 1.0).numel() == 0);
  const Tensor x = scalar_tensor(-4.0, f64).requires_grad_();
  const Tensor y = where(x < 0.0, square(x), x);
  y.backward();
  CHECK(x.grad().item<double>() == -8);
}

TEST_CASE("relu keeps its result, which a later change in place betrays") {
  const Tensor x = leaf({-1, 2});
  const Tensor y = relu(x), z = y * 1.0;
  y.mutable_data<double>()[0] = 5;
  CHECK_THROWS_AS(z.backward(ones({2}, f64)), AutogradError);
}

TEST_CASE("in place: relu_ and leaky_relu_ are recorded, and refuse leaves") {
  const Tensor x = leaf({-1, 2}), y = x * 3.0;
  leaky_relu_(y, 0.5);
  CHECK(y.to_vector<double>() == Values{-1.5, 6});
  y.backward(ones({2}, f64));
  CHECK(x.grad().to_vector<double>() == Values{1.5, 3});
  CHECK_THROWS_AS(relu_(x), AutogradError);
  const no_grad guard;
  CHECK(relu_(x).to_vector<double>() == Values{0, 2});
}

TEST_CASE("masked_fill and where pass gradients to what was chosen") {
  const Tensor mask = vector({1, 0, 1}, boolean), x = leaf({1, 2, 3}), other = leaf({4});
  const Tensor filled = masked_fill(x, mask, -7);
  CHECK(filled.to_vector<double>() == Values{-7, 2, -7});
  where(mask, other, filled).backward(vector({1, 10, 100}));
  CHECK(x.grad().to_vector<double>() == Values{0, 10, 0});
  CHECK(other.grad().to_vector<double>() == Values{101});
}

TEST_CASE("masked_fill refuses what the type can't hold") {
  const Tensor mask = vector({1, 0}, boolean);
  CHECK_THROWS_WITH_AS(masked_fill(zeros({2}, u8), mask, 300), doctest::Contains("value 300"), Error);
  CHECK_THROWS_AS(masked_fill(zeros({2}, u8), mask, -1), Error);
  CHECK_THROWS_AS(masked_fill(zeros({2}, i32), mask, std::int64_t{1} << 40), Error);
  CHECK(masked_fill(zeros({2}, u8), mask, 255).to_vector<double>() == Values{255, 0});
  CHECK(masked_fill(zeros({2}, boolean), mask, true).to_vector<double>() == Values{1, 0});
}

TEST_CASE("activations at their kinks have PyTorch's derivatives") {
  CHECK(slope_at({-2, -1, 0, 1, 2}, [](const Tensor& x) { return hardtanh(x); }) == Values{0, 0, 1, 0, 0});
  CHECK(slope_at({-1, 0, 3, 6, 7}, [](const Tensor& x) { return relu6(x); }) == Values{0, 0, 1, 0, 0});
  CHECK(slope_at({-4, -3, 3, 4}, [](const Tensor& x) { return hardswish(x); }) == Values{0, -0.5, 1.5, 1});
  CHECK(slope_at({-3, 0, 3}, [](const Tensor& x) { return hardsigmoid(x); }) == Values{0, 1.0f / 6.0f, 0});
  CHECK(slope_at({1, 2}, [](const Tensor& x) { return threshold(x, 1, 5); }) == Values{0, 1});
  CHECK(slope_at({-1, 0}, [](const Tensor& x) { return prelu(x, vector({0.25})); }) == Values{0.25, 0.25});
}

TEST_CASE("crossed bounds of hardtanh give max_val, which nothing moves") {
  CHECK(hardtanh(vector({-1, 0, 1}), 0.5, -0.5).to_vector<double>() == Values{-0.5, -0.5, -0.5});
  CHECK(slope_at({-1, 0, 1}, [](const Tensor& x) { return hardtanh(x, 0.5, -0.5); }) == Values{0, 0, 0});
}

TEST_CASE("activations at known points, and far out where exponentials overflow") {
  const auto at = [](const Tensor& y) { return y.to_vector<double>(); };
  const Tensor far = vector({-1000, 1000}, f32);
  CHECK(at(silu(far)) == Values{0, 1000});
  CHECK(at(mish(far)) == Values{0, 1000});
  CHECK(at(gelu(far)) == Values{0, 1000});
  CHECK(at(gelu(far, "tanh")) == Values{0, 1000});
  CHECK(at(softplus(far)) == Values{0, 1000});
  CHECK(at(logsigmoid(far)) == Values{-1000, 0});
  CHECK(at(elu(far, 2.0)) == Values{-2, 1000});
  CHECK(at(celu(far, 2.0)) == Values{-2, 1000});
  for (const auto f : {silu, mish}) {
    const Tensor x = vector({-1000, 1000}, f32).requires_grad_();
    f(x).backward(ones({2}));
    CHECK(at(x.grad()) == Values{0, 1});
  }
  // from the definitions, by the C library
  const double x = 0.7, inner = std::sqrt(2 / 3.141592653589793) * (x + 0.044715 * x * x * x);
  CHECK(gelu(vector({x})).item<double>() == doctest::Approx(0.5 * x * std::erfc(-x / std::sqrt(2.0))));
  CHECK(gelu(vector({x}), "tanh").item<double>() == doctest::Approx(0.5 * x * (1 + std::tanh(inner))));
  CHECK(mish(vector({x})).item<double>() == doctest::Approx(x * std::tanh(std::log1p(std::exp(x)))));
  CHECK(selu(vector({-1})).item<double>() == doctest::Approx(-1.1113307));
  CHECK(softsign(vector({-3})).item<double>() == -0.75);
}

TEST_CASE("prelu: a slope for each channel, and the sum over the rest is its gradient") {
  const Tensor x = Tensor::from(Values{-1, -2, 3, -4, 5, -6}, {1, 2, 3}), weight = leaf({0.5, 2});
  const Tensor y = prelu(x, weight);
  CHECK(y.to_vector<double>() == Values{-0.5, -1, 3, -8, 5, -12});
  y.backward(ones({1, 2, 3}, f64));
  CHECK(weight.grad().to_vector<double>() == Values{-3, -10});
}

// By way of pieces of float: short ones, one of them full, several, and rows with gaps.
TEST_CASE("bfloat16 is computed as float and rounded once, whatever the length") {
  Generator generator(7);
  for (const std::int64_t n : {1, 511, 512, 513, 1300, 40000}) {
    CAPTURE(n);
    const Tensor x = randn({n}, bf16, &generator);
    const Tensor y = randn({n}, bf16, &generator);
    const Tensor number = scalar_tensor(0.3, bf16), slope = vector({0.3}, bf16);
    const Tensor wide = x.to(f32), wide_y = y.to(f32);
    const auto check = [](const Tensor& found, const Tensor& in_float) {
      CHECK(found.dtype() == bf16);
      CHECK(found.to_vector<float>() == in_float.to(bf16).to_vector<float>());
    };
    check(exp(x), exp(wide));
    check(x * y, wide * wide_y);
    check(x - number, wide - number.to(f32));
    check(number / x, number.to(f32) / wide);
    check(maximum(x, y), maximum(wide, wide_y));
    check(pow(x, 3.0), pow(wide, 3.0));
    check(prelu(x, slope), prelu(wide, slope.to(f32)));
    const Tensor every_second = x.reshape({1, n}).expand({3, n}).contiguous().slice(0, 0, 3, 2);
    check(tanh(every_second), tanh(every_second.to(f32)));
    check(tanh(every_second.transpose(0, 1)), tanh(every_second.transpose(0, 1).to(f32)));
    const Tensor changed = x.clone();
    check(leaky_relu_(changed, 0.25), leaky_relu(wide, 0.25));
    const Tensor input = x.clone().requires_grad_(), wide_input = wide.clone().requires_grad_();
    gelu(input).backward(y);
    gelu(wide_input).backward(wide_y);
    check(input.grad(), wide_input.grad());
    check(amax(x), amax(wide));
    check(mse_loss(x, y), mse_loss(wide, wide_y));
  }
}
