#include "nn/compile.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <thread>

#include "autograd/grad_mode.hpp"
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

template <class F>
std::string refusal(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t out = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++out;
  return out;
}
bool contains(const std::string& text, const std::string& part) { return count(text, part) > 0; }

// A net written as a function; its parameters are for the function to use.
struct Written : nn::Module {
  explicit Written(std::function<Tensor(const Tensor&)> given, std::vector<Shape> shapes = {})
      : forward(std::move(given)) {
    for (const Shape& shape : shapes) weights.emplace_back(randn(shape) * 0.3);
    eval();
  }
  Tensor operator()(const Tensor& x) const { return forward(x); }
  std::function<Tensor(const Tensor&)> forward;
  std::vector<nn::Parameter> weights;
  LUCID_FIELDS(weights)
};

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
