#include "nn/compile.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "autograd/grad_mode.hpp"
#include "compiled_nets.hpp"
#include "lucid/parallel.hpp"
#include "lucid/random.hpp"
#include "nn/linear.hpp"
#include "nn/models/unet3d.hpp"
#include "nn/nn.hpp"
#include "ops/activation.hpp"
#include "ops/arithmetic.hpp"
#include "ops/cast.hpp"
#include "ops/compare.hpp"
#include "ops/dropout.hpp"
#include "ops/interpolate.hpp"
#include "ops/join.hpp"
#include "ops/pool.hpp"
#include "ops/registry.hpp"
#include "ops/select.hpp"
#include "ops/unary.hpp"

using namespace lucid;
using namespace lucid::compiled;

namespace {

// The largest difference over the largest value. Where they hold, what a plan reorders are sums of at most a
// few thousand terms, each rounded to 2^-24 of itself.
double difference(const Tensor& found, const Tensor& expected) {
  REQUIRE(found.shape() == expected.shape());
  REQUIRE(found.dtype() == expected.dtype());
  const std::vector<double> a = found.to_vector<double>(), b = expected.to_vector<double>();
  double largest = 0, scale = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) != std::isnan(b[i])) return std::numeric_limits<double>::infinity();
    if (std::isnan(a[i])) continue;
    largest = std::max(largest, std::abs(a[i] - b[i]));
    scale = std::max(scale, std::abs(b[i]));
  }
  return largest == 0 ? 0 : largest / scale;
}

constexpr double kRounding = 2e-6;

// Statistics and factors that are not those of a fresh layer, where much would go unnoticed.
void stir(nn::Module& net) {
  const no_grad guard;
  for (const auto& [name, tensor] : net.named_parameters())
    if (tensor.dim() == 1) tensor.add_(randn(tensor.shape()), 0.3);
  for (const auto& [name, tensor] : net.named_buffers()) {
    if (name.ends_with("running_mean")) tensor.add_(randn(tensor.shape()), 0.5);
    if (name.ends_with("running_var")) tensor.copy_(rand(tensor.shape()) + 0.2);
  }
}

template <class Net>
Tensor eager(const Net& net, const Tensor& x) {
  const no_grad guard;
  return net(x);
}

template <class Net>
void check_same(const Net& net, const Tensor& x) {
  const nn::Plan plan = nn::compile(net, x.shape());
  INFO(plan.str());
  CHECK(difference(plan(x), eager(net, x)) < kRounding);
  CHECK(difference(plan(x), eager(net, x)) < kRounding);  // the first call left nothing behind
}

}  // namespace

TEST_CASE("a compiled UNet3d computes what the net does") {
  using namespace nn::models;
  for (const Norm norm : {Norm::instance, Norm::batch, Norm::none})
    for (const Decoder decoder : {Decoder::conv_transpose, Decoder::upsample}) {
      manual_seed(1);
      UNet3d net({.in_channels = 2,
                  .out_channels = 3,
                  .channels = {16, 32, 24},
                  .norm = norm,
                  .activation = decoder == Decoder::upsample ? Activation::relu : Activation::leaky_relu,
                  .decoder = decoder});
      stir(net);
      net.eval();
      check_same(net, randn({1, 2, 16, 16, 16}));
      check_same(net, randn({2, 2, 9, 14, 11}));  // padded, and cut again
    }
}

TEST_CASE("a plan is as near to float64 as the eager net is") {
  using namespace nn::models;
  for (const Norm norm : {Norm::instance, Norm::batch}) {
    manual_seed(12);
    UNet3d net({.channels = {16, 32}, .norm = norm});
    stir(net);
    net.eval();
    UNet3d wide = nn::clone(net);
    wide.to(f64);
    const Tensor x = randn({1, 1, 12, 12, 12}), truth = eager(wide, x.to(f64));
    const double by_plan = difference(nn::compile(net, x)(x).to(f64), truth);
    CHECK(by_plan < 2 * difference(eager(net, x).to(f64), truth));
  }
}

TEST_CASE("the plan of a UNet3d has folded its norms, activations and joints away") {
  using namespace nn::models;
  UNet3d net({.norm = Norm::batch});
  net.eval();
  const std::string batch = nn::compile(net, {1, 1, 16, 16, 16}).str();
  INFO(batch);
  CHECK_FALSE(contains(batch, "norm"));
  CHECK_FALSE(contains(batch, "cat"));
  CHECK_FALSE(contains(batch, "  leaky_relu"));
  CHECK(count(batch, ", leaky_relu") == 14);
  CHECK(count(batch, " of joined parts") == 3);

  UNet3d instance;
  instance.eval();
  const std::string text = nn::compile(instance, {1, 1, 16, 16, 16}).str();
  INFO(text);
  CHECK(count(text, "instance_norm, leaky_relu") == 14);
  CHECK_FALSE(contains(text, "  leaky_relu"));
}

TEST_CASE("activations lie in one block, laid out by their lives") {
  using namespace nn::models;
  UNet3d net({.norm = Norm::batch});
  net.eval();
  const nn::Plan plan = nn::compile(net, {1, 1, 32, 32, 32});
  // The finest level: what is skipped, what comes up, and the convolution of both, 16 channels each.
  const std::int64_t finest = 16 * 32 * 32 * 32 * 4;
  CHECK(plan.activation_bytes() <= 3.2 * finest);
  CHECK(plan.activation_bytes() >= 3 * finest);
}

namespace {

// Residual blocks, a joint that is also pooled, interpolation, padding and a linear head.
struct Mixed : nn::Module {
  nn::Conv3d first{3, 16, {.kernel_size = 3, .padding = 1}};
  nn::BatchNorm3d norm1{16};
  nn::Conv3d inner{16, 16, {.kernel_size = 3, .padding = 1, .bias = false}};
  nn::BatchNorm3d norm2{16};
  nn::GroupNorm group{4, 16};
  nn::ConvTranspose3d up{16, 8, {.kernel_size = 3, .stride = 2, .padding = 1, .output_padding = 1}};
  nn::BatchNorm3d norm3{8};
  nn::Conv3d strided{24, 12, {.kernel_size = 2, .stride = 2, .groups = 1}};
  nn::Conv3d depthwise{12, 12, {.kernel_size = 3, .padding = 1, .groups = 12}};
  nn::Linear head{12, 5};
  LUCID_FIELDS(first, norm1, inner, norm2, group, up, norm3, strided, depthwise, head)

  Tensor operator()(const Tensor& x) const {
    Tensor y = relu(norm1(first(x)));
    y = relu(norm2(inner(relu(inner(y)))) + y);
    y = relu6(y + group(inner(y)));
    const Tensor small = max_pool3d(y, {.kernel_size = 2, .stride = 2});
    const Tensor wide = norm3(up(small));
    const Shape& s = wide.shape();
    const Tensor far = interpolate(small, {.size = {s[2], s[3], s[4]}, .mode = InterpolateMode::trilinear});
    Tensor z = leaky_relu(strided(cat({wide, far}, 1)), 0.2);
    z = depthwise(z).sigmoid() * z;
    return head(z.mean({2, 3, 4})).softmax(1);
  }
};

}  // namespace

TEST_CASE("a net of other parts computes what it did") {
  manual_seed(2);
  Mixed net;
  stir(net);
  net.eval();
  check_same(net, randn({2, 3, 8, 6, 10}));
  const std::string text = nn::compile(net, {2, 3, 8, 6, 10}).str();
  INFO(text);
  CHECK_FALSE(contains(text, "batch_norm"));
  CHECK(contains(text, "conv3d, added, relu"));  // the first sum
  CHECK(contains(text, "add, clamp 0 to 6"));    // the other one, whose norm can't go
}

TEST_CASE("convolutions of every rank, joined, added to, rectified") {
  manual_seed(3);
  const auto with = [](auto forward, std::vector<Shape> shapes, const Shape& input) {
    Written* self = nullptr;
    Written net([&](const Tensor& x) { return forward(x, self->weights); }, std::move(shapes));
    self = &net;
    check_same(net, randn(input));
  };
  // Winograd's kernel: odd sizes, vectors of 8, 16 and 32 outputs, no, one or two taps of depth beyond the
  // input
  for (const std::int64_t outputs : {8, 16, 56, 64})
    for (const std::int64_t padding : {0, 1, 2, 3})
      with([&](const Tensor& x,
               const auto& w) { return hardtanh(conv3d(x, w[0], w[1], {.padding = padding}), -9, 12); },
           {{outputs, 16, 3, 3, 3}, {outputs}}, {2, 16, 5, 7, 4});
  with(
      [](const Tensor& x, const auto& w) {
        return conv3d(x, w[0], {}, {.padding = {0, 1, 1}});
      },
      {{32, 32, 1, 3, 3}}, {1, 32, 3, 6, 21});
  with(
      [](const Tensor& x, const auto& w) {
        return relu(conv3d(x, w[0], w[1], {.padding = {1, 2, 3}, .dilation = {1, 2, 3}}));
      },
      {{24, 16, 3, 3, 3}, {24}}, {1, 16, 3, 11, 14});
  with(
      [](const Tensor& x, const auto& w) { return relu(conv3d(x, w[0], w[1], {.padding = 1, .groups = 2})); },
      {{48, 16, 3, 3, 3}, {48}}, {1, 32, 3, 11, 14});
  with([](const Tensor& x, const auto& w) { return relu(conv2d(x, w[0], {}, {.padding = "same"})); },
       {{16, 16, 3, 3}}, {2, 16, 130, 5});
  // a joint whose parts are joined again by the sum of two convolutions
  with(
      [](const Tensor& x, const auto& w) {
        const Tensor a = conv3d(x, w[0], {}, {.padding = 1}), b = conv3d(x, w[1], {}, {.padding = 1});
        const Tensor joined = cat({a, b, a}, 1);
        return leaky_relu(conv3d(joined, w[2], w[3]), -0.5) + conv3d(joined, w[4]);
      },
      {{16, 2, 3, 3, 3}, {8, 2, 3, 3, 3}, {5, 40, 2, 2, 2}, {5}, {5, 40, 2, 2, 2}}, {1, 2, 6, 5, 4});
  // sums that may not be written over: the operand is read again, is the input, is what is convolved
  with(
      [](const Tensor& x, const auto& w) {
        const Tensor a = conv1d(x, w[0], {}, {.padding = 1});
        const Tensor b = conv1d(a, w[1], {}, {.padding = 1}) + a;
        const Tensor c = relu(conv1d(b, w[1], {}, {.padding = 1}) + x);
        const Tensor d = a + conv1d(c, w[1], {}, {.padding = 1});
        return d + conv1d(d, w[0], {}, {.padding = 1}) * a;
      },
      {{3, 3, 3}, {3, 3, 3}}, {2, 3, 9});
  for (const std::int64_t channels : {4, 16})
    with(
        [](const Tensor& x, const auto& w) {
          const Tensor a = conv3d(x, w[0], {}, {.padding = 1});
          return relu(conv3d(a, w[1], {}, {.padding = 1}) + a);
        },
        {{channels, channels, 3, 3, 3}, {channels, channels, 3, 3, 3}}, {1, channels, 9, 8, 7});
  with(
      [](const Tensor& x, const auto& w) {
        const Tensor a = conv1d(x, w[0], {}, {.padding = 1}), b = conv1d(x, w[1], {}, {.padding = 1});
        const Tensor between = a * a;
        return (b + a) * between;
      },
      {{3, 3, 3}, {3, 3, 3}}, {2, 3, 9});
  // without a batch axis the channels come first
  with([](const Tensor& x, const auto& w) { return relu(conv_transpose2d(x, w[0], w[1], {.stride = 2})); },
       {{3, 4, 2, 2}, {4}}, {3, 5, 6});
}

TEST_CASE("batch norms behind transposed and grouped convolutions are folded") {
  manual_seed(4);
  nn::Sequential net(nn::Conv2d(4, 8, {.kernel_size = 3, .groups = 2}), nn::BatchNorm2d(8), nn::ReLU(),
                     nn::ConvTranspose2d(8, 12, {.kernel_size = 3, .stride = 2, .groups = 4}),
                     nn::BatchNorm2d(12), nn::LeakyReLU(0.1), nn::BatchNorm2d(12));
  stir(net);
  net.eval();
  check_same(net, randn({2, 4, 7, 8}));
  const std::string text = nn::compile(net, {2, 4, 7, 8}).str();
  INFO(text);
  CHECK(count(text, "norm") == 1);  // the last has no convolution before it
}

TEST_CASE("every op of the table that a net may be made of compiles by its recorded name and options") {
  manual_seed(5);
  Generator generator(6);
  for (const ops::Op* op : ops::all()) {
    for (const ops::Sample& sample : op->samples(generator)) {
      std::size_t place = 0;  // the net's input: the first floating one
      while (place < sample.inputs.size() &&
             !(sample.inputs[place].defined() && is_floating(sample.inputs[place].dtype())))
        ++place;
      if (place == sample.inputs.size()) continue;
      Tensors inputs = sample.inputs;
      for (Tensor& input : inputs)
        if (input.defined() && is_floating(input.dtype())) input = input.to(f32);
      const bool is_random = op->name.starts_with("dropout");
      const bool is_training =
          sample.options.json().contains("training") && sample.options.json().at("training") == true;
      if (is_random || (is_training && sample.inputs.size() > 1 && sample.inputs[1].defined()))
        continue;  // running statistics would change
      const Tensor example = inputs[place];
      const Written net([&](const Tensor& x) {
        Tensors given = inputs;
        given[place] = x;
        return ops::call(op->name, given, sample.options);
      });
      CAPTURE(op->name);
      CAPTURE(sample.options.json().dump());
      Tensor expected;
      try {
        expected = eager(net, example);
        const nn::Plan plan = nn::compile(net, example);
        INFO(plan.str());
        CHECK(difference(plan(example), expected) < kRounding);
      } catch (const Error& error) {
        FAIL_CHECK(std::string(error.what()));
      }
    }
  }
}

TEST_CASE("other types than float32 run op by op") {
  manual_seed(7);
  nn::models::UNet3d net({.channels = {4, 6}, .norm = nn::models::Norm::batch});
  stir(net);
  net.eval();
  net.to(f64);
  const Tensor x = randn({1, 1, 6, 6, 6}, f64);
  const nn::Plan plan = nn::compile(net, {1, 1, 6, 6, 6});
  CHECK(plan.dtype() == f64);
  CHECK(difference(plan(x), eager(net, x)) == 0);

  const Written embedding([](const Tensor& i) { return (i + 1).to(f32).sqrt(); });
  const Tensor index = Tensor::from(std::vector<std::int64_t>{3, 0, 8}, {3});
  CHECK(difference(nn::compile(embedding, index)(index), eager(embedding, index)) == 0);
}

TEST_CASE("an input may lie in memory as it likes") {
  manual_seed(8);
  nn::Sequential net(nn::Conv3d(3, 4, {.kernel_size = 3}), nn::ReLU());
  net.eval();
  const Tensor x = randn({2, 3, 5, 6, 7});
  const nn::Plan plan = nn::compile(net, x);
  const Tensor expected = eager(net, x);
  CHECK(difference(plan(x.channels_last()), expected) < kRounding);
  CHECK(difference(
            plan(randn({2, 3, 10, 6, 7}).copy_(x.slice(2, 0, 1).expand({2, 3, 10, 6, 7})).slice(2, 0, 10, 2)),
            eager(net, x.slice(2, 0, 1).expand({2, 3, 5, 6, 7}))) < kRounding);
}

TEST_CASE("the result is the caller's, and views of it too") {
  const Written net([](const Tensor& x) { return relu(x).narrow(1, 1, 2); });
  const nn::Plan plan = nn::compile(net, {2, 4});
  const Tensor x = randn({2, 4}), first = plan(x), copy = first.clone();
  plan(randn({2, 4}));
  CHECK(difference(first, copy) == 0);
  CHECK(difference(first, eager(net, x)) == 0);
  const Written same([](const Tensor& given) { return given; });
  CHECK(difference(nn::compile(same, {2, 4})(x), x) == 0);
}

TEST_CASE("a plan keeps nothing of the net") {
  manual_seed(9);
  nn::models::UNet3d net({.channels = {16, 16}, .norm = nn::models::Norm::instance});
  net.eval();
  const Tensor x = randn({1, 1, 8, 8, 8}), expected = eager(net, x);
  const nn::Plan plan = nn::compile(net, x.shape());
  {
    const no_grad guard;
    for (const Tensor& parameter : net.parameters()) parameter.fill_(7);
  }
  CHECK(difference(plan(x), expected) < kRounding);
  CHECK(difference(plan(x), eager(net, x)) > 0.1);
}

TEST_CASE("a plan's result does not depend on the number of threads") {
  manual_seed(11);
  const int threads = num_threads();
  nn::Sequential net(nn::Conv3d(16, 16, {.kernel_size = 3, .padding = 1}), nn::InstanceNorm3d(16), nn::ReLU(),
                     nn::Conv3d(16, 32, {.kernel_size = 3, .padding = 1}));
  net.eval();
  const Tensor x = randn({1, 16, 12, 10, 9});
  Tensors found;
  for (const int count : {1, 2, 5}) {
    set_num_threads(count);
    found.push_back(nn::compile(net, x)(x));
  }
  set_num_threads(threads);
  CHECK(difference(found[1], found[0]) == 0);
  CHECK(difference(found[2], found[0]) == 0);
}

TEST_CASE("several threads may call one plan") {
  manual_seed(10);
  nn::models::UNet3d net({.channels = {16, 8}, .norm = nn::models::Norm::batch});
  net.eval();
  const nn::Plan plan = nn::compile(net, {1, 1, 8, 8, 8});
  Tensors inputs, found(4), expected;
  for (std::size_t i = 0; i < 4; ++i) {
    inputs.push_back(randn({1, 1, 8, 8, 8}));
    expected.push_back(eager(net, inputs.back()));
  }
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int round = 0; round < 5; ++round) found[i] = plan(inputs[i]);
    });
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < 4; ++i) CHECK(difference(found[i], expected[i]) < kRounding);
}

TEST_CASE("control flow is frozen, and constants may be made on the way") {
  const Written net(
      [](const Tensor& x) { return x.size(0) == 2 ? x * full({3}, 2.0) : x + arange(0, 3, 1); });
  CHECK(difference(nn::compile(net, {2, 3})(ones({2, 3})), full({2, 3}, 2.0)) == 0);
  // No constants: nothing asks for the second run that would show the other branch.
  const Written branch([](const Tensor& x) { return x.sum().item<double>() > 0 ? x.relu() : x.abs(); });
  CHECK(difference(nn::compile(branch, ones({3}))(-ones({3})), zeros({3})) == 0);
  const Written detached([](const Tensor& x) { return where(x > 0.0, x.detach(), x.detach() * 0.5); });
  const Tensor x = randn({4, 4});
  CHECK(difference(nn::compile(detached, {4, 4})(x), eager(detached, x)) == 0);
}
