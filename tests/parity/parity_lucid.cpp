// parity_lucid CONFIG FOLDER STEPS DTYPE: takes the first training steps of a config in float32 or float64.
// Writes to FOLDER what another framework needs to take the same steps, initial.safetensors (the weights at
// the start) and patches.safetensors (image.0, classes.0, ...), both in float32, and lucid.json, the loss and
// the seconds of each step.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "examples/segmentation/files.hpp"
#include "examples/segmentation/preprocess.hpp"
#include "examples/segmentation/recipe.hpp"
#include "examples/segmentation/sampler.hpp"
#include "lucid/safetensors.hpp"

namespace {

using namespace segment;

std::vector<Patches> draw_patches(const Config& config, int steps, lucid::Generator& generator) {
  const Case scan = load_case(config);
  const Sampler sampler(crop(scan.image, config.train, "train"), crop(scan.classes, config.train, "train"),
                        config);
  std::vector<Patches> patches;
  for (int i = 0; i < steps; ++i) patches.push_back(sampler.draw(generator));
  return patches;
}

void run(const Config& config, const std::string& folder, int steps, lucid::DType dtype) {
  lucid::manual_seed(static_cast<std::uint64_t>(config.seed));
  UNet net = make_net(config);
  const std::vector<Patches> patches = draw_patches(config, steps, lucid::default_generator());
  lucid::NamedTensors named;
  for (std::size_t i = 0; i < patches.size(); ++i) {
    named.add("image." + std::to_string(i), patches[i].image);
    named.add("classes." + std::to_string(i), patches[i].classes);
  }
  lucid::safetensors::save(folder + "/patches.safetensors", named);
  net.save(folder + "/initial.safetensors");

  net.to(dtype);
  const auto optimizer = make_optimizer(net, config.optimizer);
  auto schedule = make_schedule(*optimizer, config);
  std::vector<double> losses, seconds;
  for (const auto& [patch, classes] : patches) {
    const lucid::Tensor image = patch.to(dtype);
    const auto start = std::chrono::steady_clock::now();
    const lucid::Tensor loss = segmentation_loss(net(image), classes, config.loss);
    optimizer->zero_grad();
    loss.backward();
    optimizer->step();
    schedule.step();
    losses.push_back(loss.item<double>());
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  write_file(folder + "/lucid.json", nlohmann::json({{"loss", losses}, {"seconds", seconds}}).dump());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 5) {
      std::fprintf(stderr, "usage: parity_lucid CONFIG FOLDER STEPS float32|float64\n");
      return 2;
    }
    run(read_config(argv[1]), argv[2], std::atoi(argv[3]), lucid::dtype_from_name(argv[4]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "parity_lucid: %s\n", error.what());
    return 1;
  }
}
