// A layer gives what its function gives, and refuses arguments out of range by name.
#include <doctest/doctest.h>

#include <cmath>

#include "lucid/random.hpp"
#include "nn/nn.hpp"
#include "ops/reduce.hpp"

using namespace lucid;
namespace F = lucid::nn::functional;

namespace {

std::vector<double> values(const Tensor& tensor) { return tensor.to_vector<double>(); }

void same(const Tensor& a, const Tensor& b) {
  CHECK(a.shape() == b.shape());
  CHECK(values(a) == values(b));
}
void same(const std::pair<Tensor, Tensor>& a, const std::pair<Tensor, Tensor>& b) {
  same(a.first, b.first);
  same(a.second, b.second);
}

template <class F>
void refused(F&& f, const std::string& part) {
  CHECK_THROWS_WITH_AS(f(), doctest::Contains(part.c_str()), Error);
}

}  // namespace

TEST_CASE("activations give what their functions give") {
  const Tensor x = randn({2, 3, 4, 5}) * 4.0;
  same(nn::ReLU()(x), F::relu(x));
  same(nn::ReLU6()(x), F::relu6(x));
  same(nn::SELU()(x), F::selu(x));
  same(nn::SiLU()(x), F::silu(x));
  same(nn::Mish()(x), F::mish(x));
  same(nn::Sigmoid()(x), F::sigmoid(x));
  same(nn::LogSigmoid()(x), F::logsigmoid(x));
  same(nn::Tanh()(x), F::tanh(x));
  same(nn::Softsign()(x), F::softsign(x));
  same(nn::Hardsigmoid()(x), F::hardsigmoid(x));
  same(nn::Hardswish()(x), F::hardswish(x));
  same(nn::LeakyReLU()(x), F::leaky_relu(x, 0.01));
  same(nn::ELU()(x), F::elu(x, 1));
  same(nn::ELU(0.5)(x), F::elu(x, 0.5));
  same(nn::CELU()(x), F::celu(x, 1));
  same(nn::CELU(2)(x), F::celu(x, 2));
  same(nn::GELU()(x), F::gelu(x, "none"));
  same(nn::GELU("tanh")(x), F::gelu(x, "tanh"));
  same(nn::Softplus()(x), F::softplus(x, 1, 20));
  same(nn::Softplus(2, 1)(x), F::softplus(x, 2, 1));
  same(nn::Hardtanh()(x), F::hardtanh(x, -1, 1));
  same(nn::Hardtanh(-2, 0.5)(x), F::hardtanh(x, -2, 0.5));
  same(nn::Threshold(0.5, -3)(x), F::threshold(x, 0.5, -3));
  same(nn::PReLU(3)(x), F::prelu(x, full({3}, 0.25)));
  same(nn::Softmax(1)(x), F::softmax(x, 1));
  same(nn::LogSoftmax(1)(x), F::log_softmax(x, 1));
  same(nn::Softmin(1)(x), F::softmax(-x, 1));
  same(nn::Softmax2d()(x), F::softmax(x, 1));
  same(nn::Softmax2d()(x[0]), F::softmax(x[0], 0));
}

TEST_CASE("arguments of activations out of range are refused") {
  refused([] { nn::CELU(0); }, "CELU: alpha is 0");
  refused([] { nn::Softplus(0); }, "Softplus: beta is 0");
  refused([] { nn::Hardtanh(1, 1); }, "Hardtanh: min_val is 1");
  refused([] { nn::PReLU(0); }, "PReLU: num_parameters is 0");
  refused([] { nn::Softmax2d()(ones({2, 3})); }, "Softmax2d: input has shape (2, 3)");
}

TEST_CASE("pools give what their functions give, indices too") {
  const Tensor x1 = randn({2, 3, 7}), x2 = randn({2, 3, 7, 6}), x3 = randn({2, 3, 7, 6, 5});
  same(nn::MaxPool1d(2)(x1), F::max_pool1d(x1, {.kernel_size = 2}));
  same(nn::MaxPool2d({.kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true})(x2),
       F::max_pool2d(x2, {.kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true}));
  same(nn::MaxPool3d({.kernel_size = 2, .stride = 1, .dilation = 2})(x3),
       F::max_pool3d(x3, {.kernel_size = 2, .stride = 1, .dilation = 2}));
  same(nn::MaxPool1d(2).with_indices(x1), F::max_pool1d_with_indices(x1, {.kernel_size = 2}));
  same(nn::MaxPool2d(2).with_indices(x2), F::max_pool2d_with_indices(x2, {.kernel_size = 2}));
  same(nn::MaxPool3d(2).with_indices(x3), F::max_pool3d_with_indices(x3, {.kernel_size = 2}));
  same(nn::AvgPool1d(2)(x1), F::avg_pool1d(x1, {.kernel_size = 2}));
  same(nn::AvgPool2d({.kernel_size = 3, .padding = 1, .count_include_pad = false})(x2),
       F::avg_pool2d(x2, {.kernel_size = 3, .padding = 1, .count_include_pad = false}));
  same(nn::AvgPool3d({.kernel_size = 2, .divisor_override = 3})(x3),
       F::avg_pool3d(x3, {.kernel_size = 2, .divisor_override = 3}));
  same(nn::AdaptiveAvgPool1d(3)(x1), F::adaptive_avg_pool1d(x1, 3));
  same(nn::AdaptiveAvgPool2d({{std::nullopt, 2}})(x2), F::adaptive_avg_pool2d(x2, {{std::nullopt, 2}}));
  same(nn::AdaptiveAvgPool3d(2)(x3), F::adaptive_avg_pool3d(x3, 2));
  same(nn::AdaptiveMaxPool1d(3)(x1), F::adaptive_max_pool1d(x1, 3));
  same(nn::AdaptiveMaxPool2d(3)(x2), F::adaptive_max_pool2d(x2, 3));
  same(nn::AdaptiveMaxPool3d(3)(x3), F::adaptive_max_pool3d(x3, 3));
  same(nn::AdaptiveMaxPool1d(3).with_indices(x1), F::adaptive_max_pool1d_with_indices(x1, 3));
  same(nn::AdaptiveMaxPool2d(3).with_indices(x2), F::adaptive_max_pool2d_with_indices(x2, 3));
  same(nn::AdaptiveMaxPool3d(3).with_indices(x3), F::adaptive_max_pool3d_with_indices(x3, 3));
  same(nn::GlobalAvgPool()(x3), x3.mean({2, 3, 4}, true));
  same(nn::GlobalAvgPool({.keepdim = false})(x1), x1.mean({2}));
  same(nn::GlobalMaxPool()(x2), amax(x2, {2, 3}, true));
  refused([&] { nn::MaxPool3d({.kernel_size = 2, .return_indices = true}); }, "with_indices()");
  refused([&] { nn::AdaptiveMaxPool2d(-1); }, "AdaptiveMaxPool2d: output_size is -1");
  refused([&] { nn::GlobalAvgPool()(ones({2, 3})); }, "GlobalAvgPool: input has shape (2, 3)");
}

TEST_CASE("MaxUnpool undoes MaxPool") {
  const Tensor x1 = Tensor::from({1, 5, 2, 7, 3}, {1, 1, 5});
  const auto [y1, at1] = nn::MaxPool1d(2).with_indices(x1);
  CHECK(values(nn::MaxUnpool1d(2)(y1, at1)) == std::vector<double>{0, 5, 0, 7});
  CHECK(values(nn::MaxUnpool1d(2)(y1, at1, {5})) == std::vector<double>{0, 5, 0, 7, 0});
  const Tensor x2 = Tensor::from({1, 5, 2, 7, 3, 0, 9, 8}, {1, 1, 2, 4});
  const auto [y2, at2] = nn::MaxPool2d(2).with_indices(x2);
  CHECK(values(nn::MaxUnpool2d(2)(y2, at2)) == std::vector<double>{0, 5, 0, 0, 0, 0, 9, 0});
  const Tensor x3 = randn({2, 3, 4, 4, 6});
  const auto [y3, at3] = nn::MaxPool3d(2).with_indices(x3);
  same(nn::MaxUnpool3d(2)(y3, at3), F::max_unpool3d(y3, at3, {.kernel_size = 2}));
  same(nn::MaxPool3d(2)(nn::MaxUnpool3d(2)(y3.relu() + 1.0, at3)), y3.relu() + 1.0);
  same(nn::MaxUnpool3d({.kernel_size = 2, .output_size = Shape{5, 5, 7}})(y3, at3),
       nn::MaxUnpool3d(2)(y3, at3, {2, 3, 5, 5, 7}));
  refused([] { nn::MaxUnpool2d({.kernel_size = 2, .stride = 0}); }, "MaxUnpool2d: stride is (0, 0)");
  refused([&y = y1, &at = at1] { nn::MaxUnpool1d(2)(y, at, {3}); }, "max_unpool1d: indices hold 3");
}

TEST_CASE("padding layers are pad()") {
  const Tensor x1 = randn({2, 3, 4}), x2 = randn({2, 3, 4, 5}), x3 = randn({2, 3, 4, 5, 6});
  same(nn::ConstantPad1d({1, 2}, 2.5)(x1), F::pad(x1, {1, 2}, PadMode::constant, 2.5));
  same(nn::ConstantPad2d(1, -1)(x2), F::pad(x2, {1, 1, 1, 1}, PadMode::constant, -1));
  same(nn::ConstantPad3d({1, 0, 2, 0, 0, 3}, 7)(x3), F::pad(x3, {1, 0, 2, 0, 0, 3}, PadMode::constant, 7));
  same(nn::ZeroPad1d(2)(x1), F::pad(x1, {2, 2}));
  same(nn::ZeroPad2d({1, 2, -1, 0})(x2), F::pad(x2, {1, 2, -1, 0}));
  same(nn::ZeroPad3d(1)(x3), F::pad(x3, {1, 1, 1, 1, 1, 1}));
  same(nn::ReflectionPad1d(2)(x1), F::pad(x1, {2, 2}, PadMode::reflect));
  same(nn::ReflectionPad2d({1, 2, 3, 0})(x2), F::pad(x2, {1, 2, 3, 0}, PadMode::reflect));
  same(nn::ReflectionPad3d(1)(x3), F::pad(x3, {1, 1, 1, 1, 1, 1}, PadMode::reflect));
  same(nn::ReplicationPad1d(5)(x1), F::pad(x1, {5, 5}, PadMode::replicate));
  same(nn::ReplicationPad2d(2)(x2[0]), F::pad(x2, {2, 2, 2, 2}, PadMode::replicate)[0]);
  same(nn::ReplicationPad3d(1)(x3), F::pad(x3, {1, 1, 1, 1, 1, 1}, PadMode::replicate));
  same(nn::CircularPad1d(2)(x1), F::pad(x1, {2, 2}, PadMode::circular));
  same(nn::CircularPad2d(2)(x2), F::pad(x2, {2, 2, 2, 2}, PadMode::circular));
  same(nn::CircularPad3d({1, 2, 0, 1, 2, 0})(x3), F::pad(x3, {1, 2, 0, 1, 2, 0}, PadMode::circular));
  refused([] { nn::ZeroPad2d({1, 2, 3}); }, "ZeroPad2d: padding has 3 amounts; one, or 4");
  refused([] { nn::ConstantPad1d({1, 2, 3}, 0.5); }, "ConstantPad1d: padding has 3 amounts; one, or 2");
  refused(
      [&] {
        nn::ReflectionPad1d changed(1);
        changed.padding = {1};
        changed(x1);
      },
      "ReflectionPad1d: padding has 1 amounts");
  refused([&] { nn::ReflectionPad3d(1)(x2[0]); }, "ReflectionPad3d: input has shape (3, 4, 5)");
}

TEST_CASE("resizing and reshaping layers") {
  const Tensor x2 = randn({2, 8, 3, 4}), x3 = randn({2, 8, 2, 4, 6});
  same(nn::Upsample({.scale_factor = {2}, .mode = InterpolateMode::trilinear, .align_corners = true})(x3),
       F::interpolate(x3, {.scale_factor = {2}, .mode = InterpolateMode::trilinear, .align_corners = true}));
  same(nn::UpsamplingNearest2d({.size = {7, 9}})(x2), F::interpolate(x2, {.size = {7, 9}}));
  same(nn::UpsamplingBilinear2d({.scale_factor = {2}})(x2),
       F::interpolate(x2, {.scale_factor = {2}, .mode = InterpolateMode::bilinear, .align_corners = true}));
  same(nn::PixelShuffle(2)(x2), F::pixel_shuffle(x2, 2));
  same(nn::PixelUnshuffle(2)(nn::PixelShuffle(2)(x2)), x2);
  same(nn::PixelShuffle3d(2)(x3), F::pixel_shuffle3d(x3, 2));
  same(nn::PixelUnshuffle3d(2)(nn::PixelShuffle3d(2)(x3)), x3);
  same(nn::Flatten()(x3), x3.reshape({2, 384}));
  same(nn::Unflatten(1, {2, -1})(x3), x3.reshape({2, 2, 4, 2, 4, 6}));
  same(nn::Unflatten(-1, {3, 2})(x3), x3.reshape({2, 8, 2, 4, 3, 2}));
  same(nn::Identity()(x3), x3);
  refused([] { nn::PixelShuffle3d(0); }, "PixelShuffle3d: upscale_factor is 0");
  refused([] { nn::Unflatten(1, Shape{}); }, "Unflatten: unflattened_size is ()");
  refused([] { nn::Unflatten(1, {-1, -1}); }, "at most one");
  refused([] { nn::Unflatten(1, {0}); }, "unflattened_size is (0)");
  refused([&] { nn::Unflatten(1, {3, -1})(x3); }, "can't be split into (3, -1)");
  refused([&] { nn::Unflatten(1, {2, 2})(x3); }, "can't be split into (2, 2)");
  refused([&] { nn::Unflatten(5, {2, 4})(x3); }, "Unflatten");
}

TEST_CASE("channel dropouts drop whole channels, in train() alone") {
  const auto channels = [](const auto& layer, const Tensor& x, const std::vector<std::int64_t>& spatial) {
    const Tensor y = layer(x);
    for (double mean : values(y.mean(spatial))) CHECK((mean == 0 || mean == 2));
    const double share = y.mean().template item<double>() / 2;
    CHECK(share == doctest::Approx(0.5).epsilon(0.2));
  };
  manual_seed(5);
  channels(nn::Dropout1d(), ones({32, 16, 3}), {2});
  channels(nn::Dropout1d(), ones({512, 3}), {1});
  channels(nn::Dropout2d(), ones({32, 16, 3, 2}), {2, 3});
  channels(nn::Dropout2d(), ones({32, 16, 3}), {2});
  channels(nn::Dropout3d(), ones({32, 16, 3, 2, 2}), {2, 3, 4});
  channels(nn::Dropout3d(), ones({512, 3, 2, 2}), {1, 2, 3});
  nn::Dropout2d evaluated;
  evaluated.eval();
  const Tensor x = randn({2, 3, 4, 5});
  same(evaluated(x), x);
  refused([] { nn::Dropout2d(-0.5); }, "Dropout2d: p is -0.5");
  refused([&] { nn::Dropout1d()(x); }, "dropout1d: input has shape (2, 3, 4, 5)");
}

TEST_CASE("RMSNorm divides by the root mean square") {
  const Tensor x = randn({2, 3, 4});
  same(nn::RMSNorm({3, 4})(x), F::rms_norm(x, {3, 4}));
  same(nn::RMSNorm({4}, {.eps = 0.5})(x), F::rms_norm(x, {4}, ones({4}), 0.5));
  refused([] { nn::RMSNorm({0}); }, "RMSNorm: normalized_shape is (0)");
  refused([] { nn::RMSNorm({2}, {.eps = -1}); }, "RMSNorm: eps is -1");
}

TEST_CASE("Embedding: padding, gradients by frequency and bounded norms are PyTorch's") {
  manual_seed(1);
  const nn::Embedding layer(50, 40, {.padding_idx = -50});
  CHECK(layer.options.padding_idx == 0);
  CHECK(amax(layer.weight[0].abs()).item<double>() == 0);
  CHECK(lucid::std(layer.weight).item<double>() == doctest::Approx(1).epsilon(0.1));
  const Tensor at = randint(0, 50, {3, 4});
  same(layer(at), F::embedding(at, layer.weight));

  const auto shared = nn::Embedding::from_pretrained(arange(12, f32).reshape({4, 3}), false,
                                                     {.padding_idx = 0, .scale_grad_by_freq = true});
  const Tensor by = Tensor::from({1, 2, 3, 4, 5}, {5, 1});
  (shared(Tensor::from({1, 3, 1, 0, 1}, {5}, i64)) * by).sum().backward();
  CHECK(values(shared.weight.grad()) == std::vector<double>{0, 0, 0, 3, 3, 3, 0, 0, 0, 2, 2, 2});
  CHECK_FALSE(nn::Embedding::from_pretrained(ones({2, 2})).weight.requires_grad());

  const auto bounded =
      nn::Embedding::from_pretrained(Tensor::from({3, 4, 0.3, 0.4, 6, 8}, {3, 2}), false, {.max_norm = 1});
  const auto rows = values(bounded(Tensor::from({0, 1}, {2}, i64)));
  const std::vector<double> expected{0.6, 0.8, 0.3, 0.4};
  for (std::size_t i = 0; i < 4; ++i) CHECK(rows[i] == doctest::Approx(expected[i]));
  CHECK(values(bounded.weight)[5] == 8);  // was not named
  refused([&] { bounded(full({1}, 3, i64)); }, "embedding: input holds 3");

  refused([] { nn::Embedding(0, 1); }, "num_embeddings is 0");
  refused([] { nn::Embedding(1, 0); }, "embedding_dim is 0");
  refused([] { nn::Embedding(3, 1, {.padding_idx = 3}); }, "padding_idx is 3");
  refused([] { nn::Embedding(3, 1, {.max_norm = -1}); }, "max_norm is -1");
  refused([] { nn::Embedding::from_pretrained(ones({3})); }, "weight has shape (3)");
}
