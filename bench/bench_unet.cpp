// bench_unet: the reference U-Net (nn/models/unet3d.hpp; channels 16-32-64-128, 4 classes) in lucid and in
// PyTorch, round by round: a training step (cross-entropy, AdamW) with each norm, in bfloat16 too where the
// processor has it, and inference, eager and compiled. Prints medians and the most memory that was resident.
// docs/performance.md describes the method.

#include <cstdio>
#include <exception>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "autograd/grad_mode.hpp"
#include "bench/operands.hpp"
#include "bench/timing.hpp"
#include "bench/torch_peer.hpp"
#include "bench/whole_net.hpp"
#include "lucid/parallel.hpp"
#include "nn/compile.hpp"
#include "nn/models/unet3d.hpp"
#include "nn/optim/adam.hpp"
#include "ops/autocast.hpp"
#include "ops/loss.hpp"
#include "ops/plan_stats.hpp"

namespace {

using namespace bench;
using lucid::Tensor;

constexpr std::int64_t kClasses = 4;

struct Task {
  std::string name, norm, what;  // what: "train", "mixed", "infer" or "compiled"
  std::int64_t batch, side;
  int repeats;

  bool trains() const { return what == "train" || what == "mixed"; }
  nlohmann::json request() const {
    return {{"norm", norm},
            {"task", trains() ? "train" : "infer"},
            {"batch", batch},
            {"side", side},
            {"repeats", repeats}};
  }
};

const std::vector<Task> kTasks = {
    {"training step, instance norm, 64^3", "instance", "train", 1, 64, 2},
    {"training step, batch norm, 64^3", "batch", "train", 1, 64, 2},
    {"bfloat16 training step, instance norm, 64^3", "instance", "mixed", 1, 64, 2},
    {"bfloat16 training step, batch norm, 64^3", "batch", "mixed", 1, 64, 2},
    {"inference, instance norm, 128^3", "instance", "infer", 1, 128, 1},
    {"inference, batch norm, 128^3", "batch", "infer", 1, 128, 1},
    {"compiled inference, instance norm, 128^3", "instance", "compiled", 1, 128, 1},
    {"compiled inference, batch norm, 128^3", "batch", "compiled", 1, 128, 1},
};

class LucidSide {
 public:
  explicit LucidSide(const Task& task)
      : trains_(task.trains()),
        mixed_(task.what == "mixed"),
        net_({.out_channels = kClasses, .norm = norm_of(task)}) {
    // Those of the two norms differ: of one sample both norms are the same, and packed weights that come
    // again are kept.
    fill(net_, task.norm == "batch" ? 0.99 : 1);
    const std::int64_t n = task.side;
    image_ = pattern({task.batch, 1, n, n, n});
    classes_ = lucid::empty({task.batch, n, n, n}, lucid::i64);
    auto* classes = classes_.mutable_data<std::int64_t>();
    for (std::int64_t i = 0; i < classes_.numel(); ++i) classes[i] = i / 5 % kClasses;
    net_.train(trains_);
    if (task.what == "compiled") plan_ = lucid::nn::compile(net_, image_);
    if (!trains_) return;
    optimizer_.emplace(net_.parameters(), lucid::optim::AdamWOptions{.lr = 1e-3});
  }

  bool has_plain_step() const { return mixed_ || plan_.has_value(); }
  /// The same in float32 and without the plan.
  void plain_step() {
    if (trains_) {
      train(false);
    } else {
      const lucid::no_grad guard;
      norm(net_(image_).contiguous());
    }
  }

  /// The loss, or the norm of the result.
  double step() {
    if (trains_) return train(mixed_);
    const lucid::no_grad guard;
    return norm((plan_ ? (*plan_)(image_) : net_(image_)).contiguous());
  }

 private:
  double train(bool mixed) {
    Tensor loss;
    {
      const lucid::autocast guard(lucid::bf16, {.enabled = mixed, .even_if_slower = true});
      loss = lucid::cross_entropy(net_(image_), classes_);
    }
    optimizer_->zero_grad();
    loss.backward();
    optimizer_->step();
    return loss.item<double>();
  }
  static lucid::nn::models::Norm norm_of(const Task& task) {
    return task.norm == "batch" ? lucid::nn::models::Norm::batch : lucid::nn::models::Norm::instance;
  }
  static double norm(const Tensor& t) { return bench::norm(t.data<float>(), t.numel()); }

  bool trains_, mixed_;
  lucid::nn::models::UNet3d net_;
  std::optional<lucid::nn::Plan> plan_;
  Tensor image_, classes_;
  std::optional<lucid::optim::AdamW> optimizer_;
};

void measure(const Task& task, TorchPeer* torch, int rounds) {
  std::optional<LucidSide> ours(task);
  reset_resident();  // what making a plan took is not what its calls take
  Side lucid_side, plain_side, torch_side;
  lucid_side.value = ours->step();
  lucid::reset_plan_stats();
  for (int round = 0; round < rounds; ++round) {
    ours->step();
    lucid_side.ms.push_back(milliseconds([&] {
                              for (int i = 0; i < task.repeats; ++i) ours->step();
                            }) /
                            task.repeats);
    if (round == 0) lucid_side.bytes = resident_bytes();
    if (ours->has_plain_step()) {
      ours->plain_step();
      plain_side.ms.push_back(milliseconds([&] { ours->plain_step(); }));
    }
    if (!torch || task.what == "mixed") continue;  // PyTorch's step would be another one
    const nlohmann::json answer = torch->ask(task.request());
    torch_side.ms.push_back(answer.at("ms"));
    torch_side.bytes = answer.at("peak_bytes");
    torch_side.value = answer.at("value");
  }
  const lucid::PlanStats stats = lucid::plan_stats();
  std::printf("| %s | %.0f | %.2f |", task.name.c_str(), median(lucid_side.ms), lucid_side.bytes * 1e-9);
  if (ours->has_plain_step())
    std::printf(" %.2f |", median(plain_side.ms) / median(lucid_side.ms));
  else
    std::printf(" |");
  if (!torch_side.ms.empty()) {
    check_equal(task.name, lucid_side, torch_side);
    std::printf(" %.0f | %.2f | %.2f | %.2f |", median(torch_side.ms), torch_side.bytes * 1e-9,
                median(torch_side.ms) / median(lucid_side.ms), lucid_side.bytes / torch_side.bytes);
  } else {
    std::printf(" | | | |");
  }
  std::printf(" %lld | %lld |\n", static_cast<long long>(stats.activation_reorders),
              static_cast<long long>(stats.plans_created));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  PeerOptions peer;
  bool bf16 = false;
  std::string filter;
  CLI::App app("the reference U-Net in lucid and in PyTorch");
  app.add_option("filter", filter, "a part of the rows' names; default: all");
  peer.add_to(app);
  app.add_flag("--bf16", bf16, "the rows in bfloat16 on a processor without its arithmetic too");
  CLI11_PARSE(app, argc, argv);
  try {
    const auto torch = peer.start("torch_unet.py");
    std::printf("%d threads, %d rounds; PyTorch %s\n\n", lucid::num_threads(), peer.rounds,
                torch ? torch->version().c_str() : "not measured");
    std::printf(
        "| | ms | GB | eager or float32 / lucid, time | PyTorch ms | GB | PyTorch / lucid, time | lucid / "
        "PyTorch, "
        "memory | activations "
        "reordered "
        "| plans made |\n|---|---|---|---|---|---|---|---|---|---|\n");
    for (const Task& task : kTasks)
      if (task.name.find(filter) != std::string::npos &&
          (task.what != "mixed" || bf16 || lucid::has_fast_bf16()))
        measure(task, torch.get(), peer.rounds);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_unet: %s\n", error.what());
    return 1;
  }
}
