#include "examples/segmentation/model.hpp"

#include <algorithm>
#include <filesystem>

#include "autograd/grad_mode.hpp"
#include "examples/segmentation/error.hpp"
#include "examples/segmentation/files.hpp"

namespace segment {
namespace {

namespace models = lucid::nn::models;

models::UNet3dOptions net_options(const Config& config) {
  return {.in_channels = 1,
          .out_channels = config.class_count(),
          .channels = config.net.channels,
          .norm = config.net.norm == "instance" ? models::Norm::instance
                  : config.net.norm == "batch"  ? models::Norm::batch
                                                : models::Norm::none,
          .activation = config.net.activation == "leaky_relu" ? models::Activation::leaky_relu
                                                              : models::Activation::relu,
          .decoder = config.net.decoder == "conv_transpose" ? models::Decoder::conv_transpose
                                                            : models::Decoder::upsample};
}

}  // namespace

UNet make_net(const Config& config) { return UNet(net_options(config)); }

void save_model(const std::string& folder, const Config& config, const UNet& net) {
  write_file(folder + "/model.json", to_json(config) + "\n");
  net.save(folder + "/model.safetensors");
}

Model load_model(const std::string& path) {
  namespace fs = std::filesystem;
  const std::string weights = fs::is_directory(path) ? path + "/model.safetensors" : path;
  const std::string json = fs::path(weights).replace_extension(".json").string();
  if (!fs::exists(weights))
    fail(weights, ": no such file; give a folder that `train` wrote, or its model.safetensors");
  if (!fs::exists(json)) fail(json, ": no such file; the model's config must lie beside ", weights);
  Config config = read_config(json);
  UNet net = make_net(config);
  try {
    net.load(weights);
  } catch (const lucid::IoError& error) {
    fail(error.what(), "; is it a model that `train` wrote?");
  } catch (const lucid::Error& error) {
    fail(weights, ": does not hold the net of ", json, " (", error.what(), ")");
  }
  net.eval();
  return {std::move(config), std::move(net)};
}

WeightAverage::WeightAverage(const UNet& net, double memory)
    : memory_(memory), model_(memory > 0 ? lucid::nn::clone(net) : net) {}

void WeightAverage::update(const UNet& net, std::int64_t step) {
  if (memory_ == 0) return;
  const lucid::no_grad guard;
  const auto n = static_cast<double>(step);
  const double memory = std::min(memory_, n / (n + 10));
  const auto mine = model_.state_dict(), theirs = net.state_dict();
  for (const auto& [name, tensor] : mine) {
    if (lucid::is_floating(tensor.dtype())) {
      tensor.mul_(memory);
      tensor.add_(theirs.at(name), 1 - memory);
    } else {
      tensor.copy_(theirs.at(name));
    }
  }
}

}  // namespace segment
