#include "nn/conv.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "lucid/random.hpp"
#include "refusal.hpp"

using namespace lucid;

namespace {

double largest(const Tensor& tensor) {
  double out = 0;
  for (double value : tensor.to_vector<double>()) out = std::max(out, std::abs(value));
  return out;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Arguments as PyTorch's module takes them: in, out, the others by name.
std::string refused_transpose(std::int64_t in, std::int64_t out, const nlohmann::json& options) {
  return refusal([&] { nn::ConvTranspose3d(in, out, nn::ConvTranspose3d::read_options(options)); });
}

}  // namespace

TEST_CASE("weights have PyTorch's shapes and initial bounds") {
  manual_seed(1);
  const nn::Conv3d conv(8, 16, {.kernel_size = {3, 1, 5}, .groups = 4});
  CHECK(conv.weight.shape() == Shape{16, 2, 3, 1, 5});
  CHECK(conv.bias.shape() == Shape{16});
  const nn::ConvTranspose3d up(8, 16, {.kernel_size = 3, .groups = 4});
  CHECK(up.weight.shape() == Shape{8, 4, 3, 3, 3});
  CHECK(up.bias.shape() == Shape{16});
  const double bound = 1 / std::sqrt(4.0 * 27);  // the fan of a transposed weight is that of its output side
  CHECK(largest(up.weight) <= bound);
  CHECK(largest(up.weight) > 0.98 * bound);
  CHECK(largest(up.bias) <= bound);
  CHECK(largest(up.bias) > 0.5 * bound);
  CHECK_FALSE(nn::Conv2d(1, 1, {.kernel_size = 1, .bias = false}).bias.defined());
  CHECK(nn::Conv1d(4, 2, {.kernel_size = 3}).weight.shape() == Shape{2, 4, 3});
}

TEST_CASE("a layer computes what its function does") {
  manual_seed(2);
  const Tensor x = randn({2, 4, 5, 6, 7});
  const nn::Conv3d conv(
      4, 6, {.kernel_size = 3, .stride = {1, 2, 1}, .padding = 1, .dilation = {1, 1, 2}, .groups = 2});
  CHECK(conv(x).to_vector<float>() ==
        conv3d(x, conv.weight, conv.bias,
               {.stride = {1, 2, 1}, .padding = 1, .dilation = {1, 1, 2}, .groups = 2})
            .to_vector<float>());
  const nn::ConvTranspose3d up(
      4, 6, {.kernel_size = 3, .stride = 2, .padding = 1, .output_padding = {0, 1, 1}, .groups = 2});
  CHECK(up(x).shape() == Shape{2, 6, 9, 12, 14});
  CHECK(up(x).to_vector<float>() ==
        conv_transpose3d(x, up.weight, up.bias,
                         {.stride = 2, .padding = 1, .output_padding = {0, 1, 1}, .groups = 2})
            .to_vector<float>());
  CHECK(nn::Conv1d(4, 2, {.kernel_size = 3, .padding = "same"})(randn({4, 9})).shape() == Shape{2, 9});
  CHECK(nn::ConvTranspose2d(4, 2, {.kernel_size = 2, .stride = 2})(randn({1, 4, 3, 3})).shape() ==
        Shape{1, 2, 6, 6});
}

TEST_CASE("padding modes fill the border from the input") {
  const Tensor x = Tensor::from({1, 2, 3, 4}, {1, 1, 4});
  const auto with = [&](const char* mode, const Padding<1>& padding) {
    const nn::Conv1d sum(1, 1, {.kernel_size = 3, .padding = padding, .bias = false, .padding_mode = mode});
    sum.weight.detach().fill_(1);
    return sum(x).to_vector<float>();
  };
  CHECK(with("zeros", 1) == std::vector<float>{3, 6, 9, 7});
  CHECK(with("reflect", 1) == std::vector<float>{5, 6, 9, 10});
  CHECK(with("replicate", 1) == std::vector<float>{4, 6, 9, 11});
  CHECK(with("circular", 1) == std::vector<float>{7, 6, 9, 8});
  CHECK(with("circular", "same") == with("circular", 1));
  const nn::Conv3d even(1, 1, {.kernel_size = {1, 2, 4}, .padding = "same", .padding_mode = "replicate"});
  CHECK(even(randn({1, 1, 3, 4, 5})).shape() == Shape{1, 1, 3, 4, 5});
}

TEST_CASE("output_size reaches every valid output_padding") {
  const Tensor x = randn({2, 3, 6, 6, 6});
  const nn::ConvTranspose3d up(3, 4, {.kernel_size = 3, .stride = 3});
  CHECK(up(x, {18, 19, 20}).shape() == Shape{2, 4, 18, 19, 20});
  CHECK(up(x, {2, 4, 20, 18, 18}).shape() == Shape{2, 4, 20, 18, 18});
  CHECK(up(x[0], {4, 18, 20, 18}).shape() == Shape{4, 18, 20, 18});
  // dilation above stride leaves more room than PyTorch lets one reach
  const nn::ConvTranspose3d wide(3, 4, {.kernel_size = 2, .stride = 1, .dilation = 3});
  CHECK(wide(x, {9, 10, 11}).shape() == Shape{2, 4, 9, 10, 11});
  CHECK(wide.output_padding_for(x.shape(), {9, 10, 11}) == Dims3{0, 1, 2});

  const auto refused = [&](const nn::ConvTranspose3d& layer, const Shape& size) {
    return refusal([&] { layer(x, size); });
  };
  CHECK(
      refused(up, {18, 18, 21}) ==
      "ConvTranspose3d: output_size is (18, 18, 21); an input of spatial size (6, 6, 6) can give sizes from "
      "(18, 18, 18) to (20, 20, 20)");
  CHECK(contains(refused(up, {18, 15, 15}), "(18, 15, 15)"));
  CHECK(contains(refused(wide, {9, 9, 12}), "to (11, 11, 11)"));
  CHECK(contains(refused(up, {18, 18}), "output_size is (18, 18); 3 or 5 values"));
  CHECK(contains(refused(up, {4, 18, 18, 18}), "output_size is (4, 18, 18, 18); 3 or 5 values"));
  CHECK(contains(refused(up, {9, 9, 18, 18, 18}),
                 "output_size is (9, 9, 18, 18, 18); the batch and channels of the "
                 "result make it (2, 4, 18, 18, 18)"));
  CHECK(contains(refusal([&] { up(randn({3, 3}), {1, 1, 1}); }), "input has shape (3, 3)"));
}

TEST_CASE("constructors refuse what no call could use") {
  CHECK(contains(refused_transpose(3, 3, {{"kernel_size", 3}, {"padding_mode", "reflect"}}),
                 "ConvTranspose3d: padding_mode is \"reflect\""));
  CHECK(contains(refused_transpose(3, 3, {{"kernel_size", 3}, {"padding_mode", "xyz"}}), "\"xyz\""));
  CHECK(contains(refused_transpose(3, 0, {{"kernel_size", 3}}), "ConvTranspose3d: out_channels is 0"));
  CHECK(contains(refused_transpose(3, -1, {{"kernel_size", 3}}), "ConvTranspose3d: out_channels is -1"));
  CHECK(contains(refused_transpose(2, 2, {{"kernel_size", {3, 3}}}),
                 "ConvTranspose3d: option \"kernel_size\""));
  CHECK(contains(refused_transpose(8, 8, {{"kernel_size", 3}, {"output_padding", 1}}),
                 "ConvTranspose3d: output_padding is 1 on axis 0; it must be smaller"));
  CHECK(contains(refused_transpose(3, 3, {{"kernel_size", 0}}), "kernel_size is (0, 0, 0)"));
  CHECK(contains(refused_transpose(3, 3, {}), "kernel_size is (0, 0, 0)"));
  CHECK(
      contains(refused_transpose(3, 3, {{"kernel_size", 3}, {"stride", {1, 0, 1}}}), "stride is (1, 0, 1)"));
  CHECK(contains(refused_transpose(3, 3, {{"kernel_size", 3}, {"dilation", 0}}), "dilation is (0, 0, 0)"));
  CHECK(contains(refused_transpose(3, 3, {{"kernel_size", 3}, {"padding", -1}}), "padding is (-1, -1, -1)"));
  CHECK(contains(refused_transpose(3, 4, {{"kernel_size", 3}, {"groups", 2}}),
                 "in_channels is 3, which groups = 2"));
  CHECK(contains(refused_transpose(4, 3, {{"kernel_size", 3}, {"groups", 2}}),
                 "out_channels is 3, which groups = 2"));
  CHECK(contains(refused_transpose(4, 4, {{"kernel_size", 3}, {"groups", 0}}), "groups is 0"));
  CHECK(contains(refused_transpose(4, 4, {{"kernel_size", 3}, {"strides", 1}}), "strides"));
  const auto conv = [](const nlohmann::json& options) {
    return refusal([&] { nn::Conv3d(3, 3, nn::Conv3d::read_options(options)); });
  };
  CHECK(contains(conv({{"kernel_size", 3}, {"padding_mode", "xyz"}}), "Conv3d: padding_mode is \"xyz\""));
  CHECK(contains(conv({{"kernel_size", 3}, {"padding", "same"}, {"stride", 2}}),
                 "stride is (2, 2, 2) with padding \"same\""));
  CHECK(contains(conv({{"kernel_size", 3}, {"padding", "some"}}), "\"some\""));
  CHECK(conv({{"kernel_size", 3}, {"padding", "same"}, {"bias", false}}) == "accepted");
}

TEST_CASE("errors of a call name the layer's path") {
  struct Net : nn::Module {
    std::vector<nn::ConvTranspose3d> ups{nn::ConvTranspose3d(2, 2, {.kernel_size = 2})};
    LUCID_FIELDS(ups)
  } net;
  CHECK(nn::forgotten_fields([] { return Net(); }) == "");
  net.parameters();
  const std::string message = refusal([&] { net.ups[0](randn({1, 3, 2, 2, 2})); });
  CHECK(contains(message, "conv_transpose3d (ups.0): "));
  CHECK(contains(refusal([&] {
                   net.ups[0](randn({1, 2, 2, 2, 2}), {9, 9, 9});
                 }),
                 "ConvTranspose3d (ups.0): "));
}

TEST_CASE("layers print as PyTorch's do") {
  CHECK(nn::Conv3d(1, 8, {.kernel_size = 3, .padding = 1, .bias = false}).str() ==
        "Conv3d(1, 8, kernel_size=(3, 3, 3), stride=(1, 1, 1), padding=(1, 1, 1), bias=False)");
  CHECK(nn::ConvTranspose3d(4, 8, {.kernel_size = 2, .stride = 2, .output_padding = 1, .groups = 2}).str() ==
        "ConvTranspose3d(4, 8, kernel_size=(2, 2, 2), stride=(2, 2, 2), output_padding=(1, 1, 1), groups=2)");
  CHECK(nn::Conv1d(1, 1, {.kernel_size = 3, .padding = "same", .dilation = 2, .padding_mode = "reflect"})
            .str() ==
        "Conv1d(1, 1, kernel_size=(3,), stride=(1,), padding=same, dilation=(2,), padding_mode=reflect)");
}
