// What the walk and the nodes keep, and walks within walks.

#include <doctest/doctest.h>

#include <cmath>
#include <memory>
#include <thread>

#include "autograd/backward.hpp"
#include "autograd/grad_mode.hpp"
#include "autograd/node.hpp"
#include "autograd/record.hpp"
#include "ops/arithmetic.hpp"
#include "ops/join.hpp"
#include "ops/unary.hpp"

using namespace lucid;

namespace {

Tensor leaf(std::initializer_list<double> values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}, f64).requires_grad_();
}

}  // namespace

TEST_CASE("a product keeps no operand whose partner wants no gradient") {
  const Tensor x = leaf({2, 3}), w = Tensor::from({5, 7}, {2}, f64);
  Tensor middle = x + 1.0;
  const std::weak_ptr<TensorImpl> kept = middle.handle();
  const Tensor by_number = middle * 2.0, by_constant = middle * w;
  middle = Tensor();
  CHECK(kept.expired());
  (by_number + by_constant).sum().backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>{7, 9});

  middle = x + 1.0;
  const std::weak_ptr<TensorImpl> needed = middle.handle();
  const Tensor both = middle * x;
  middle = Tensor();
  CHECK_FALSE(needed.expired());
  x.set_grad({});
  both.sum().backward();
  CHECK(needed.expired());  // the walk freed it
  CHECK(x.grad().to_vector<double>() == std::vector<double>{5, 7});
}

TEST_CASE("a freed product is refused though one of its operands was not kept") {
  const Tensor x = leaf({2});
  const Tensor y = x * 2.0;
  y.backward();
  CHECK_THROWS_WITH_AS(y.backward(), doctest::Contains("retain_graph"), AutogradError);
}

TEST_CASE("a hook may walk another graph, and the same one again") {
  const Tensor x = leaf({3}), other = leaf({5});
  const Tensor y = x * x, z = y * y;
  int calls = 0;
  y.register_hook([&](const Tensor&) {
    if (++calls > 1) return Tensor();
    const enable_grad guard;
    (other * other * other).backward();
    y.backward({}, {.retain_graph = true});  // adds 2x
    return Tensor();
  });
  z.backward();
  CHECK(calls == 2);
  CHECK(other.grad().item<double>() == 75);
  CHECK(x.grad().item<double>() == 108 + 6);  // 4x^3
}

TEST_CASE("many nodes wait for gradients at once") {
  Tensors leaves, rows;
  for (int i = 0; i < 500; ++i) leaves.push_back(leaf({1.0 * i, -1.0 * i}));
  for (int i = 0; i < 500; ++i) rows.push_back(leaves[static_cast<std::size_t>(i * 7 % 500)] * 3.0);
  const Tensor joined = stack(rows, 0);
  (joined * joined).sum().backward();
  bool same = true;
  for (int i = 0; i < 500; ++i)
    same = same && leaves[static_cast<std::size_t>(i)].grad().to_vector<double>() ==
                       std::vector<double>{18.0 * i, -18.0 * i};
  CHECK(same);
}

TEST_CASE("a saved result is connected to its node while the walk is recorded, and only then") {
  using Saved = autograd::Backward<autograd::NoOptions>;
  static bool connected = false;
  const autograd::Rule<autograd::NoOptions> rule = +[](const Saved& b) -> Tensors {
    connected = b.saved[0].requires_grad();
    return {b.grad() * b.saved[0]};
  };
  const Tensor x = leaf({0.5});
  Tensor result;
  {
    const no_grad guard;
    result = x.exp();
  }
  const Tensor y = autograd::record("exp", result, {x}, {result}, autograd::NoOptions{}, rule);
  result = Tensor();
  autograd::grad({y}, {x}, {}, {.retain_graph = true});
  CHECK_FALSE(connected);
  const Tensor first = autograd::grad({y}, {x}, {}, {.create_graph = true})[0];
  CHECK(connected);
  CHECK(autograd::grad({first}, {x})[0].item<double>() == doctest::Approx(std::exp(0.5)));
}

TEST_CASE("a graph may be walked and freed in another thread than the one that recorded it") {
  const Tensor x = leaf({2, 3});
  Tensor y = x;
  for (int i = 0; i < 1000; ++i) y = y * x.exp() * 0.01;
  y.sum().backward();
  const std::vector<double> expected = x.grad().to_vector<double>();
  x.set_grad({});
  Tensor again = x;
  std::thread([&] {
    for (int i = 0; i < 1000; ++i) again = again * x.exp() * 0.01;
  }).join();
  std::thread([&] {
    again.sum().backward();
    again = Tensor();
  }).join();
  CHECK(x.grad().to_vector<double>() == expected);
}
