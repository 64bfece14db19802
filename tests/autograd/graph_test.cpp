#include <doctest/doctest.h>

#include <cmath>

#include "autograd/backward.hpp"
#include "autograd/grad_mode.hpp"
#include "autograd/gradcheck.hpp"
#include "autograd/node.hpp"
#include "lucid/allocator.hpp"
#include "ops/arithmetic.hpp"

using namespace lucid;

namespace {

Tensor leaf(std::initializer_list<double> values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}, f64).requires_grad_();
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing thrown";
}

}  // namespace

TEST_CASE("backward adds up over the paths to a leaf and over calls") {
  const Tensor x = leaf({2, 3});
  (x * x + x).sum().backward();  // d/dx (x^2 + x) = 2x + 1
  CHECK(x.grad().to_vector<double>() == std::vector<double>{5, 7});
  (x * 2.0).sum().backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>{7, 9});
  x.set_grad({});
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("two leaves that get the same gradient do not share its memory") {
  const Tensor a = leaf({1, 2}), b = leaf({3, 4});
  (a + b).backward(Tensor::from({1, 1}, {2}, f64));
  a.grad().mul_(10.0);
  CHECK(b.grad().to_vector<double>() == std::vector<double>{1, 1});
}

TEST_CASE("a gradient from a recorded walk is the leaf's own: a later walk changes nothing else") {
  const BackwardOptions recorded{.create_graph = true};
  const Tensor x = leaf({1, 1, 1, 1}), y = leaf({1, 1, 1, 1});
  (x + y).sum().backward({}, recorded);
  x.sum().backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>(4, 2.0));
  CHECK(y.grad().to_vector<double>() == std::vector<double>(4, 1.0));
  const Tensor z = leaf({1, 1, 1, 1}), given = ones({4}, f64);
  z.reshape({2, 2}).reshape({4}).backward(given, recorded);
  z.sum().backward();
  CHECK(given.to_vector<double>() == std::vector<double>(4, 1.0));
  z.set_grad(ones({1}, f64).expand({4}));
  z.sum().backward();
  CHECK(z.grad().to_vector<double>() == std::vector<double>(4, 2.0));
}

TEST_CASE("gradients are reduced to the broadcast operand's shape and converted to its type") {
  const Tensor a = ones({2, 3}, f64).requires_grad_();
  const Tensor b = ones({3, 1, 1}, f32).requires_grad_();
  const Tensor y = a * b;
  CHECK(y.shape() == Shape{3, 2, 3});
  CHECK(y.dtype() == f64);
  y.sum().backward();
  CHECK(a.grad().shape() == Shape{2, 3});
  CHECK(b.grad().shape() == Shape{3, 1, 1});
  CHECK(b.grad().dtype() == f32);
  CHECK(b.grad().to_vector<float>() == std::vector<float>{6, 6, 6});
}

TEST_CASE("a chain of a million nodes is walked and freed without deep recursion") {
  const Tensor x = leaf({1});
  Tensor y = x;
  for (int i = 0; i < 1'000'000; ++i) y = y + x;
  y.backward();
  CHECK(x.grad().item<double>() == 1'000'001);
  Tensor z = x;
  for (int i = 0; i < 1'000'000; ++i) z = z * x;  // saves its operands too
  z = Tensor();
}

TEST_CASE("the walk frees what was saved, unless the graph is retained") {
  const Tensor x = leaf({2, 3});
  const Tensor y = (x * x).sum();
  y.backward({}, {.retain_graph = true});
  y.backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>{8, 12});
  CHECK(message_of([&] { y.backward(); }).find("retain_graph") != std::string::npos);

  const Tensor big = ones({1000, 1000}).requires_grad_();
  const std::int64_t before = memory_stats().current_bytes;
  Tensor middle = big * big;
  const Tensor total = (middle * middle).sum();  // saves `middle`
  middle = Tensor();
  total.backward();
  CHECK(memory_stats().current_bytes - before < 5'000'000);  // the leaf's gradient alone
}

TEST_CASE("a tensor that was saved and then changed in place is refused") {
  const Tensor x = leaf({2, 3});
  const Tensor w = Tensor::from({1, 1}, {2}, f64);
  const Tensor y = (x * w).sum();
  w.fill_(5);
  const std::string text = message_of([&] { y.backward(); });
  CHECK(text.find("mul.backward") != std::string::npos);
  CHECK(text.find("changed in place") != std::string::npos);
}

TEST_CASE("in-place changes are recorded, or refused where they cannot be") {
  const Tensor x = leaf({2, 3});
  Tensor y = x * 2.0;
  y.add_(x);
  y.sum().backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>{3, 3});
  CHECK(message_of([&] { x.add_(x); }).find("leaf") != std::string::npos);
  {
    const no_grad guard;
    x.add_(x);
  }
  CHECK(x.to_vector<double>() == std::vector<double>{4, 6});
  const Tensor z = x * 2.0;
  const Tensor view = z.detach();
  CHECK(message_of([&] { z.fill_(0); }).find("shares its memory") != std::string::npos);
}

TEST_CASE("no_grad records nothing and enable_grad turns recording on again") {
  const Tensor x = leaf({1});
  const no_grad guard;
  CHECK_FALSE((x * x).requires_grad());
  const enable_grad inner;
  CHECK((x * x).requires_grad());
}

TEST_CASE("hooks see and replace gradients, on leaves and on results") {
  const Tensor x = leaf({2, 3});
  const Tensor y = x * 3.0;
  int seen = 0;
  y.register_hook([&](const Tensor& grad) {
    ++seen;
    return grad * 10.0;
  });
  const auto id = x.register_hook([&](const Tensor& grad) {
    ++seen;
    CHECK(grad.to_vector<double>() == std::vector<double>{30, 30});
    return Tensor();
  });
  y.retain_grad();
  y.sum().backward({}, {.retain_graph = true});
  CHECK(seen == 2);
  CHECK(x.grad().to_vector<double>() == std::vector<double>{30, 30});
  CHECK(y.grad().to_vector<double>() == std::vector<double>{10, 10});
  x.remove_hook(id);
  x.set_grad({});
  y.sum().backward();
  CHECK(seen == 3);
}

TEST_CASE("a gradient from a hook stays the hook's own, and keeps shape and dtype") {
  const Tensor x = ones({2}).requires_grad_();
  const Tensor constant = full({2}, 7.0);
  x.register_hook([constant](const Tensor&) { return constant; });
  for (int pass = 0; pass < 3; ++pass) (x * 2.0).sum().backward();
  CHECK(x.grad().to_vector<float>() == std::vector<float>{21, 21});
  CHECK(constant.to_vector<float>() == std::vector<float>{7, 7});

  const Tensor y = ones({2}).requires_grad_();
  std::vector<Tensor> log;
  y.register_hook([&log](const Tensor& grad) {
    log.push_back(grad * 10.0);
    return log.back();
  });
  for (int pass = 0; pass < 2; ++pass) (y * 2.0).sum().backward();
  CHECK(log[0].to_vector<float>() == std::vector<float>{20, 20});

  const Tensor z = ones({2, 2}).requires_grad_();
  z.register_hook([](const Tensor& grad) { return grad.sum({0}); });
  CHECK_THROWS_WITH_AS(
      (z * 2.0).sum().backward(),
      "register_hook: the hook gave a gradient of shape (2) and dtype float32 for one of shape "
      "(2, 2) and dtype float32; both must stay",
      AutogradError);
}

TEST_CASE("a leaf's hook runs once, when its gradient is final") {
  const Tensor x = leaf({2});
  int calls = 0;
  double last = 0;
  x.register_hook([&](const Tensor& grad) {
    ++calls;
    last = grad.item<double>();
    return Tensor();
  });
  Tensor y = x * x;
  y = y * x + x;
  y.backward();
  CHECK(calls == 1);
  CHECK(last == doctest::Approx(13));  // 3x^2 + 1
}

TEST_CASE("create_graph gives derivatives of any order") {
  const Tensor x = leaf({2});
  Tensor y = x * x * x * x;
  for (const double expected : {32.0, 48.0, 48.0, 24.0}) {  // 4x^3, 12x^2, 24x, 24
    y = autograd::grad({y}, {x}, {}, {.create_graph = true})[0];
    CHECK(y.item<double>() == doctest::Approx(expected));
  }
}

TEST_CASE("grad() returns gradients of inputs alone and leaves grad() as it was") {
  const Tensor a = leaf({2}), b = leaf({5});
  const Tensor middle = a * b;
  const Tensor y = middle * middle;
  const Tensors grads = autograd::grad({y}, {middle, a}, {}, {.retain_graph = true});
  CHECK(grads[0].item<double>() == 20);
  CHECK(grads[1].item<double>() == 100);
  CHECK_FALSE(a.grad().defined());
  CHECK_FALSE(b.grad().defined());
  const Tensor other = leaf({1});
  CHECK(message_of([&] { autograd::grad({y}, {other}, {}, {.retain_graph = true}); }).find("do not depend") !=
        std::string::npos);
  CHECK_FALSE(autograd::grad({y}, {other}, {}, {.allow_unused = true})[0].defined());
}

TEST_CASE("what cannot be walked is refused with a reason") {
  CHECK(message_of([] { ones({2}).sum().backward(); }).find("requires_grad_()") != std::string::npos);
  const Tensor x = leaf({1, 2});
  CHECK(message_of([&] { (x * x).backward(); }).find("shape (2)") != std::string::npos);
  CHECK(message_of([&] { (x * x).backward(ones({3}, f64)); }).find("(3)") != std::string::npos);
  CHECK(message_of([] { ones({2}, i64).requires_grad_(); }).find("int64") != std::string::npos);
}

TEST_CASE("gradcheck notices a wrong derivative") {
  const Tensor x = leaf({0.5, -1.5});
  CHECK(autograd::gradcheck([](const Tensors& in) { return Tensors{in[0] * in[0]}; }, {x}).ok);
  CHECK(autograd::gradgradcheck([](const Tensors& in) { return Tensors{in[0] * in[0] * in[0]}; }, {x}).ok);
  // detach() hides one factor's share from the graph
  const auto wrong =
      autograd::gradcheck([](const Tensors& in) { return Tensors{in[0] * in[0].detach()}; }, {x});
  CHECK_FALSE(wrong.ok);
  CHECK(wrong.message.find("element 0") != std::string::npos);
}
