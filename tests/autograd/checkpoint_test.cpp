#include <doctest/doctest.h>

#include <functional>
#include <optional>

#include "autograd/backward.hpp"
#include "autograd/checkpoint.hpp"
#include "autograd/grad_mode.hpp"
#include "autograd/gradcheck.hpp"
#include "autograd/node.hpp"
#include "lucid/allocator.hpp"
#include "lucid/random.hpp"
#include "ops/arithmetic.hpp"
#include "ops/dropout.hpp"
#include "ops/unary.hpp"

using namespace lucid;
using autograd::checkpoint;

namespace {

Tensor leaf(std::initializer_list<double> values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}, f64).requires_grad_();
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const AutogradError& error) {
    return error.what();
  } catch (const Error& error) {
    return std::string("not an AutogradError: ") + error.what();
  }
  return "nothing thrown";
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

using Values = std::vector<double>;

// Nonlinear throughout: every op saves something.
struct Block {
  Tensor weight;
  int* calls;
  Tensor operator()(const Tensor& x) const {
    ++*calls;
    return ((x * weight).tanh() * x).exp();
  }
};

std::int64_t kept_bytes(const std::function<Tensor()>& forward) {
  const std::int64_t before = memory_stats().current_bytes;
  const Tensor y = forward();
  return memory_stats().current_bytes - before;
}

}  // namespace

TEST_CASE("checkpoint gives the gradients of inputs and of captured parameters, and calls again once") {
  int calls = 0;
  const Tensor x = leaf({0.5, -1, 2}), w = leaf({1, 0.25, -0.5});
  const Block block{w, &calls};
  const Tensor expected = block(x);
  expected.sum().backward();
  const Values of_x = x.grad().to_vector<double>(), of_w = w.grad().to_vector<double>();
  x.set_grad({}), w.set_grad({});
  calls = 0;

  const Tensor y = checkpoint(block, x);
  CHECK(y.to_vector<double>() == expected.to_vector<double>());
  CHECK(calls == 1);
  y.sum().backward();
  CHECK(calls == 2);
  CHECK(x.grad().to_vector<double>() == of_x);
  CHECK(w.grad().to_vector<double>() == of_w);
  CHECK(has(message_of([&] { y.sum().backward(); }), "the graph was freed"));
}

TEST_CASE("a parameter gets its gradient where no input needs one") {
  int calls = 0;
  const Tensor x = ones({2}, f64), w = leaf({1, 2});
  checkpoint(Block{w, &calls}, x).sum().backward();
  const Values checkpointed = w.grad().to_vector<double>();
  w.set_grad({});
  Block{w, &calls}(x).sum().backward();
  CHECK(checkpointed == w.grad().to_vector<double>());
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("checkpoint keeps the inputs and the result, and nothing in between") {
  const Tensor x = ones({1000}, f64).requires_grad_();
  const auto chain = [](const Tensor& in) {
    Tensor y = in;
    for (int i = 0; i < 10; ++i) y = y.tanh();
    return y;
  };
  CHECK(kept_bytes([&] { return chain(x); }) >= 80000);
  CHECK(kept_bytes([&] { return checkpoint(chain, x); }) < 16000);
  const std::int64_t before = memory_stats().current_bytes;
  {
    const Tensor y = checkpoint(chain, x);
    y.sum().backward();
    CHECK(memory_stats().current_bytes - before < 24000);  // y, and x's gradient
  }
  x.set_grad({});
  CHECK(memory_stats().current_bytes == before);
}

TEST_CASE("several inputs, outputs and undefined inputs pass; tensors may be passed as a list") {
  const Tensor a = leaf({1, 2}), b = leaf({3, 4}), plain = Tensor::from({5, 6}, {2}, f64);
  const auto mix = [](const Tensor& p, const Tensor& q, const Tensor& r, const Tensor& none) {
    CHECK_FALSE(none.defined());
    const Tensor product = p * q;
    return Tensors{product * r, (product * product).exp() * 0.0 + p, q};
  };
  const auto run = [&](auto&& call) {
    a.set_grad({}), b.set_grad({});
    const Tensors out = call();
    CHECK(out.size() == 3);
    autograd::backward({out[0].sum(), out[1].sum(), out[2].sum()});
    Values all = a.grad().to_vector<double>();
    for (double v : b.grad().to_vector<double>()) all.push_back(v);
    return all;
  };
  const Values expected = run([&] { return mix(a, b, plain, Tensor()); });
  CHECK(run([&] { return checkpoint(mix, a, b, plain, Tensor()); }) == expected);
  CHECK(run([&] {
          return checkpoint([&](const Tensors& in) { return mix(in[0], in[1], in[2], in[3]); },
                            Tensors{a, b, plain, Tensor()});
        }) == expected);
}

TEST_CASE("grad() and retain_graph walk a checkpoint as any graph") {
  int calls = 0;
  const Tensor x = leaf({0.5, -1}), w = leaf({1, 2});
  const Block block{w, &calls};
  const Tensor plain = block(x), y = checkpoint(block, x);
  const Values expected = autograd::grad({plain.sum()}, {w})[0].to_vector<double>();
  calls = 0;
  for (int i = 0; i < 2; ++i) {
    const Tensors grads = autograd::grad({y.sum()}, {w}, {}, {.retain_graph = true});
    CHECK(grads[0].to_vector<double>() == expected);
    CHECK(calls == i + 1);  // nothing made again stays between walks
  }
  const std::int64_t before = memory_stats().current_bytes;
  autograd::grad({y.sum()}, {w}, {}, {.retain_graph = true});
  CHECK(memory_stats().current_bytes == before);
}

TEST_CASE("what a walk made again and did not use goes with the walk") {
  int calls = 0;
  const Tensor x = ones({1000}, f64).requires_grad_(), w = ones({1000}, f64).requires_grad_();
  const auto two = [&](const Tensor& v) {
    ++calls;
    return Tensors{v.exp(), w.tanh().exp().tanh()};
  };
  const Tensors y = checkpoint(two, x);
  const std::int64_t before = memory_stats().current_bytes;
  for (int i = 0; i < 2; ++i) {
    (void)autograd::grad({y[0].sum()}, {x}, {}, {.retain_graph = true});
    CHECK(memory_stats().current_bytes == before);
    CHECK(calls == 2 + i);
  }
}

TEST_CASE("derivatives of any order pass through a checkpoint") {
  const Tensor x = leaf({0.3, -0.7}), w = leaf({1.1, 0.4});
  const auto call = [](const Tensors& in) {
    const auto f = [w = in[1]](const Tensor& v) { return ((v * w).tanh() * v).exp(); };
    return Tensors{checkpoint([f](const Tensor& v) { return f(f(v)); }, in[0])};
  };
  const auto first = autograd::gradcheck(call, {x, w}), second = autograd::gradgradcheck(call, {x, w});
  CHECK_MESSAGE(first.ok, first.message);
  CHECK_MESSAGE(second.ok, second.message);
}

TEST_CASE("checkpoints nest") {
  int calls = 0;
  const Tensor x = leaf({0.5, -1}), w = leaf({0.5, 0.25});
  const Block block{w, &calls};
  const auto inner = [&](const Tensor& v) { return checkpoint(block, v.tanh()) * v; };
  const auto outer = [&](const Tensor& v) { return inner(inner(v).tanh()); };
  const auto plain = [&](const Tensor& v) {
    const auto one = [&](const Tensor& u) { return block(u.tanh()) * u; };
    return one(one(v).tanh());
  };
  const Tensors expected = autograd::grad({plain(x).sum()}, {x, w});
  const Tensors grads = autograd::grad({checkpoint(outer, x).sum()}, {x, w});
  for (std::size_t i = 0; i < 2; ++i) CHECK(grads[i].to_vector<double>() == expected[i].to_vector<double>());

  const auto twice = [&](const Tensors& in) {
    const Block same{in[1], &calls};
    return Tensors{checkpoint([same](const Tensor& v) { return checkpoint(same, v.tanh()) * v; }, in[0])};
  };
  CHECK(autograd::gradgradcheck(twice, {x, w}).ok);
}

TEST_CASE("an outer checkpoint does not keep the inputs of an inner one") {
  const Tensor x = ones({1000}, f64).requires_grad_();
  const auto inner = [](const Tensor& v) { return v.tanh().tanh(); };
  const auto outer = [&](const Tensor& v) {
    Tensor y = v;
    for (int i = 0; i < 10; ++i) y = checkpoint(inner, y.exp());
    return y;
  };
  CHECK(kept_bytes([&] { return checkpoint(outer, x); }) < 16000);
}

TEST_CASE("dropout draws the same mask in the second call, and the generator goes on as if there were none") {
  const Tensor x = ones({64}, f64).requires_grad_();
  const auto drop = [](const Tensor& v) { return dropout(v.exp(), 0.5); };
  manual_seed(3);
  const Tensor y = checkpoint(drop, x);
  const std::uint64_t after = default_generator().offset();
  (void)rand({8});
  const std::uint64_t later = default_generator().offset();
  y.sum().backward();
  CHECK(default_generator().offset() == later);
  CHECK(later > after);
  CHECK(x.grad().to_vector<double>() == y.to_vector<double>());  // exp is its own derivative
}

TEST_CASE("without preserve_rng_state the second call goes on with the generator") {
  const Tensor x = ones({64}, f64).requires_grad_();
  manual_seed(3);
  const auto drop = [](const Tensor& v) { return dropout(v.exp(), 0.5); };
  const Tensor y = checkpoint(autograd::CheckpointOptions{.preserve_rng_state = false}, drop, x);
  const std::uint64_t before = default_generator().offset();
  y.sum().backward();
  CHECK(default_generator().offset() > before);
  CHECK(x.grad().to_vector<double>() != y.to_vector<double>());
}

TEST_CASE("a second call that saves other tensors is refused") {
  const Tensor x = leaf({1, 2});
  int calls = 0;
  const auto shape = [&](const Tensor& v) { return (++calls == 1 ? v : v.reshape({2, 1})).exp().sum(); };
  std::string message = message_of([&] { checkpoint(shape, x).backward(); });
  CHECK(has(message, "shape (2, 1)"));
  CHECK(has(message, "(2)"));
  calls = 0;
  const auto fewer = [&](const Tensor& v) { return ++calls == 1 ? v.exp().tanh() : v.exp(); };
  CHECK(
      has(message_of([&] { checkpoint(fewer, x).sum().backward(); }), "saves 1 tensors, the first saved 2"));
  calls = 0;
  const auto more = [&](const Tensor& v) { return ++calls == 1 ? v.exp() : v.exp().tanh(); };
  CHECK(has(message_of([&] { checkpoint(more, x).sum().backward(); }), "more than the 1 tensors"));
  calls = 0;
  const auto other = [&](const Tensor& v) { return ++calls == 1 ? v.exp() : v.exp().reshape({2, 1}); };
  CHECK(has(message_of([&] { checkpoint(other, x).sum().backward(); }), "other shapes"));
}

TEST_CASE("what was changed in place between the calls is refused") {
  int calls = 0;
  const Tensor x = leaf({1, 2}), w = leaf({1, 2});
  const auto changed = [&](const Tensor& tensor) {
    const Tensor y = checkpoint(Block{w, &calls}, x);
    {
      const no_grad guard;
      tensor.add_(ones({2}, f64));
    }
    return message_of([&] { y.sum().backward(); });
  };
  CHECK(has(changed(w), "changed in place between its two calls"));
  CHECK(has(changed(x), "changed in place"));
}

TEST_CASE("a function that throws in its second call leaves graph, generator and recording as they were") {
  const Tensor x = leaf({1, 2});
  int calls = 0;
  const Tensor y = checkpoint(
      [&](const Tensor& v) {
        const Tensor e = v.exp();
        if (++calls == 2) raise("function", "not today");
        return e;
      },
      x);
  const Tensor loss = y.sum();
  const std::uint64_t drawn = default_generator().offset();
  const no_grad guard;
  CHECK_THROWS_WITH_AS(loss.backward({}, {.retain_graph = true}), "function: not today", Error);
  CHECK_FALSE(autograd::is_recording());
  CHECK(default_generator().offset() == drawn);
  loss.backward();  // the third call is as good as the first
  CHECK(x.grad().to_vector<double>() == y.to_vector<double>());
}

TEST_CASE("a function may not walk the graph that is being recorded") {
  const Tensor x = leaf({1, 2});
  const auto walks = [](const Tensor& v) {
    const Tensor e = v.exp();
    return autograd::grad({e.sum()}, {v}, {}, {.create_graph = true})[0];
  };
  CHECK(has(message_of([&] { checkpoint(walks, x); }), "can't walk the graph"));
}

TEST_CASE("checkpoint only calls the function while nothing is recorded") {
  int calls = 0;
  const Tensor x = leaf({1, 2});
  const no_grad guard;
  const Tensor y = checkpoint(Block{x, &calls}, x);
  CHECK_FALSE(y.requires_grad());
  CHECK_THROWS_AS(checkpoint(std::function<Tensors(const Tensors&)>(), Tensors{x}), Error);
}

TEST_CASE("a chain of many checkpoints is walked and freed without deep recursion") {
  Tensor x = leaf({1e-3});
  const Tensor start = x;
  for (int i = 0; i < 50000; ++i)
    x = checkpoint([](const Tensor& a, const Tensor& b) { return (b * (a * a)) * 0.0 + b * 1.0; }, x, x);
  {
    const Tensor unused = x;
    x = Tensor();
  }
  Tensor y = start;
  for (int i = 0; i < 2000; ++i) y = checkpoint([](const Tensor& a) { return a.tanh(); }, y);
  y.backward();
  CHECK(start.grad().item<double>() == doctest::Approx(1).epsilon(0.01));
}
