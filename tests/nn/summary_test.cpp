#include <doctest/doctest.h>

#include "autograd/record.hpp"
#include "lucid/allocator.hpp"
#include "nn/models/unet3d.hpp"
#include "nn/nn.hpp"
#include "nn/summary.hpp"
#include "ops/activation.hpp"
#include "tests/threads.hpp"

using namespace lucid;
namespace F = lucid::nn::functional;

namespace {

struct Net : nn::Module {
  nn::Conv3d conv{2, 4, {.kernel_size = 3, .padding = 1}};
  nn::BatchNorm3d norm{4};
  nn::Dropout drop{0.5};
  nn::Linear unused{2, 2};
  LUCID_FIELDS(conv, norm, drop, unused)
  Tensor operator()(const Tensor& x) const { return F::leaky_relu(drop(norm(conv(x)))) + 1.0; }
};

Tensors no_gradient(const autograd::Backward<autograd::NoOptions>&) { return {Tensor()}; }

// An op that is computed by others.
Tensor fourfold(const Tensor& x) {
  const autograd::OpTimer timer("fourfold");
  Tensor y;
  {
    const no_grad guard;
    y = (x + x) * 2.0;
  }
  return autograd::record("fourfold", y, {x}, {}, autograd::NoOptions{}, no_gradient);
}

struct Joined : nn::Module {
  nn::Conv3d conv{3, 4, {.kernel_size = 3, .padding = 1}};
  LUCID_FIELDS(conv)
  Tensor operator()(const Tensor& x) const { return conv(Tensors{x, x.narrow(1, 0, 1)}); }
};

struct Inner : nn::Module {
  nn::Parameter scale{ones({3})};
  LUCID_FIELDS(scale)
  Tensor operator()(const Tensor& x) const { return fourfold(x * scale) + 1.0; }
};

// Holds the most at the end of its forward pass, beside what is kept.
struct ForwardHeavy : nn::Module {
  nn::Conv3d conv{1, 8, {.kernel_size = 3, .padding = 1}};
  LUCID_FIELDS(conv)
  Tensor operator()(const Tensor& x) const {
    const Tensor y = conv(x).tanh().tanh().tanh();
    const Tensor a = y + 1.0, b = a + 1.0, c = b + 1.0, d = c + 1.0;
    return (((a + b) + c) + d).sum();
  }
};

// Peaks over what was held before, of one call each.
template <class Make, class Call>
std::int64_t measured(Make make, Call call) {
  const std::int64_t before = memory_stats().current_bytes;
  auto net = make();
  reset_peak_memory();
  call(net);
  return memory_stats().peak_bytes - before;
}

void check_within(std::int64_t predicted, std::int64_t real, double tolerance) {
  INFO("predicted ", predicted, ", measured ", real);
  CHECK(static_cast<double>(predicted) >= (1 - tolerance) * static_cast<double>(real));
  CHECK(static_cast<double>(predicted) <= (1 + tolerance) * static_cast<double>(real));
}

// The prediction is held against memory_stats() of a real step and of inference.
void check_prediction(const nn::models::UNet3dOptions& options, const Shape& shape) {
  const Threads threads(2);  // the prediction leaves out what each thread of the backward pass has of its own
  const auto make = [&] { return nn::models::UNet3d(options); };
  nn::Summary told;
  {
    auto net = make();
    told = nn::summary(net, shape);
  }
  const std::int64_t training = measured(make, [&](auto& net) {
    const Tensor x = rand(shape);
    const Tensor y = net(x);
    y.backward(ones_like(y));
  });
  const std::int64_t inference = measured(make, [&](auto& net) {
    const no_grad guard;
    net.eval();
    net(rand(shape));
  });
  check_within(told.training_peak_bytes, training, 0.02);
  check_within(told.inference_peak_bytes, inference, 0.02);
  // With a loss, which keeps the logits' softmax or the logits for its own backward pass.
  const Tensor target = zeros({shape[0], shape[2], shape[3], shape[4]}, i64);
  const std::int64_t with_loss =
      measured(make, [&](auto& net) { F::cross_entropy(net(rand(shape)), target).backward(); });
  check_within(told.training_peak_bytes, with_loss, 0.1);
}

const nn::SummaryRow& row_of(const nn::Summary& summary, const std::string& path, const std::string& type) {
  for (const nn::SummaryRow& row : summary.rows)
    if (row.path == path && row.type == type) return row;
  FAIL("no row of ", path, " ", type);
  return summary.rows.front();
}

}  // namespace

TEST_CASE("a summary lists layers and bare ops with shapes, parameters and flops") {
  Net net;
  const nn::Summary summary = nn::summary(net, {1, 2, 4, 5, 6});
  std::vector<std::string> types;
  for (const nn::SummaryRow& row : summary.rows) types.push_back(row.type);
  CHECK(types == std::vector<std::string>{"Conv3d", "BatchNorm3d", "Dropout", "leaky_relu", "add"});
  const nn::SummaryRow& conv = row_of(summary, "conv", "Conv3d");
  CHECK(conv.input == Shape{1, 2, 4, 5, 6});
  CHECK(conv.output == Shape{1, 4, 4, 5, 6});
  CHECK(conv.parameters == 4 * 2 * 27 + 4);
  CHECK(conv.flops == 2.0 * 120 * 4 * 2 * 27);
  CHECK(conv.kept_bytes == 0);  // the input, which lives anyway
  CHECK(row_of(summary, "norm", "BatchNorm3d").parameters == 8);
  CHECK(row_of(summary, "norm", "BatchNorm3d").kept_bytes >= 120 * 4 * 4);
  CHECK(row_of(summary, "drop", "Dropout").kept_bytes ==
        512);  // its mask of 480 bytes, in the allocator's class
  CHECK(row_of(summary, "", "leaky_relu").parameters == 0);
  CHECK(summary.parameters == net.num_parameters());
  CHECK(summary.trainable_parameters == net.num_parameters());
  CHECK(summary.uncalled == std::vector<std::string>{"unused"});
  const std::string text = summary.str();
  CHECK(text.find("not called: unused") != std::string::npos);
  CHECK(text.find("\nconv  ") != std::string::npos);
  CHECK(text.find("(1, 4, 4, 5, 6)") != std::string::npos);
}

TEST_CASE("a convolution of joined inputs shows the first of them, not its parameters") {
  Joined net;
  const nn::Summary summary = nn::summary(net, {1, 2, 4, 5, 6});
  const nn::SummaryRow& conv = row_of(summary, "conv", "Conv3d");
  CHECK(conv.input == Shape{1, 2, 4, 5, 6});
  CHECK(conv.flops == 2.0 * 120 * 4 * 3 * 27);
}

TEST_CASE("a summary leaves modes, buffers, gradients, the generator and the memory peak as they were") {
  Net net;
  net.norm.eval();
  manual_seed(5);
  const std::uint64_t offset = default_generator().offset();
  const auto mean = net.norm.running_mean.to_vector<float>();
  const std::int64_t peak = memory_stats().peak_bytes, current = memory_stats().current_bytes;
  nn::summary(net, {1, 2, 4, 5, 6});
  CHECK(net.training());
  CHECK_FALSE(net.norm.training());
  CHECK(net.drop.training());
  CHECK(net.norm.running_mean.to_vector<float>() == mean);
  CHECK(net.norm.num_batches_tracked.item<std::int64_t>() == 0);
  CHECK(default_generator().offset() == offset);
  CHECK_FALSE(net.conv.weight.grad().defined());
  CHECK(memory_stats().current_bytes == current);
  CHECK(memory_stats().peak_bytes >= peak);
  // Recording is as before, too.
  CHECK(net(rand({1, 2, 4, 5, 6})).requires_grad());
}

TEST_CASE("the flops and parameters of the rows add up to those of the net, a submodule has its own names") {
  nn::models::UNet3d net({.channels = {4, 8}});
  const nn::Summary summary = nn::summary(net, {1, 1, 8, 8, 8});
  std::int64_t parameters = 0;
  double flops = 0;
  for (const nn::SummaryRow& row : summary.rows) parameters += row.parameters, flops += row.flops;
  CHECK(parameters == net.num_parameters());
  CHECK(flops == summary.flops);
  CHECK(row_of(summary, "encoder.1.conv2", "Conv3d").input == Shape{1, 8, 4, 4, 4});
  CHECK(row_of(summary, "decoder.0.up", "ConvTranspose3d").output == Shape{1, 4, 8, 8, 8});
  const nn::Summary part = nn::summary(net.encoder[1], {1, 4, 4, 4, 4});
  CHECK(part.rows.front().path == "conv1");
  CHECK(part.parameters == net.encoder[1].num_parameters());
}

TEST_CASE("what an op computes by other ops counts once") {
  Inner net;
  const nn::Summary summary = nn::summary(net, {2, 3});
  std::vector<std::string> types;
  for (const nn::SummaryRow& row : summary.rows) types.push_back(row.type);
  CHECK(types == std::vector<std::string>{"mul", "fourfold", "add"});
  CHECK(summary.flops == 3 * 6);
  CHECK(summary.rows[0].parameters == 3);
}

TEST_CASE("inputs may be given, and an error of the net comes out and restores it") {
  nn::Embedding words(10, 3);
  const nn::Summary summary = nn::summary_of_call(words, Tensor::from({1, 2}, {2}, i64));
  CHECK(summary.training_peak_bytes >= summary.inference_peak_bytes);
  Net net;
  CHECK_THROWS_WITH_AS(nn::summary(net, {1, 3, 4, 5, 6}), doctest::Contains("3 channels"), Error);
  CHECK(net.training());
  CHECK(autograd::is_recording());
}

TEST_CASE(
    "the predicted peaks of a U-Net are what memory_stats() measures, within 2 percent; 10 with a loss") {
  // large enough that the scratch memory of a kernel, which is not known, is a hundredth
  check_prediction({.channels = {8, 16, 32, 64}}, {1, 1, 64, 64, 64});
  check_prediction({.out_channels = 4, .channels = {8, 16}, .norm = nn::models::Norm::batch},
                   {2, 1, 48, 40, 48});
  check_prediction(
      {.channels = {8, 16, 32}, .norm = nn::models::Norm::none, .decoder = nn::models::Decoder::upsample},
      {1, 1, 48, 48, 48});
  check_prediction({.channels = {8, 16, 32, 64}, .checkpoint = true}, {1, 1, 64, 64, 64});
}

TEST_CASE("the peak of a step that holds the most in its forward pass is predicted, too") {
  const Shape shape{1, 1, 16, 16, 16};
  nn::Summary told;
  {
    ForwardHeavy net;
    told = nn::summary(net, shape);
  }
  const std::int64_t training =
      measured([] { return ForwardHeavy(); }, [&](auto& net) { net(rand(shape)).backward(); });
  check_within(told.training_peak_bytes, training, 0.02);
}
