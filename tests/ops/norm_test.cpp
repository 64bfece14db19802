#include "ops/norm.hpp"
#include "ops/activation.hpp"
#include "tests/threads.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "autograd/backward.hpp"
#include "autograd/gradcheck.hpp"
#include "lucid/random.hpp"

using namespace lucid;

namespace {

double worst(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  double most = 0;
  for (std::size_t i = 0; i < x.size(); ++i) most = std::max(most, std::abs(x[i] - y[i]));
  return most;
}

Tensor random(const Shape& shape, DType dtype = f64, std::uint64_t seed = 1) {
  Generator generator(seed);
  return randn(shape, dtype, &generator);
}

}  // namespace

TEST_CASE("batch_norm in training normalises by the biased variance and keeps the unbiased one") {
  const Tensor x = Tensor::from({1, 2, 3, 4}, {2, 1, 2}, f64);
  const Tensor mean = zeros({1}, f64), var = ones({1}, f64);
  const Tensor y = batch_norm(x, mean, var, {}, {}, {.training = true, .momentum = 0.5, .eps = 0});
  // mean 2.5, biased variance 1.25, unbiased 5/3
  const double step = 1 / std::sqrt(1.25);
  CHECK(worst(y, Tensor::from({-1.5 * step, -0.5 * step, 0.5 * step, 1.5 * step}, {2, 1, 2}, f64)) < 1e-15);
  CHECK(mean.item<double>() == doctest::Approx(1.25));
  CHECK(var.item<double>() == doctest::Approx(0.5 + 0.5 * 5.0 / 3.0));
}

TEST_CASE("batch_norm in evaluation uses the running statistics and leaves them alone") {
  const Tensor x = Tensor::from({1, 2, 3, 4}, {1, 2, 2}, f64);
  const Tensor mean = Tensor::from({1, 3}, {2}, f64), var = Tensor::from({4, 0.25}, {2}, f64);
  const Tensor weight = Tensor::from({2, 1}, {2}, f64), bias = Tensor::from({10, 20}, {2}, f64);
  const Tensor y = batch_norm(x, mean, var, weight, bias, {.eps = 0});
  CHECK(worst(y, Tensor::from({10, 11, 20, 22}, {1, 2, 2}, f64)) < 1e-14);
  CHECK(mean.to_vector<double>() == std::vector<double>{1, 3});
  CHECK(var.version() == 1);
}

TEST_CASE("instance_norm averages the running statistics over the samples") {
  const Tensor x = Tensor::from({0, 2, 10, 14}, {2, 1, 2}, f64);
  const Tensor mean = zeros({1}, f64), var = zeros({1}, f64);
  instance_norm(x, mean, var, {}, {}, {.momentum = 1.0});
  CHECK(mean.item<double>() == doctest::Approx((1.0 + 12.0) / 2));
  CHECK(var.item<double>() == doctest::Approx((2.0 + 8.0) / 2));
}

TEST_CASE("running statistics of another dtype than the input's are updated in their own") {
  const Tensor mean = zeros({3}), var = ones({3});
  batch_norm(random({2, 3, 4}), mean, var, {}, {}, {.training = true});
  CHECK(mean.dtype() == f32);
  CHECK(mean.to_vector<float>()[0] != 0);
}

TEST_CASE("an empty batch leaves the running statistics alone") {
  const Tensor mean = ones({3}, f64), var = ones({3}, f64);
  const Tensor y = batch_norm(zeros({0, 3, 2, 2, 2}, f64), mean, var, {}, {}, {.training = true});
  CHECK(y.shape() == Shape{0, 3, 2, 2, 2});
  CHECK(mean.to_vector<double>() == std::vector<double>{1, 1, 1});
}

TEST_CASE("the group decides: one group a channel, one group for all") {
  const Tensor x = random({2, 6, 3, 2, 5});
  CHECK(worst(group_norm(x, 6), instance_norm(x)) < 1e-13);
  CHECK(worst(group_norm(x, 1), layer_norm(x, {6, 3, 2, 5})) < 1e-13);
}

TEST_CASE("normalisation keeps the layout and its values do not depend on it") {
  for (const std::int64_t channels : {1, 2, 3, 16, 17, 40}) {
    const Tensor x = random({2, channels, 5, 7, 9}, f32).requires_grad_();
    const Tensor last = x.detach().channels_last().requires_grad_();
    const Tensor weight = random({channels}, f32, 2), bias = random({channels}, f32, 3);
    const Tensor plain = instance_norm(x, {}, {}, weight, bias),
                 other = instance_norm(last, {}, {}, weight, bias);
    CHECK(plain.is_contiguous());
    CHECK(other.is_channels_last());
    CHECK(worst(plain, other) < 2e-6);
    const Tensor grad = random(x.shape(), f32, 4);
    const Tensor a = autograd::grad({plain}, {x}, {grad})[0];
    const Tensor b = autograd::grad({other}, {last}, {grad.channels_last()})[0];
    CHECK(b.is_channels_last());
    CHECK(worst(a, b) < 4e-6);
  }
}

TEST_CASE("float32 statistics survive a mean far from zero") {
  const Tensor noise = random({1, 16, 12, 12, 12}, f32);
  Tensor x = empty_like(noise);
  const float* from = noise.data<float>();
  float* to = x.mutable_data<float>();
  for (std::int64_t i = 0; i < x.numel(); ++i) to[i] = 30000.0f + from[i];
  for (const Tensor& input : {x, x.channels_last()}) {
    const Tensor narrow = instance_norm(input), wide = instance_norm(input.to(f64));
    CHECK(worst(narrow, wide) < 4e-6 * 4);
    const Tensor rows = layer_norm(input.reshape({16, 12 * 12 * 12}), {12 * 12 * 12});
    CHECK(worst(rows.reshape(x.shape()), wide) < 4e-6 * 4);
    // The mean of gradients is far from 0 too: what rounding takes from the mean counts.
    const auto slope_of = [&](DType dtype) {
      const Tensor weight = ones({16}, dtype).requires_grad_();
      instance_norm(input.to(dtype), {}, {}, weight).backward((noise * noise).to(dtype));
      return weight.grad() * (1.0 / (12 * 12 * 12));
    };
    CHECK(worst(slope_of(f32), slope_of(f64)) < 2e-6);
  }
}

TEST_CASE("float32 statistics survive a first voxel far from the rest, and squares beyond float32") {
  Tensor volume = random({1, 16, 32, 32, 32}, f32);
  float* to = volume.mutable_data<float>();
  for (std::int64_t i = 0; i < volume.numel(); ++i) to[i] = i % (32 * 32 * 32) == 0 ? 0.0f : to[i] + 100.0f;
  for (const Tensor& input : {volume, volume.channels_last()})
    CHECK(worst(instance_norm(input), instance_norm(input.to(f64))) < 2e-5);

  for (const DType dtype : {f32, bf16}) {
    const Tensor signs = full({1024, 1}, 1e19, dtype);
    for (std::int64_t i = 0; i < 1024; i += 2) signs.narrow(0, i, 1).fill_(-1e19);
    const Tensor y = instance_norm(signs.reshape({1, 1, 1024}));
    CHECK(worst(y * y, ones(y.shape())) < 1e-2);
    const Tensor weight = ones({1}).requires_grad_(), grad = full({1, 1, 1024}, 1e30, dtype);
    instance_norm(signs.reshape({1, 1, 1024}) * 1e-5, {}, {}, weight).backward(grad * y);
    CHECK(weight.grad().item<double>() == doctest::Approx(1024e30).epsilon(1e-2));
  }
}

TEST_CASE("an infinite gradient makes an infinite factor's gradient, no NaN") {
  for (const DType dtype : {f32, f64}) {
    const Tensor x = random({1, 1, 16}).to(dtype), weight = ones({1}, dtype).requires_grad_();
    Tensor grad = ones({1, 1, 16}, dtype);
    grad.narrow(2, 3, 1).fill_(INFINITY);
    instance_norm(x, {}, {}, weight).backward(grad);
    CHECK(std::isinf(weight.grad().item<double>()));
  }
}

TEST_CASE("one NaN spoils its own group only") {
  Tensor x = random({2, 3, 4});
  x.mutable_data<double>()[0] = NAN;
  const auto y = instance_norm(x).to_vector<double>();
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i < 4));
}

TEST_CASE("normalisation gives the same bits on every run and any number of threads") {
  const Tensor x = random({2, 24, 20, 20, 20}, f32).channels_last().requires_grad_();
  const Tensor weight = ones({24}).requires_grad_(), grad = random(x.shape(), f32, 5);
  const auto once = [&] {
    const Tensor y = group_norm(x, 4, weight);
    const Tensors grads = autograd::grad({y}, {x, weight}, {grad});
    return std::tuple(y.to_vector<float>(), grads[0].to_vector<float>(), grads[1].to_vector<float>());
  };
  const auto with = [&](int count) {
    const Threads threads(count);
    return once();
  };
  const auto expected = with(1);
  for (const int count : {2, 3}) CHECK(with(count) == expected);
}

TEST_CASE("layer_norm of bfloat16 is computed in float") {
  const Tensor x = random({4, 33}).to(bf16);
  CHECK(worst(layer_norm(x, {33}), layer_norm(x.to(f64), {33})) < 0.01);
  CHECK(layer_norm(x, {33}).dtype() == bf16);
  CHECK(worst(instance_norm(x.reshape({1, 4, 33})), layer_norm(x.to(f64), {33}).reshape({1, 4, 33})) < 0.01);
}

TEST_CASE("rms_norm divides by the root mean square") {
  const Tensor x = Tensor::from({3, 4, 0, 0}, {1, 4}, f64);
  const Tensor y = rms_norm(x, {4}, Tensor::from({1, 2, 1, 1}, {4}, f64), 0.0);
  CHECK(worst(y, Tensor::from({1.2, 3.2, 0, 0}, {1, 4}, f64)) < 1e-15);
}

TEST_CASE("evaluation's gradients reach the running statistics when they are asked for") {
  const Tensor x = random({2, 3, 4}).requires_grad_(), mean = random({3}, f64, 2).requires_grad_();
  const Tensor var = random({3}, f64, 3).square() + 0.5;
  const Tensor leaf = var.detach().requires_grad_(), weight = random({3}, f64, 4).requires_grad_();
  const autograd::Function f = [](const Tensors& in) -> Tensors {
    return {batch_norm(in[0], in[1], in[2], in[3])};
  };
  CHECK(autograd::gradcheck(f, {x, mean, leaf, weight}).message == "");
  CHECK(autograd::gradgradcheck(f, {x, mean, leaf, weight}).message == "");
}

TEST_CASE("a change to running statistics after evaluation does not break its backward pass") {
  const Tensor x = random({2, 3, 4}).requires_grad_(), mean = zeros({3}, f64), var = ones({3}, f64);
  const Tensor y = batch_norm(x, mean, var);
  batch_norm(x, mean, var, {}, {}, {.training = true});
  const Tensor grad = autograd::grad({y}, {x}, {ones(x.shape(), f64)})[0];
  CHECK(grad.to_vector<double>()[0] == doctest::Approx(1 / std::sqrt(1 + 1e-5)));
}

TEST_CASE("normalisations refuse what they cannot do, with the value in the message") {
  const auto message = [](auto&& call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  const Tensor x = ones({2, 4, 3});
  CHECK(message([&] { batch_norm(x, zeros({4}), {}); }) ==
        "batch_norm: running_var is missing beside running_mean");
  CHECK(message([&] { batch_norm(x.to(i64), {}, {}, {}, {}, {.training = true}); }).find("int64") !=
        std::string::npos);
  CHECK(message([&] { group_norm(x, -2); }).find("num_groups is -2") != std::string::npos);
  CHECK(message([&] { layer_norm(x, {}); }).find("normalized_shape is ()") != std::string::npos);
  CHECK(message([&] { layer_norm(x, {3}, ones({4})); }).find("weight has shape (4)") != std::string::npos);
  CHECK(message([&] { instance_norm(Tensor()); }) == "instance_norm: the input is undefined");
  CHECK(message([&] { group_norm(ones({3}), 1); }).find("(3)") != std::string::npos);
}

TEST_CASE("a norm with a leaky_relu is the two after each other, its gradients to rounding") {
  for (const DType dtype : {f32, f64, bf16})
    for (const std::int64_t channels : {3, 16, 40})
      for (const bool last : {false, true})
        for (const double slope : {0.0, 0.01, -0.5}) {
          const double rounding = dtype == f64 ? 1e-13 : dtype == f32 ? 1e-5 : 0.02;
          CAPTURE(str(dtype, ", ", channels, " channels, slope ", slope));
          Tensor x = random({2, channels, 5, 6, 7}).to(dtype);
          if (last) x = x.channels_last();
          const Tensor weight = random({channels}), bias = random({channels});
          const Tensor grad = random(x.shape()).to(dtype);
          const auto gradients = [&](const auto& call) {
            Tensors in{x.detach(), weight.detach(), bias.detach()};
            for (const Tensor& leaf : in) leaf.requires_grad_();
            const Tensor y = call(in);
            y.backward(grad);
            return Tensors{y.detach(), in[0].grad(), in[1].grad(), in[2].grad()};
          };
          const auto compare = [&](const Tensors& fused, const Tensors& apart) {
            CHECK(worst(fused[0], apart[0]) <=
                  (dtype == bf16 ? 0.01 : 0));  // bfloat16 rounds once, not twice
            for (std::size_t i = 1; i < 4; ++i)
              CHECK(worst(fused[i], apart[i]) <= rounding * worst(apart[i], zeros(apart[i].shape(), f64)));
          };
          compare(gradients([&](const Tensors& in) {
                    return instance_norm(in[0], {}, {}, in[1], in[2], {.negative_slope = slope});
                  }),
                  gradients([&](const Tensors& in) {
                    return leaky_relu(instance_norm(in[0], {}, {}, in[1], in[2]), slope);
                  }));
          compare(gradients([&](const Tensors& in) {
                    return batch_norm(in[0], zeros({channels}), ones({channels}), in[1], in[2],
                                      {.negative_slope = slope});
                  }),
                  gradients([&](const Tensors& in) {
                    return leaky_relu(batch_norm(in[0], zeros({channels}), ones({channels}), in[1], in[2]),
                                      slope);
                  }));
        }
  CHECK_THROWS_WITH(group_norm(ones({1, 2, 3}), 1, {}, {}, 1e-5, std::nan("")),
                    "group_norm: negative_slope is nan; a finite number is required");
}

TEST_CASE("a norm's leaky_relu: a recorded backward pass sees the same signs, far from 0 too") {
  for (const DType dtype : {f32, bf16}) {
    const Tensor x = (random({2, 4, 6, 6, 6}) + (dtype == f32 ? 1e5 : 10)).to(dtype),
                 grad = random(x.shape(), f64, 2).to(dtype);
    const auto recorded = [&](const auto& call) {
      const Tensor input = x.detach();
      input.requires_grad_();
      return autograd::grad({call(input)}, {input}, {grad}, {.create_graph = true})[0].detach();
    };
    // Both compute the norm's part with a mean rounded to the type; one wrong sign would be as large as a
    // gradient.
    const auto compare = [&](const auto& fused, const auto& apart) {
      const Tensor expected = recorded(apart);
      CHECK(worst(recorded(fused), expected) <=
            (dtype == f32 ? 1e-5 : 0.02) * worst(expected, zeros(expected.shape(), f64)));
    };
    compare([](const Tensor& t) { return instance_norm(t, {}, {}, {}, {}, {.negative_slope = 0.01}); },
            [](const Tensor& t) { return leaky_relu(instance_norm(t), 0.01); });
    compare(
        [](const Tensor& t) {
          return batch_norm(t, {}, {}, {}, {}, {.training = true, .negative_slope = -0.5});
        },
        [](const Tensor& t) { return leaky_relu(batch_norm(t, {}, {}, {}, {}, {.training = true}), -0.5); });
    compare([](const Tensor& t) { return group_norm(t, 2, {}, {}, 1e-5, 0.2); },
            [](const Tensor& t) { return leaky_relu(group_norm(t, 2), 0.2); });
  }
}

TEST_CASE("a norm's leaky_relu by constant statistics passes what is infinite, forward and backward") {
  constexpr float inf = std::numeric_limits<float>::infinity();
  const Tensor x = Tensor::from(std::vector<float>{-inf, inf, -2, 3}, {4, 1});
  x.requires_grad_();
  const auto values = [&](double slope) {
    x.set_grad({});
    const Tensor y = batch_norm(x, zeros({1}), ones({1}), {}, {}, {.eps = 0, .negative_slope = slope});
    y.backward(ones({4, 1}));
    return std::pair(y.to_vector<float>(), x.grad().to_vector<float>());
  };
  CHECK(values(0.0) == std::pair(std::vector<float>{0, inf, 0, 3}, std::vector<float>{0, 1, 0, 1}));
  CHECK(values(0.5) == std::pair(std::vector<float>{-inf, inf, -1, 3}, std::vector<float>{0.5, 1, 0.5, 1}));
}
