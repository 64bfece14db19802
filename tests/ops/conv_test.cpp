// Facts about convolutions: known values, shapes, layouts, refusals.

#include "ops/conv.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "autograd/backward.hpp"
#include "autograd/gradcheck.hpp"
#include "ops/arithmetic.hpp"
#include "ops/conv_form.hpp"
#include "ops/conv_shape.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

using namespace lucid;

namespace {

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("conv_transpose3d: the examples of its reference page") {
  const Tensor input = Tensor::from({1.0}, {1, 1, 1, 1, 1});
  const std::vector<double> values = {1.0, 0.5, 0.25, -0.25, 0.1, -0.1, 0.0, 0.2};
  const Tensor weight = Tensor::from(values, {1, 1, 2, 2, 2}).to(f32);
  const Tensor bias = Tensor::from({0.0}, {1});

  const Tensor basic = conv_transpose3d(input, weight, bias, {.stride = 1, .padding = 0});
  CHECK(basic.shape() == Shape{1, 1, 2, 2, 2});
  CHECK(basic.to_vector<float>() == weight.to_vector<float>());

  // The page prints (1, 1, 3, 3, 3), which its own formula contradicts: that size needs output_padding 1.
  CHECK(conv_transpose3d(input, weight, bias, {.stride = 2, .padding = 0}).shape() == Shape{1, 1, 2, 2, 2});
  const Tensor padded = conv_transpose3d(input, weight, bias, {.stride = 2, .output_padding = 1});
  CHECK(padded.shape() == Shape{1, 1, 3, 3, 3});
  CHECK(padded.contiguous().to_vector<float>()[0] == 1.0f);
  CHECK(padded.contiguous().to_vector<float>()[26] == 0.0f);

  const Tensor two = Tensor::from({1.0, 2.0}, {1, 2, 1, 1, 1});
  const Tensor grouped_weight = Tensor::from({1.0, 2.0}, {2, 1, 1, 1, 1});
  const Tensor grouped = conv_transpose3d(two, grouped_weight, zeros({2}), {.groups = 2});
  CHECK(grouped.shape() == Shape{1, 2, 1, 1, 1});
  CHECK(grouped.to_vector<float>() == std::vector<float>{1.0f, 4.0f});
}

TEST_CASE("conv3d: a row written out by hand") {
  const Tensor input = Tensor::from({1, 2, 3, 4}, {1, 1, 1, 1, 4});
  const Tensor weight = Tensor::from({1, 10, 100}, {1, 1, 1, 1, 3});
  const Tensor bias = Tensor::from({0.5}, {1});
  const auto row = [&](const Conv3dOptions& options) {
    return conv3d(input, weight, bias, options).to_vector<float>();
  };
  CHECK(row({}) == std::vector<float>{321.5f, 432.5f});
  CHECK(row({.padding = {0, 0, 1}}) == std::vector<float>{210.5f, 321.5f, 432.5f, 43.5f});
  CHECK(row({.padding = "same"}) == std::vector<float>{210.5f, 321.5f, 432.5f, 43.5f});
  CHECK(row({.padding = "valid"}) == std::vector<float>{321.5f, 432.5f});
  CHECK(row({.stride = 2, .padding = {0, 0, 1}}) == std::vector<float>{210.5f, 432.5f});
  CHECK(row({.padding = {0, 0, 2}, .dilation = 2}) == std::vector<float>{310.5f, 420.5f, 31.5f, 42.5f});
}

TEST_CASE("conv_transpose3d: a row written out by hand") {
  const Tensor input = Tensor::from({1, 2}, {1, 1, 1, 1, 2});
  const Tensor weight = Tensor::from({1, 10, 100}, {1, 1, 1, 1, 3});
  const auto row = [&](const ConvTranspose3dOptions& options) {
    return conv_transpose3d(input, weight, {}, options).to_vector<float>();
  };
  CHECK(row({}) == std::vector<float>{1, 12, 120, 200});
  CHECK(row({.stride = {1, 1, 2}}) == std::vector<float>{1, 10, 102, 20, 200});
  CHECK(row({.stride = {1, 1, 4}}) == std::vector<float>{1, 10, 100, 0, 2, 20, 200});
  CHECK(row({.padding = {0, 0, 1}}) == std::vector<float>{12, 120});
  CHECK(row({.stride = {1, 1, 2}, .padding = {0, 0, 1}, .output_padding = {0, 0, 1}}) ==
        std::vector<float>{10, 102, 20, 200});
  CHECK(row({.dilation = {1, 1, 2}}) == std::vector<float>{1, 2, 10, 20, 100, 200});
  // oneDNN's own rule refuses this one.
  CHECK(row({.output_padding = {0, 0, 2}, .dilation = {1, 1, 3}}) ==
        std::vector<float>{1, 2, 0, 10, 20, 0, 100, 200, 0, 0});
}

TEST_CASE("\"same\" puts the odd zero at the end") {
  const Tensor input = Tensor::from({1, 2, 3}, {1, 1, 3});
  const Tensor weight = Tensor::from({1, 10}, {1, 1, 2});
  CHECK(conv1d(input, weight, {}, {.padding = "same"}).to_vector<float>() == std::vector<float>{21, 32, 3});
}

TEST_CASE("one and two axes give what three with axes of size 1 give") {
  Generator generator(5);
  const Tensor x = ops::normal({2, 4, 1, 5, 6}, generator), w = ops::normal({4, 3, 1, 3, 2}, generator);
  const ConvTranspose3dOptions three = {
      .stride = {1, 2, 1}, .padding = {0, 1, 0}, .output_padding = {0, 1, 0}, .groups = 2};
  const ConvTranspose2dOptions two = {
      .stride = {2, 1}, .padding = {1, 0}, .output_padding = {1, 0}, .groups = 2};
  const Tensor deep = conv_transpose3d(x, w, {}, three);
  const Tensor flat = conv_transpose2d(alias(x, {2, 4, 5, 6}, contiguous_strides({2, 4, 5, 6}), 0),
                                       alias(w, {4, 3, 3, 2}, contiguous_strides({4, 3, 3, 2}), 0), {}, two);
  CHECK(flat.shape() == Shape{2, 6, 10, 7});
  CHECK(flat.is_channels_last());
  CHECK(flat.to_vector<double>() == deep.to_vector<double>());
  const Tensor line = conv1d(alias(x, {8, 30}, {30, 1}, 0), ops::normal({3, 8, 4}, generator));
  CHECK(line.shape() == Shape{3, 27});
}

TEST_CASE("an input without a batch axis gives the batch of one") {
  Generator generator(5);
  const Tensor x = ops::normal({1, 2, 3, 4, 5}, generator), w = ops::normal({2, 3, 2, 2, 2}, generator);
  const Tensor alone = alias(x, {2, 3, 4, 5}, contiguous_strides({2, 3, 4, 5}), 0);
  const Tensor out = conv_transpose3d(alone, w, {}, {.stride = 2});
  CHECK(out.shape() == Shape{3, 6, 8, 10});
  CHECK(out.to_vector<double>() == conv_transpose3d(x, w, {}, {.stride = 2}).to_vector<double>());
}

TEST_CASE("every memory layout of the operands gives the same result") {
  Generator generator(2);
  const Tensor x = ops::normal({2, 3, 4, 3, 5}, generator).to(f32);
  const Tensor w = ops::normal({3, 4, 2, 3, 3}, generator).to(f32);
  const ConvTranspose3dOptions options = {.stride = {1, 2, 2}, .padding = {0, 1, 1}};
  const auto expected = conv_transpose3d(x, w, {}, options).to_vector<float>();
  CHECK(conv_transpose3d(x.channels_last(), w, {}, options).to_vector<float>() == expected);
  CHECK(conv_transpose3d(x, w.channels_last(), {}, options).to_vector<float>() == expected);

  // Every second element of a larger tensor.
  const Shape wide = {2, 3, 4, 3, 10};
  const Tensor spread = zeros(wide);
  Strides strides = contiguous_strides(wide);
  strides[4] = 2;
  const Tensor every_second = alias(spread, x.shape(), strides, 0);
  every_second.copy_(x);
  CHECK(conv_transpose3d(every_second, w, {}, options).to_vector<float>() == expected);

  // An expanded weight.
  const Tensor one = ops::normal({2, 3, 3}, generator).to(f32);
  const Tensor expanded = alias(one, w.shape(), {0, 0, 9, 3, 1}, 0);
  CHECK(conv_transpose3d(x, expanded, {}, options).to_vector<float>() ==
        conv_transpose3d(x, expanded.clone().contiguous(), {}, options).to_vector<float>());
}

TEST_CASE("empty batches and channels") {
  const Tensor weight = ones({4, 2, 3, 3, 3}), bias = ones({2});
  weight.requires_grad_();
  const Tensor none = conv_transpose3d(zeros({0, 4, 4, 4, 4}), weight, bias, {.stride = 2, .padding = 1});
  CHECK(none.shape() == Shape{0, 2, 7, 7, 7});
  none.backward(none.detach());
  CHECK(weight.grad().to_vector<float>() == zeros(weight.shape()).to_vector<float>());

  // No input channels: the sum is empty, the bias remains.
  const Tensor constant = conv3d(zeros({1, 0, 4, 4, 4}), zeros({2, 0, 3, 3, 3}), Tensor::from({1, 2}, {2}));
  CHECK(constant.shape() == Shape{1, 2, 2, 2, 2});
  CHECK(constant.contiguous().to_vector<float>() ==
        std::vector<float>{1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2});
  CHECK(conv_transpose3d(zeros({1, 0, 2, 2, 2}), zeros({0, 2, 2, 2, 2}), bias).to_vector<float>() ==
        std::vector<float>(54, 1.0f));
  // No output channels.
  CHECK(conv3d(zeros({1, 2, 4, 4, 4}), zeros({0, 2, 3, 3, 3}), zeros({0})).shape() == Shape{1, 0, 2, 2, 2});
}

TEST_CASE("sizes beyond 32 bits are not narrowed") {
  const Tensor x = ones({1, 1, 1, 1, 1}), w = ones({1, 1, 1, 1, 1});
  // A kernel of one element never uses its dilation, an input of one never its stride.
  const std::int64_t large = (std::int64_t{1} << 32) + 1;
  CHECK(conv_transpose3d(x, w, {}, {.stride = large, .dilation = large}).shape() == Shape{1, 1, 1, 1, 1});
  CHECK(conv3d(x, w, {}, {.stride = large, .dilation = large}).to_vector<float>() == std::vector<float>{1});
  const std::string message = error_of([&] {
    conv_transpose3d(x, ones({1, 1, 2, 2, 2}), {}, {.dilation = large});
  });
  CHECK(contains(message, "conv_transpose3d"));
  CHECK(contains(message, "4294967297"));
}

TEST_CASE("refusals name the op, the axis, the value and what is valid") {
  const Tensor x = ones({1, 2, 4, 4, 4}), w = ones({2, 3, 3, 3, 3});
  CHECK(error_of([&] {
          conv_transpose3d(x, w, {}, {.stride = {2, 2, 3}, .output_padding = {1, 1, 3}});
        }) ==
        "conv_transpose3d: output_padding on axis W is 3; it must be smaller than stride 3 or dilation 1: "
        "valid "
        "are 0 to 2");
  CHECK(error_of([&] {
          conv_transpose3d(x, w, {}, {.stride = {1, 0, 1}});
        }) == "conv_transpose3d: stride on axis H is 0; at least 1 is required");
  CHECK(error_of([&] { conv_transpose3d(x, w.to(f64)); }) ==
        "conv_transpose3d: weight is float64, input is float32; both must have one dtype");
  CHECK(
      error_of([&] {
        conv_transpose3d(ones({3, 4, 4, 4}), w);
      }) ==
      "conv_transpose3d: input has 3 channels, weight (2, 3, 3, 3, 3) expects 2; weight is (input channels, "
      "output channels / groups, kernel)");
  CHECK(contains(error_of([&] { conv2d(x, w); }), "rank 4 (N, C, H, W) or 3 (C, H, W)"));
}

TEST_CASE("the records' samples run, check out to second order, and their error cases are refused") {
  for (const char* name : {"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
                           "conv_transpose3d", "conv_output", "conv_input_grad", "conv_weight_grad"}) {
    const ops::Op& op = ops::find(name);
    Generator generator(1);
    std::size_t number = 0;
    for (const ops::Sample& sample : op.samples(generator)) {
      INFO(name << " sample " << number++ << " " << sample.options.json().dump());
      // An absent bias is no input of the checked function.
      Tensors given;
      for (const Tensor& input : sample.inputs)
        if (input.defined()) given.push_back(input.requires_grad_());
      const auto function = [&](const Tensors& inputs) {
        return ops::call_all(name, inputs, sample.options);
      };
      const auto first = autograd::gradcheck(function, given);
      CHECK_MESSAGE(first.ok, first.message);
      const auto second = autograd::gradgradcheck(function, given);
      CHECK_MESSAGE(second.ok, second.message);
    }
    for (const ops::ErrorCase& wrong : op.errors()) {
      const std::string message = error_of([&] { ops::call_all(name, wrong.inputs, wrong.options); });
      INFO(wrong.options.json().dump() << " gave " << message);
      CHECK(contains(message, wrong.message));
      CHECK(contains(message, name));
    }
  }
}

TEST_CASE("a node tells the call that made it") {
  const Tensor x = ones({1, 2, 3, 3, 3}), w = ones({2, 3, 2, 2, 2});
  w.requires_grad_();
  const Tensor y = conv_transpose3d(x, w, {}, {.stride = 2, .output_padding = {0, 1, 0}});
  nlohmann::json options;
  y.grad_fn()->options(options);
  CHECK(y.grad_fn()->name() == "conv_transpose3d");
  CHECK(options["stride"] == nlohmann::json({2, 2, 2}));
  CHECK(ops::call("conv_transpose3d", {x, w}, options).to_vector<float>() == y.to_vector<float>());
}

TEST_CASE("strides beyond all positions, in transposed, depthwise and backward passes too") {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const auto repeated = [](std::vector<double> row, int times) {
    std::vector<double> out;
    for (int i = 0; i < times; ++i) out.insert(out.end(), row.begin(), row.end());
    return out;
  };
  for (const DType dtype : {f32, f64}) {
    const Tensor one = ones({1, 16, 1}, dtype);
    CHECK(conv_transpose1d(one, ones({16, 16, 3}, dtype), {}, {.stride = most, .output_padding = 1})
              .to_vector<double>() == repeated({16, 16, 16, 0}, 16));
    CHECK(conv_transpose1d(one, ones({16, 1, 3}, dtype), {},
                           {.stride = most, .output_padding = 1, .groups = 16})
              .to_vector<double>() == repeated({1, 1, 1, 0}, 16));
    for (const std::int64_t groups : {1, 16}) {
      const Tensor x = ones({1, 16, 3}, dtype), w = ones({16, 16 / groups, 1}, dtype);
      x.requires_grad_();
      conv1d(x, w, {}, {.stride = most, .groups = groups}).sum().backward();
      CHECK(x.grad().to_vector<double>() == repeated({16.0 / static_cast<double>(groups), 0, 0}, 16));
    }
    const Tensor wide = ones({1, 16, 5}, dtype);
    wide.requires_grad_();
    conv1d(wide, ones({16, 1, 3}, dtype), {}, {.stride = most, .groups = 16}).sum().backward();
    CHECK(wide.grad().to_vector<double>() == repeated({1, 1, 1, 0, 0}, 16));
    const Tensor weight = ones({16, 1, 2}, dtype);
    weight.requires_grad_();
    conv1d(ones({1, 16, 3}, dtype), weight, {}, {.stride = most / 2, .padding = 1, .groups = 16})
        .sum()
        .backward();
    CHECK(weight.grad().to_vector<double>() == repeated({0, 1}, 16));
  }
}

TEST_CASE("geometries whose positions lie far apart, of few channels") {
  constexpr std::int64_t far = std::int64_t{1} << 59, most = std::numeric_limits<std::int64_t>::max();
  struct Case {
    Dims3 stride, padding, x, kernel, y;
    std::vector<double>
        x_sums;  // of the adjoint at ones, over the rows of a plane: for each position along W
  };
  std::vector<double> three(16), none(17), lines(16);
  three[0] = three[1] = three[2] = 16;  // the first of y meets three taps, the others fall outside
  for (std::size_t i = 0; i < lines.size(); ++i) lines[i] = i == 0 || i == 15 ? 64 : 96;  // two lines of taps
  const Case cases[] = {{{1, 1, far}, 0, {1, 1, 16}, {1, 1, 3}, {1, 1, 8}, three},
                        {1, {0, 0, most - 17}, {1, 1, 17}, {1, 1, 3}, {1, 1, 8}, none},
                        {{1, 1, 32}, {0, 0, most - 1024}, {1, 1, 17}, {1, 1, 3}, {1, 1, 8}, none},
                        {{1, far, 1}, {0, 0, 1}, {1, 4, 16}, {1, 2, 3}, {1, 1, 16}, lines}};
  for (const DType dtype : {f32, f64})
    for (const Case& c : cases)
      for (const bool transposed : {false, true}) {
        const ops::ConvGeometry g{3, transposed, 1, c.stride, c.padding, 1, c.x, c.kernel, c.y};
        const Tensor w = ones({16, 2, c.kernel[0], c.kernel[1], c.kernel[2]}, dtype);
        const Tensor x = ops::conv_form_x(g, ones({1, 16, c.y[0], c.y[1], c.y[2]}, dtype), w);
        CHECK(x.sum({0, 2, 3}).select(0, 1).to_vector<double>() == c.x_sums);
        CHECK(ops::conv_form_w(g, ones(x.shape(), dtype), ones({1, 16, c.y[0], c.y[1], c.y[2]}, dtype))
                  .sum()
                  .item<double>() == doctest::Approx(2 * x.narrow(1, 0, 1).sum().item<double>()));
      }
}

TEST_CASE("a kernel as long as its input: other taps at each position") {
  constexpr std::int64_t n = 3000;
  const Tensor y = conv1d(ones({1, 1, n}, f64), ones({1, 1, n + 1}, f64), {}, {.padding = n / 2});
  std::vector<double> expected;
  for (std::int64_t i = 0; i < n; ++i)
    expected.push_back(
        static_cast<double>(std::min(n, i + n / 2 + 1) - std::max<std::int64_t>(0, i - n / 2)));
  CHECK(y.to_vector<double>() == expected);
}
