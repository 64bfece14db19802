#include <doctest/doctest.h>

#include <cmath>

#include "lucid/random.hpp"
#include "nn/activation.hpp"
#include "nn/adaptive_pool.hpp"
#include "nn/conv.hpp"
#include "nn/dropout.hpp"
#include "nn/linear.hpp"
#include "nn/norm.hpp"
#include "nn/pool.hpp"
#include "nn/sequential.hpp"
#include "nn/softmax.hpp"
#include "nn/upsample.hpp"
#include "ops/matmul.hpp"

using namespace lucid;

namespace {

std::vector<float> values(const Tensor& tensor) { return tensor.to_vector<float>(); }

}  // namespace

TEST_CASE("BatchNorm3d: buffers follow PyTorch's rule in train() and are used in eval()") {
  nn::BatchNorm3d norm(1);
  CHECK(norm.state_dict().size() == 5);
  CHECK(norm.num_batches_tracked.dtype() == i64);
  CHECK(norm.num_batches_tracked.shape() == Shape{});
  const Tensor x = Tensor::from({1, 3}, {1, 1, 1, 1, 2});
  const auto y = values(norm(x));  // mean 2, biased variance 1
  CHECK(y[1] == doctest::Approx(1 / std::sqrt(1 + 1e-5)));
  CHECK(norm.running_mean.item<float>() == doctest::Approx(0.2));
  CHECK(norm.running_var.item<float>() == doctest::Approx(0.9 + 0.1 * 2));  // unbiased variance 2
  CHECK(norm.num_batches_tracked.item<std::int64_t>() == 1);
  norm.eval();
  CHECK(values(norm(x))[0] == doctest::Approx((1 - 0.2) / std::sqrt(1.1 + 1e-5)));
  CHECK(norm.num_batches_tracked.item<std::int64_t>() == 1);

  nn::BatchNorm1d plain(1, {.momentum = std::nullopt});
  plain(Tensor::from({0, 2}, {2, 1}));
  plain(Tensor::from({4, 6}, {2, 1}));
  CHECK(plain.running_mean.item<float>() == doctest::Approx(3));  // the average over both batches

  nn::BatchNorm2d untracked(2, {.affine = false, .track_running_stats = false});
  CHECK(untracked.state_dict().empty());
  untracked.eval();
  CHECK(std::abs(values(untracked(randn({2, 2, 3, 3})).mean())[0]) < 1e-6);
}

TEST_CASE("norms refuse inputs and arguments that do not fit") {
  nn::BatchNorm3d norm(4);
  norm(randn({2, 4, 2, 2, 2}));
  CHECK_THROWS_WITH_AS(norm(randn({2, 4, 2, 2})),
                       doctest::Contains("BatchNorm3d: input has shape (2, 4, 2, 2)"), Error);
  CHECK_THROWS_WITH_AS(norm(randn({2, 3, 2, 2, 2})), doctest::Contains("num_features = 4"), Error);
  CHECK_THROWS_AS(norm(randn({1, 4, 1, 1, 1})), Error);  // one value a channel has no variance
  CHECK(norm.num_batches_tracked.item<std::int64_t>() == 1);
  CHECK_THROWS_WITH_AS(nn::BatchNorm3d(3)(ones({2, 3, 4})),
                       doctest::Contains("input has shape (2, 3, 4); rank 5 is required"), Error);
  CHECK_THROWS_WITH_AS(nn::BatchNorm1d(3)(ones({3})), doctest::Contains("rank 2 or 3 is required"), Error);
  CHECK_THROWS_WITH_AS(nn::PReLU(3)(ones({3})), doctest::Contains("a weight of 1 value is required"), Error);
  CHECK_THROWS_WITH_AS(nn::PReLU(3)(ones({1, 2})), doctest::Contains("1 or 2 values is required"), Error);
  CHECK_THROWS_WITH_AS(nn::BatchNorm3d(0), doctest::Contains("num_features is 0"), Error);
  CHECK_THROWS_WITH_AS(nn::InstanceNorm3d(3, {.momentum = 2}), doctest::Contains("momentum is 2"), Error);
  CHECK_THROWS_WITH_AS(nn::GroupNorm(3, 4), doctest::Contains("num_groups is 3"), Error);
  CHECK_THROWS_WITH_AS(nn::LayerNorm(Shape{}), doctest::Contains("normalized_shape is ()"), Error);
}

TEST_CASE("InstanceNorm3d, GroupNorm and LayerNorm give mean 0 and variance 1 where they should") {
  const Tensor x = randn({2, 4, 3, 3, 3}) * 5.0 + 2.0;
  const nn::InstanceNorm3d instance(4);
  CHECK(instance.parameters().empty());
  for (float mean : values(instance(x).mean({2, 3, 4}))) CHECK(std::abs(mean) < 1e-6);
  CHECK(values(instance(x[0])) == values(instance(x)[0]));
  CHECK(nn::InstanceNorm3d(4, {.affine = true}).parameters().size() == 2);
  const nn::GroupNorm group(2, 4);
  for (float mean : values(group(x).reshape({2, 2, 54}).mean({2}))) CHECK(std::abs(mean) < 1e-6);
  const nn::LayerNorm layer({3, 3});
  CHECK(layer.weight.shape() == Shape{3, 3});
  for (float mean : values(layer(x).mean({3, 4}))) CHECK(std::abs(mean) < 1e-6);
}

TEST_CASE("Linear is x W' + b with PyTorch's initial bounds") {
  manual_seed(3);
  const nn::Linear layer(100, 30);
  CHECK(layer.weight.shape() == Shape{30, 100});
  double most = 0;
  for (double w : layer.weight.to_vector<double>()) most = std::max(most, std::abs(w));
  CHECK(most <= 0.1);
  CHECK(most > 0.099);
  const Tensor x = randn({2, 5, 100});
  CHECK(values(layer(x)) == values(linear(x, layer.weight, layer.bias)));
  CHECK_FALSE(nn::Linear(2, 2, {.bias = false}).bias.defined());
  CHECK_THROWS_WITH_AS(nn::Linear(0, 2), doctest::Contains("in_features is 0"), Error);
}

TEST_CASE("dropout acts in train() alone") {
  nn::Dropout drop(0.25);
  const Tensor x = ones({10000});
  const auto y = values(drop(x));
  CHECK(std::count(y.begin(), y.end(), 0.0f) == doctest::Approx(2500).epsilon(0.1));
  CHECK(*std::max_element(y.begin(), y.end()) == doctest::Approx(4.0 / 3));
  drop.eval();
  CHECK(values(drop(x)) == values(x));
  const Tensor channels = nn::Dropout3d(0.5)(ones({8, 16, 2, 2, 2}));
  for (float mean : values(channels.mean({2, 3, 4}))) CHECK((mean == 0 || mean == 2));
  CHECK_THROWS_WITH_AS(nn::Dropout(1.5), doctest::Contains("Dropout: p is 1.5"), Error);
}

TEST_CASE("pools and upsampling") {
  const Tensor x = arange(8, f32).reshape({1, 1, 2, 2, 2});
  CHECK(nn::MaxPool3d(2)(x).item<float>() == 7);
  CHECK(nn::AvgPool3d({.kernel_size = 2})(x).item<float>() == 3.5f);
  CHECK(nn::AdaptiveAvgPool3d(1)(x).item<float>() == 3.5f);
  CHECK(nn::Upsample({.scale_factor = {2}})(x).shape() == Shape{1, 1, 4, 4, 4});
  CHECK(nn::MaxPool3d({.kernel_size = 3, .stride = 2, .padding = 1}).str() ==
        "MaxPool3d(kernel_size=3, stride=2, padding=1, dilation=1, ceil_mode=False)");
  CHECK_THROWS_WITH_AS(nn::MaxPool3d({.kernel_size = 2, .padding = 2}),
                       doctest::Contains("padding is (2, 2, 2)"), Error);
  CHECK_THROWS_WITH_AS(nn::MaxPool3d(0), doctest::Contains("kernel_size is (0, 0, 0)"), Error);
  CHECK_THROWS_WITH_AS(nn::Upsample({}), doctest::Contains("exactly one of size and scale_factor"), Error);
}

TEST_CASE("activations as layers") {
  const Tensor x = Tensor::from({-1, 2}, {2});
  CHECK(values(nn::ReLU()(x)) == std::vector<float>{0, 2});
  CHECK(values(nn::LeakyReLU(0.5)(x)) == std::vector<float>{-0.5, 2});
  CHECK(values(nn::ELU()(x))[0] == doctest::Approx(std::exp(-1.0) - 1));
  CHECK(values(nn::PReLU()(x)) == std::vector<float>{-0.25, 2});
  CHECK(nn::PReLU(3).num_parameters() == 3);
  CHECK(values(nn::GELU()(x))[1] == doctest::Approx(2 * 0.9772498680518208));
  CHECK(values(nn::SiLU()(x))[1] == doctest::Approx(2 / (1 + std::exp(-2.0))));
  CHECK(values(nn::Sigmoid()(x))[1] == doctest::Approx(1 / (1 + std::exp(-2.0))));
  CHECK(values(nn::Tanh()(x))[1] == doctest::Approx(std::tanh(2.0)));
  CHECK(values(nn::Softmax(0)(x))[0] == doctest::Approx(1 / (1 + std::exp(3.0))));
  CHECK(values(nn::LogSoftmax(-1)(x))[0] == doctest::Approx(-std::log(1 + std::exp(3.0))));
  CHECK_THROWS_WITH_AS(nn::GELU("erf"), doctest::Contains("\"erf\""), Error);
}

TEST_CASE("Sequential runs, names, copies and clones its layers") {
  const auto make = [] {
    return nn::Sequential(nn::Conv3d(1, 2, {.kernel_size = 1}), nn::ReLU(),
                          nn::Sequential(nn::InstanceNorm3d(2, {.affine = true}), nn::Identity()),
                          nn::Flatten());
  };
  nn::Sequential net = make();
  CHECK(nn::forgotten_fields(make) == "");
  CHECK(net.size() == 4);
  CHECK(net.state_dict().contains("0.weight"));
  CHECK(net.state_dict().contains("2.0.bias"));
  CHECK(net(randn({3, 1, 2, 2, 2})).shape() == Shape{3, 16});
  CHECK(net.str() ==
        "Sequential(\n"
        "  (0): Conv3d(1, 2, kernel_size=(1, 1, 1), stride=(1, 1, 1))\n"
        "  (1): ReLU()\n"
        "  (2): Sequential(\n"
        "    (0): InstanceNorm3d(2, eps=1e-05, momentum=0.1, affine=True, track_running_stats=False)\n"
        "    (1): Identity()\n"
        "  )\n"
        "  (3): Flatten(start_dim=1, end_dim=-1)\n"
        ")");
  nn::Sequential copy = net;
  const nn::Sequential own = nn::clone(net);
  CHECK(copy.parameters()[0].is_same(net.parameters()[0]));
  CHECK_FALSE(own.parameters()[0].is_same(net.parameters()[0]));
  copy.eval();
  CHECK(net[0].training());
  CHECK_THROWS_WITH_AS(net[4], doctest::Contains("layer 4 of 4"), Error);
  net.push_back(nn::Linear(16, 2));
  CHECK(net(randn({3, 1, 2, 2, 2})).shape() == Shape{3, 2});
  CHECK_THROWS_WITH_AS(net(randn({3, 5, 2, 2, 2})), doctest::Contains("conv3d (0): "), Error);
}

TEST_CASE("layers list all their fields") {
  CHECK(nn::forgotten_fields([] { return nn::Conv3d(1, 1, {.kernel_size = 1}); }) == "");
  CHECK(nn::forgotten_fields([] { return nn::ConvTranspose3d(1, 1, {.kernel_size = 1}); }) == "");
  CHECK(nn::forgotten_fields([] { return nn::BatchNorm3d(1); }) == "");
  CHECK(nn::forgotten_fields([] { return nn::InstanceNorm3d(1); }) == "");
  CHECK(nn::forgotten_fields([] { return nn::GroupNorm(1, 1); }) == "");
  CHECK(nn::forgotten_fields([] { return nn::LayerNorm(Shape{2}); }) == "");
  CHECK(nn::forgotten_fields([] { return nn::Linear(1, 1); }) == "");
  CHECK(nn::forgotten_fields([] { return nn::PReLU(); }) == "");
}
