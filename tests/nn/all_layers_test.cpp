// Every layer by its text and keys, which are PyTorch's (1.13; where it has no such layer, those of the
// release that has it, or the style of its neighbours), by its fields, and by the path in its errors.
#include <doctest/doctest.h>

#include "nn/nn.hpp"

using namespace lucid;

namespace {

// "weight (3), bias (3)"
std::string keys(const nn::Module& module) {
  std::string out;
  for (const auto& [name, tensor] : module.state_dict())
    out += str(out.empty() ? "" : ", ", name, " ", tensor.shape());
  return out;
}

template <class M>
struct Holder : nn::Module {
  explicit Holder(M given) : part(std::move(given)) {}
  M part;
  LUCID_FIELDS(part)
};

// What the layer says when it is called with tensors that are undefined.
template <class M>
std::string refusal(const M& layer) {
  const Tensor none;
  try {
    if constexpr (requires { layer(none); })
      layer(none);
    else if constexpr (requires { layer(none, none); })
      layer(none, none);
    else
      layer(none, none, none);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

// What is compared of a layer; not a template, as hundreds of layers would compile it each.
struct Shown {
  std::string forgotten, text, state, state_of_clone;
  bool training_after_eval = true;
  std::string refusal = {};  // of undefined tensors
};

void compare(const Shown& shown, const std::string& text, const std::string& state) {
  CAPTURE(text);
  CHECK(shown.forgotten == "");
  CHECK(shown.text == text);
  CHECK(shown.state == state);
  CHECK(shown.state_of_clone == state);
  CHECK_FALSE(shown.training_after_eval);
  const std::string& message = shown.refusal;
  CAPTURE(message);
  const bool names_path =
      message.find(" (part): ") != std::string::npos || message.find(" (part, ") != std::string::npos;
  CHECK((names_path || (text == "Identity()" && message == "accepted")));
}

// `make` gives a new layer.
template <class Make>
void shows(Make make, const std::string& text, const std::string& state) {
  Holder holder(make());
  Shown shown{.forgotten = nn::forgotten_fields(make),
              .text = holder.part.str(),
              .state = keys(holder.part),
              .state_of_clone = keys(nn::clone(holder.part))};
  holder.eval();
  shown.training_after_eval = holder.part.training();
  shown.refusal = refusal(holder.part);
  compare(shown, text, state);
}

}  // namespace

TEST_CASE("PyTorch's text and keys: activations") {
  shows([] { return nn::ReLU(); }, "ReLU()", "");
  shows([] { return nn::ReLU6(); }, "ReLU6()", "");
  shows([] { return nn::SELU(); }, "SELU()", "");
  shows([] { return nn::SiLU(); }, "SiLU()", "");
  shows([] { return nn::Mish(); }, "Mish()", "");
  shows([] { return nn::Sigmoid(); }, "Sigmoid()", "");
  shows([] { return nn::LogSigmoid(); }, "LogSigmoid()", "");
  shows([] { return nn::Tanh(); }, "Tanh()", "");
  shows([] { return nn::Softsign(); }, "Softsign()", "");
  shows([] { return nn::Hardsigmoid(); }, "Hardsigmoid()", "");
  shows([] { return nn::Hardswish(); }, "Hardswish()", "");
  shows([] { return nn::LeakyReLU(); }, "LeakyReLU(negative_slope=0.01)", "");
  shows([] { return nn::ELU(); }, "ELU(alpha=1.0)", "");
  shows([] { return nn::CELU(); }, "CELU(alpha=1.0)", "");
  shows([] { return nn::PReLU(); }, "PReLU(num_parameters=1)", "weight (1)");
  shows([] { return nn::GELU(); }, "GELU(approximate='none')", "");
  shows([] { return nn::Hardtanh(); }, "Hardtanh(min_val=-1.0, max_val=1.0)", "");
  shows([] { return nn::LeakyReLU(0.25); }, "LeakyReLU(negative_slope=0.25)", "");
  shows([] { return nn::ELU(2); }, "ELU(alpha=2.0)", "");
  shows([] { return nn::CELU(0.5); }, "CELU(alpha=0.5)", "");
  shows([] { return nn::PReLU(3); }, "PReLU(num_parameters=3)", "weight (3)");
  shows([] { return nn::GELU("tanh"); }, "GELU(approximate='tanh')", "");
  shows([] { return nn::Softplus(); }, "Softplus(beta=1.0, threshold=20.0)", "");
  shows([] { return nn::Softplus(0.5, 3); }, "Softplus(beta=0.5, threshold=3.0)", "");
  shows([] { return nn::Hardtanh(-2, 0.5); }, "Hardtanh(min_val=-2.0, max_val=0.5)", "");
  shows([] { return nn::Threshold(0.1, 20); }, "Threshold(threshold=0.1, value=20.0)", "");
  shows([] { return nn::Softmax(1); }, "Softmax(dim=1)", "");
  shows([] { return nn::LogSoftmax(-1); }, "LogSoftmax(dim=-1)", "");
  shows([] { return nn::Softmin(0); }, "Softmin(dim=0)", "");
  shows([] { return nn::Softmax2d(); }, "Softmax2d()", "");
}

TEST_CASE("PyTorch's text and keys: convolutions and linear layers") {
  shows([] { return nn::Conv1d(4, 6, {.kernel_size = 3}); }, "Conv1d(4, 6, kernel_size=(3,), stride=(1,))",
        "weight (6, 4, 3), bias (6)");
  shows(
      [] {
        return nn::Conv1d(4, 6,
                          {.kernel_size = 3,
                           .padding = "same",
                           .dilation = 2,
                           .groups = 2,
                           .bias = false,
                           .padding_mode = "reflect"});
      },
      "Conv1d(4, 6, kernel_size=(3,), stride=(1,), padding=same, dilation=(2,), groups=2, bias=False, "
      "padding_mode=reflect)",
      "weight (6, 2, 3)");
  shows(
      [] {
        return nn::ConvTranspose1d(
            4, 6, {.kernel_size = 3, .stride = 2, .padding = 1, .output_padding = 1, .groups = 2});
      },
      "ConvTranspose1d(4, 6, kernel_size=(3,), stride=(2,), padding=(1,), output_padding=(1,), groups=2)",
      "weight (4, 3, 3), bias (6)");
  shows([] { return nn::Conv2d(4, 6, {.kernel_size = 3}); },
        "Conv2d(4, 6, kernel_size=(3, 3), stride=(1, 1))", "weight (6, 4, 3, 3), bias (6)");
  shows(
      [] {
        return nn::Conv2d(4, 6,
                          {.kernel_size = 3,
                           .padding = "same",
                           .dilation = 2,
                           .groups = 2,
                           .bias = false,
                           .padding_mode = "reflect"});
      },
      "Conv2d(4, 6, kernel_size=(3, 3), stride=(1, 1), padding=same, dilation=(2, 2), groups=2, bias=False, "
      "padding_mode=reflect)",
      "weight (6, 2, 3, 3)");
  shows(
      [] {
        return nn::ConvTranspose2d(
            4, 6, {.kernel_size = 3, .stride = 2, .padding = 1, .output_padding = 1, .groups = 2});
      },
      "ConvTranspose2d(4, 6, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), output_padding=(1, 1), "
      "groups=2)",
      "weight (4, 3, 3, 3), bias (6)");
  shows([] { return nn::Conv3d(4, 6, {.kernel_size = 3}); },
        "Conv3d(4, 6, kernel_size=(3, 3, 3), stride=(1, 1, 1))", "weight (6, 4, 3, 3, 3), bias (6)");
  shows(
      [] {
        return nn::Conv3d(4, 6,
                          {.kernel_size = 3,
                           .padding = "same",
                           .dilation = 2,
                           .groups = 2,
                           .bias = false,
                           .padding_mode = "reflect"});
      },
      "Conv3d(4, 6, kernel_size=(3, 3, 3), stride=(1, 1, 1), padding=same, dilation=(2, 2, 2), groups=2, "
      "bias=False, padding_mode=reflect)",
      "weight (6, 2, 3, 3, 3)");
  shows(
      [] {
        return nn::ConvTranspose3d(
            4, 6, {.kernel_size = 3, .stride = 2, .padding = 1, .output_padding = 1, .groups = 2});
      },
      "ConvTranspose3d(4, 6, kernel_size=(3, 3, 3), stride=(2, 2, 2), padding=(1, 1, 1), output_padding=(1, "
      "1, 1), groups=2)",
      "weight (4, 3, 3, 3, 3), bias (6)");
  shows(
      [] {
        return nn::Conv3d(4, 6,
                          {.kernel_size = {1, 2, 3},
                           .stride = {1, 2, 2},
                           .padding = {0, 1, 1},
                           .padding_mode = "circular"});
      },
      "Conv3d(4, 6, kernel_size=(1, 2, 3), stride=(1, 2, 2), padding=(0, 1, 1), padding_mode=circular)",
      "weight (6, 4, 1, 2, 3), bias (6)");
  shows([] { return nn::Linear(4, 3); }, "Linear(in_features=4, out_features=3, bias=True)",
        "weight (3, 4), bias (3)");
  shows([] { return nn::Linear(4, 3, {.bias = false}); }, "Linear(in_features=4, out_features=3, bias=False)",
        "weight (3, 4)");
  shows([] { return nn::Embedding(5, 3); }, "Embedding(5, 3)", "weight (5, 3)");
  shows(
      [] {
        return nn::Embedding(5, 3,
                             {.padding_idx = -1, .max_norm = 2, .norm_type = 1, .scale_grad_by_freq = true});
      },
      "Embedding(5, 3, padding_idx=4, max_norm=2.0, norm_type=1.0, scale_grad_by_freq=True)",
      "weight (5, 3)");
}

TEST_CASE("PyTorch's text and keys: normalisations and dropout") {
  shows([] { return nn::BatchNorm1d(3); },
        "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)",
        "weight (3), bias (3), running_mean (3), running_var (3), num_batches_tracked ()");
  shows([] { return nn::InstanceNorm1d(3); },
        "InstanceNorm1d(3, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False)", "");
  shows([] { return nn::BatchNorm2d(3); },
        "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)",
        "weight (3), bias (3), running_mean (3), running_var (3), num_batches_tracked ()");
  shows([] { return nn::InstanceNorm2d(3); },
        "InstanceNorm2d(3, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False)", "");
  shows([] { return nn::BatchNorm3d(3); },
        "BatchNorm3d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)",
        "weight (3), bias (3), running_mean (3), running_var (3), num_batches_tracked ()");
  shows([] { return nn::InstanceNorm3d(3); },
        "InstanceNorm3d(3, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False)", "");
  shows([] { return nn::BatchNorm3d(3, {.eps = 1, .momentum = std::nullopt, .affine = false}); },
        "BatchNorm3d(3, eps=1.0, momentum=None, affine=False, track_running_stats=True)",
        "running_mean (3), running_var (3), num_batches_tracked ()");
  shows([] { return nn::BatchNorm3d(3, {.track_running_stats = false}); },
        "BatchNorm3d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=False)",
        "weight (3), bias (3)");
  shows([] { return nn::InstanceNorm3d(3, {.affine = true, .track_running_stats = true}); },
        "InstanceNorm3d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)",
        "weight (3), bias (3), running_mean (3), running_var (3), num_batches_tracked ()");
  shows([] { return nn::GroupNorm(2, 4); }, "GroupNorm(2, 4, eps=1e-05, affine=True)",
        "weight (4), bias (4)");
  shows([] { return nn::GroupNorm(2, 4, {.affine = false}); }, "GroupNorm(2, 4, eps=1e-05, affine=False)",
        "");
  shows([] { return nn::LayerNorm({3}); }, "LayerNorm((3,), eps=1e-05, elementwise_affine=True)",
        "weight (3), bias (3)");
  shows(
      [] {
        return nn::LayerNorm({2, 3}, {.eps = 1e-6, .elementwise_affine = false});
      },
      "LayerNorm((2, 3), eps=1e-06, elementwise_affine=False)", "");
  shows(
      [] {
        return nn::LayerNorm({2, 3});
      },
      "LayerNorm((2, 3), eps=1e-05, elementwise_affine=True)", "weight (2, 3), bias (2, 3)");
  shows([] { return nn::Dropout(); }, "Dropout(p=0.5, inplace=False)", "");
  shows([] { return nn::Dropout1d(); }, "Dropout1d(p=0.5, inplace=False)", "");
  shows([] { return nn::Dropout2d(); }, "Dropout2d(p=0.5, inplace=False)", "");
  shows([] { return nn::Dropout3d(); }, "Dropout3d(p=0.5, inplace=False)", "");
  shows([] { return nn::Dropout3d(1); }, "Dropout3d(p=1.0, inplace=False)", "");
}

TEST_CASE("PyTorch's text and keys: pooling") {
  shows([] { return nn::MaxPool1d(2); },
        "MaxPool1d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)", "");
  shows([] { return nn::AvgPool1d(2); }, "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))", "");
  shows([] { return nn::MaxUnpool1d(2); }, "MaxUnpool1d(kernel_size=(2,), stride=(2,), padding=(0,))", "");
  shows([] { return nn::AdaptiveAvgPool1d(2); }, "AdaptiveAvgPool1d(output_size=2)", "");
  shows([] { return nn::AdaptiveMaxPool1d(2); }, "AdaptiveMaxPool1d(output_size=2)", "");
  shows([] { return nn::MaxPool2d(2); },
        "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)", "");
  shows([] { return nn::AvgPool2d(2); }, "AvgPool2d(kernel_size=2, stride=2, padding=0)", "");
  shows([] { return nn::MaxUnpool2d(2); }, "MaxUnpool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))",
        "");
  shows([] { return nn::AdaptiveAvgPool2d(2); }, "AdaptiveAvgPool2d(output_size=2)", "");
  shows([] { return nn::AdaptiveMaxPool2d(2); }, "AdaptiveMaxPool2d(output_size=2)", "");
  shows([] { return nn::MaxPool3d(2); },
        "MaxPool3d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)", "");
  shows([] { return nn::AvgPool3d(2); }, "AvgPool3d(kernel_size=2, stride=2, padding=0)", "");
  shows([] { return nn::MaxUnpool3d(2); },
        "MaxUnpool3d(kernel_size=(2, 2, 2), stride=(2, 2, 2), padding=(0, 0, 0))", "");
  shows([] { return nn::AdaptiveAvgPool3d(2); }, "AdaptiveAvgPool3d(output_size=2)", "");
  shows([] { return nn::AdaptiveMaxPool3d(2); }, "AdaptiveMaxPool3d(output_size=2)", "");
  shows(
      [] {
        return nn::MaxPool3d({.kernel_size = {1, 2, 3}, .stride = Dims3{1, 2, 2}, .ceil_mode = true});
      },
      "MaxPool3d(kernel_size=(1, 2, 3), stride=(1, 2, 2), padding=0, dilation=1, ceil_mode=True)", "");
  shows(
      [] {
        return nn::AvgPool3d({.kernel_size = {1, 2, 3}, .stride = 2, .padding = {0, 1, 1}});
      },
      "AvgPool3d(kernel_size=(1, 2, 3), stride=2, padding=(0, 1, 1))", "");
  shows(
      [] {
        return nn::AdaptiveAvgPool2d({{std::nullopt, 3}});
      },
      "AdaptiveAvgPool2d(output_size=(None, 3))", "");
  shows(
      [] {
        return nn::AdaptiveMaxPool3d({{2, 3, std::nullopt}});
      },
      "AdaptiveMaxPool3d(output_size=(2, 3, None))", "");
}

TEST_CASE("PyTorch's text and keys: padding and shapes") {
  shows([] { return nn::ConstantPad1d(1, 2.5); }, "ConstantPad1d(padding=(1, 1), value=2.5)", "");
  shows([] { return nn::ReflectionPad1d(1); }, "ReflectionPad1d((1, 1))", "");
  shows([] { return nn::ReplicationPad1d(1); }, "ReplicationPad1d((1, 1))", "");
  shows([] { return nn::ConstantPad2d(1, 2.5); }, "ConstantPad2d(padding=(1, 1, 1, 1), value=2.5)", "");
  shows([] { return nn::ReflectionPad2d(1); }, "ReflectionPad2d((1, 1, 1, 1))", "");
  shows([] { return nn::ReplicationPad2d(1); }, "ReplicationPad2d((1, 1, 1, 1))", "");
  shows([] { return nn::ConstantPad3d(1, 2.5); }, "ConstantPad3d(padding=(1, 1, 1, 1, 1, 1), value=2.5)", "");
  shows([] { return nn::ReflectionPad3d(1); }, "ReflectionPad3d((1, 1, 1, 1, 1, 1))", "");
  shows([] { return nn::ReplicationPad3d(1); }, "ReplicationPad3d((1, 1, 1, 1, 1, 1))", "");
  shows([] { return nn::ZeroPad2d(1); }, "ZeroPad2d((1, 1, 1, 1))", "");
  shows([] { return nn::ZeroPad2d({1, 2, 0, 3}); }, "ZeroPad2d((1, 2, 0, 3))", "");
  shows([] { return nn::PixelShuffle(2); }, "PixelShuffle(upscale_factor=2)", "");
  shows([] { return nn::PixelUnshuffle(2); }, "PixelUnshuffle(downscale_factor=2)", "");
  shows([] { return nn::Upsample({.scale_factor = {2}}); }, "Upsample(scale_factor=2.0, mode=nearest)", "");
  shows(
      [] {
        return nn::Upsample({.scale_factor = {1, 2.5}, .mode = InterpolateMode::bilinear});
      },
      "Upsample(scale_factor=(1.0, 2.5), mode=bilinear)", "");
  shows([] { return nn::Upsample({.size = {3, 4}}); }, "Upsample(size=(3, 4), mode=nearest)", "");
  shows([] { return nn::UpsamplingNearest2d({.scale_factor = {2}}); },
        "UpsamplingNearest2d(scale_factor=2.0, mode=nearest)", "");
  shows(
      [] {
        return nn::UpsamplingBilinear2d({.size = {3, 4}});
      },
      "UpsamplingBilinear2d(size=(3, 4), mode=bilinear)", "");
  shows([] { return nn::Flatten(); }, "Flatten(start_dim=1, end_dim=-1)", "");
  shows([] { return nn::Flatten(0, 1); }, "Flatten(start_dim=0, end_dim=1)", "");
  shows([] { return nn::Unflatten(1, {2, 3}); }, "Unflatten(dim=1, unflattened_size=(2, 3))", "");
  shows([] { return nn::Identity(); }, "Identity()", "");
}

TEST_CASE("PyTorch's text and keys: losses") {
  shows([] { return nn::CrossEntropyLoss(); }, "CrossEntropyLoss()", "");
  shows([] { return nn::NLLLoss(); }, "NLLLoss()", "");
  shows([] { return nn::MSELoss(); }, "MSELoss()", "");
  shows([] { return nn::L1Loss(); }, "L1Loss()", "");
  shows([] { return nn::SmoothL1Loss(); }, "SmoothL1Loss()", "");
  shows([] { return nn::HuberLoss(); }, "HuberLoss()", "");
  shows([] { return nn::KLDivLoss(); }, "KLDivLoss()", "");
  shows([] { return nn::BCELoss(); }, "BCELoss()", "");
  shows([] { return nn::BCEWithLogitsLoss(); }, "BCEWithLogitsLoss()", "");
  shows([] { return nn::CosineSimilarity(); }, "CosineSimilarity()", "");
  shows([] { return nn::CosineEmbeddingLoss(); }, "CosineEmbeddingLoss()", "");
  shows([] { return nn::CrossEntropyLoss({.weight = ones({3})}); }, "CrossEntropyLoss()", "weight (3)");
  shows([] { return nn::NLLLoss({.weight = ones({3})}); }, "NLLLoss()", "weight (3)");
  shows([] { return nn::BCELoss({.weight = ones({3})}); }, "BCELoss()", "weight (3)");
  shows(
      [] {
        return nn::BCEWithLogitsLoss({.weight = ones({3}), .pos_weight = ones({1, 3})});
      },
      "BCEWithLogitsLoss()", "weight (3), pos_weight (1, 3)");
  shows([] { return nn::BCEWithLogitsLoss({.pos_weight = ones({3})}); }, "BCEWithLogitsLoss()",
        "pos_weight (3)");
}

TEST_CASE("text and keys of layers that PyTorch 1.13 has not") {
  shows([] { return nn::RMSNorm({3}); }, "RMSNorm((3,), eps=None, elementwise_affine=True)", "weight (3)");
  shows(
      [] {
        return nn::RMSNorm({2, 3}, {.eps = 1e-6, .elementwise_affine = false});
      },
      "RMSNorm((2, 3), eps=1e-06, elementwise_affine=False)", "");
  shows([] { return nn::ZeroPad1d(2); }, "ZeroPad1d((2, 2))", "");
  shows([] { return nn::ZeroPad3d(1); }, "ZeroPad3d((1, 1, 1, 1, 1, 1))", "");
  shows([] { return nn::CircularPad1d(1); }, "CircularPad1d((1, 1))", "");
  shows([] { return nn::CircularPad2d(1); }, "CircularPad2d((1, 1, 1, 1))", "");
  shows([] { return nn::CircularPad3d({1, 2, 0, 0, 1, 1}); }, "CircularPad3d((1, 2, 0, 0, 1, 1))", "");
  shows([] { return nn::PixelShuffle3d(2); }, "PixelShuffle3d(upscale_factor=2)", "");
  shows([] { return nn::PixelUnshuffle3d(2); }, "PixelUnshuffle3d(downscale_factor=2)", "");
  shows([] { return nn::GlobalAvgPool(); }, "GlobalAvgPool(keepdim=True)", "");
  shows([] { return nn::GlobalMaxPool({.keepdim = false}); }, "GlobalMaxPool(keepdim=False)", "");
}

TEST_CASE("PyTorch's keys: attention") {
  const std::string text =
      "MultiheadAttention(\n  (out_proj): Linear(in_features=8, out_features=8, bias=True)\n)";
  shows([] { return nn::MultiheadAttention(8, 2); }, text,
        "in_proj_weight (24, 8), in_proj_bias (24), out_proj.weight (8, 8), out_proj.bias (8)");
  shows([] { return nn::MultiheadAttention(8, 2, {.add_bias_kv = true, .kdim = 6}); }, text,
        "q_proj_weight (8, 8), k_proj_weight (8, 6), v_proj_weight (8, 8), in_proj_bias (24), bias_k (1, 1, "
        "8), "
        "bias_v (1, 1, 8), out_proj.weight (8, 8), out_proj.bias (8)");
}

TEST_CASE("text and keys of losses of regions") {
  shows([] { return nn::DiceLoss(); }, "DiceLoss()", "");
  shows([] { return nn::DiceCELoss(); }, "DiceCELoss()", "");
  shows([] { return nn::DiceCELoss({.weight = ones({3})}); }, "DiceCELoss()", "weight (3)");
  shows([] { return nn::GeneralizedDiceLoss(); }, "GeneralizedDiceLoss()", "");
  shows([] { return nn::TverskyLoss(); }, "TverskyLoss()", "");
  shows([] { return nn::FocalTverskyLoss(); }, "FocalTverskyLoss()", "");
  shows([] { return nn::FocalLoss(); }, "FocalLoss()", "");
  shows([] { return nn::FocalLoss({.weight = ones({3})}); }, "FocalLoss()", "class_weight (3)");
  shows([] { return nn::HausdorffDTLoss(); }, "HausdorffDTLoss()", "");
  shows([] { return nn::BoundaryLoss(); }, "BoundaryLoss()", "");
}
