// Mixed precision: what an autocast converts, and bfloat16 convolutions to the last bit.

#include <doctest/doctest.h>

#include <thread>

#include "autograd/backward.hpp"
#include "autograd/checkpoint.hpp"
#include "lucid/random.hpp"
#include "ops/activation.hpp"
#include "ops/autocast.hpp"
#include "ops/cast.hpp"
#include "ops/conv.hpp"
#include "ops/conv_joined.hpp"
#include "ops/loss.hpp"
#include "ops/norm.hpp"
#include "ops/reduce.hpp"

using namespace lucid;

namespace {

constexpr AutocastOptions kAnywhere{.even_if_slower = true};

Tensor integers(const Shape& shape, Generator& generator) { return randint(-3, 4, shape, f32, &generator); }

// Both as they are, and the first rounded to bfloat16, are the same numbers.
void check_rounded(const Tensor& exact, const Tensor& found) {
  REQUIRE(exact.shape() == found.shape());
  CHECK(exact.to(bf16).to_vector<float>() == found.to_vector<float>());
}

Tensor leaf(const Tensor& values, DType dtype) {
  const Tensor out = values.to(dtype).clone();
  out.requires_grad_();
  return out;
}

// What `call` gives for `exact` (float64) and for `found` (bfloat16), leaves of the same small integers, and
// its gradients. Such integers are exact in bfloat16 and so are their sums in float32: only results are
// rounded.
template <class Call>
void check_rounds_once(const Tensors& exact, const Tensors& found, Generator& generator, Call&& call) {
  const Tensor y = call(exact), narrow = call(found);
  CHECK(narrow.dtype() == bf16);
  check_rounded(y, narrow);
  const Tensor cotangent = integers(y.shape(), generator);
  y.backward(cotangent.to(f64));
  narrow.backward(cotangent.to(bf16));
  for (std::size_t i = 0; i < exact.size(); ++i) check_rounded(exact[i].grad(), found[i].grad());
}

}  // namespace

TEST_CASE("convolutions of bfloat16 and their gradients round once, whatever kernel serves") {
  Generator generator(4);
  struct Case {
    Shape input, weight, bias;
    bool transposed;
    Dims3 stride, padding;
    std::int64_t groups;
  };
  for (const Case& c : {Case{{2, 16, 5, 6, 6}, {32, 16, 3, 3, 3}, {32}, false, 1, 1, 1},
                        Case{{1, 3, 9, 8, 7}, {5, 3, 3, 3, 3}, {5}, false, 2, 1, 1},
                        Case{{1, 16, 6, 5, 7}, {16, 1, 3, 3, 3}, {16}, false, 1, 1, 16},
                        Case{{1, 32, 4, 6, 5}, {4, 32, 1, 1, 1}, {4}, false, 1, 0, 1},
                        Case{{1, 32, 4, 3, 5}, {32, 16, 2, 2, 2}, {16}, true, 2, 0, 1},
                        Case{{2, 8, 4, 3, 5}, {8, 3, 4, 4, 4}, {6}, true, 2, 1, 2}}) {
    const Tensor x = integers(c.input, generator), w = integers(c.weight, generator),
                 b = integers(c.bias, generator);
    CAPTURE(str(c.input, " ", c.weight));
    check_rounds_once({leaf(x, f64), leaf(w, f64), leaf(b, f64)},
                      {leaf(x, bf16), leaf(w, bf16), leaf(b, bf16)}, generator, [&](const Tensors& in) {
                        return c.transposed
                                   ? conv_transpose3d(
                                         in[0], in[1], in[2],
                                         {.stride = c.stride, .padding = c.padding, .groups = c.groups})
                                   : conv3d(in[0], in[1], in[2],
                                            {.stride = c.stride, .padding = c.padding, .groups = c.groups});
                      });
  }
}

TEST_CASE("a convolution of bfloat16 takes a slice of channels, to the last bit") {
  Generator generator(14);
  struct Case {
    Shape weight;
    Dims3 stride;
  };
  for (const Case& c : {Case{{16, 16, 2, 2, 2}, 2}, Case{{2, 16, 1, 1, 1}, 1}, Case{{8, 16, 3, 3, 3}, 1}}) {
    const Tensor whole = integers({1, 32, 6, 6, 6}, generator).channels_last(),
                 w = integers(c.weight, generator);
    const auto slice = [&](DType dtype) {
      const Tensor out = whole.to(dtype).narrow(1, 0, 16).detach();
      out.requires_grad_();
      return out;
    };
    check_rounds_once({slice(f64), leaf(w, f64)}, {slice(bf16), leaf(w, bf16)}, generator,
                      [&](const Tensors& in) { return conv3d(in[0], in[1], {}, {.stride = c.stride}); });
  }
}

TEST_CASE("autocast: convolutions convert float32, what follows keeps the type, losses return float32") {
  Generator generator(5);
  const Tensor x = randn({1, 4, 4, 4, 4}, f32, &generator), w = leaf(randn({6, 4, 3, 3, 3}), f32);
  const Tensor target = randint(0, 6, {1, 4, 4, 4});
  Tensor y, loss;
  {
    const autocast guard(bf16, kAnywhere);
    y = conv3d(x, w, {}, {.padding = 1});
    CHECK(y.dtype() == bf16);
    CHECK(conv3d_joined({x, y.narrow(1, 0, 2)}, randn({3, 6, 1, 1, 1})).dtype() == bf16);
    CHECK(conv_transpose3d(y, randn({6, 2, 2, 2, 2}), zeros({2}), {.stride = 2}).dtype() == bf16);
    CHECK(instance_norm(y, {}, {}, ones({6}), zeros({6})).dtype() == bf16);
    CHECK(conv3d(x.to(f64), w.detach().to(f64)).dtype() == f64);
    loss = cross_entropy(y, target);
    CHECK(loss.dtype() == f32);
    CHECK(dice_ce_loss(y, target).dtype() == f32);
    CHECK(mse_loss(y, zeros(y.shape())).dtype() == f32);
    CHECK(focal_loss(y, target).dtype() == f32);
    CHECK(binary_cross_entropy_with_logits(y, zeros(y.shape())).dtype() == f32);
    {
      const autocast off(bf16, {.enabled = false});
      CHECK(conv3d(x, w).dtype() == f32);
      CHECK(cross_entropy(y, target).dtype() == bf16);
    }
    CHECK(conv3d(x, w).dtype() == bf16);
    DType elsewhere = bf16;
    std::thread([&] { elsewhere = conv3d(x, w).dtype(); }).join();
    CHECK(elsewhere == f32);
  }
  CHECK(conv3d(x, w).dtype() == f32);
  check_rounded(y.detach(), conv3d(x.to(bf16), w.to(bf16), {}, {.padding = 1}));
  loss.backward();
  CHECK(w.grad().dtype() == f32);
  CHECK(w.grad().abs().sum().item<float>() > 0);
}

TEST_CASE("autocast converts only where the processor computes faster so, unless told otherwise") {
  const autocast guard(bf16);
  CHECK(conv3d(ones({1, 1, 2, 2, 2}), ones({1, 1, 1, 1, 1})).dtype() == (has_fast_bf16() ? bf16 : f32));
  std::string message;
  try {
    const autocast wrong(f64);
  } catch (const Error& error) {
    message = error.what();
  }
  CHECK(message == "autocast: dtype is float64; bfloat16 is required");
}

TEST_CASE("a checkpoint is computed again as it was, though the autocast has ended") {
  Generator generator(6);
  const Tensor x = leaf(randn({1, 2, 5, 5, 5}, f32, &generator), f32), w = leaf(randn({2, 2, 3, 3, 3}), f32);
  const auto block = [&](const Tensor& input) {
    return relu(conv3d(relu(conv3d(input, w, {}, {.padding = 1})), w, {}, {.padding = 1}));
  };
  const auto gradients = [&](bool checkpointed) {
    x.set_grad({});
    w.set_grad({});
    Tensor y;
    {
      const autocast guard(bf16, kAnywhere);
      y = checkpointed ? autograd::checkpoint(block, x) : block(x);
    }
    y.sum().backward();
    return std::pair(x.grad().to_vector<float>(), w.grad().to_vector<float>());
  };
  CHECK(gradients(false) == gradients(true));
}
