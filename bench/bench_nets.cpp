// bench_nets: training steps (AdamW) of well-known nets (nets.hpp) in lucid and in PyTorch, round by round.
// Prints medians and the most memory that was resident. docs/performance.md describes the method.

#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "autograd/profile.hpp"
#include "bench/nets.hpp"
#include "bench/timing.hpp"
#include "bench/torch_peer.hpp"
#include "bench/whole_net.hpp"
#include "lucid/parallel.hpp"
#include "nn/optim/adam.hpp"
#include "ops/plan_stats.hpp"

namespace {

using namespace bench;

class Trained {
 public:
  explicit Trained(const NamedNet& net)
      : task_(net.make()), optimizer_(task_.net->parameters(), {.lr = 1e-4}) {
    fill(*task_.net);
  }

  /// The loss.
  double step() {
    const lucid::Tensor loss = task_.loss();
    optimizer_.zero_grad();
    loss.backward();
    optimizer_.step();
    return loss.item<double>();
  }
  std::int64_t num_parameters() const { return task_.net->num_parameters(); }

 private:
  NetTask task_;
  lucid::optim::AdamW optimizer_;
};

void measure(const NamedNet& named, TorchPeer* torch, int rounds) {
  const std::string& name = named.name;
  Trained net(named);
  reset_resident();
  Side ours, theirs;
  ours.value = net.step();
  lucid::reset_plan_stats();
  for (int round = 0; round < rounds; ++round) {
    net.step();
    ours.ms.push_back(milliseconds([&] { net.step(); }));
    if (round == 0) ours.bytes = resident_bytes();
    if (!torch) continue;
    const nlohmann::json answer = torch->ask({{"net", name}, {"repeats", 1}});
    theirs.ms.push_back(answer.at("ms"));
    theirs.bytes = answer.at("peak_bytes");
    theirs.value = answer.at("value");
  }
  std::printf("| %s | %lld | %.0f | %.2f |", name.c_str(), static_cast<long long>(net.num_parameters()),
              median(ours.ms), ours.bytes * 1e-9);
  if (torch) {
    check_equal(name, ours, theirs);
    std::printf(" %.0f | %.2f | %.2f | %.2f |", median(theirs.ms), theirs.bytes * 1e-9,
                median(theirs.ms) / median(ours.ms), ours.bytes / theirs.bytes);
  } else {
    std::printf(" | | | |");
  }
  std::printf(" %lld |\n", static_cast<long long>(lucid::plan_stats().activation_reorders / rounds / 2));
  std::fflush(stdout);
}

// In a process of its own, so that what one net leaves in memory is not counted to the next.
bool runs_apart(const std::function<void()>& f) {
  std::fflush(stdout);
  const pid_t child = fork();
  lucid::check(child >= 0, "bench", "no process could be started");
  if (child == 0) {
    try {
      f();
      std::fflush(stdout);
      _exit(0);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "bench_nets: %s\n", error.what());
      _exit(1);
    }
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && status == 0;
}

void show_profile(const NamedNet& named) {
  Trained net(named);
  for (int i = 0; i < 3; ++i) net.step();  // until all memory has been asked for
  lucid::profile measured;
  net.step();
  measured.stop();
  std::printf("%s\n%s\n", named.name.c_str(), measured.str().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  PeerOptions peer;
  std::string filter;
  bool profiles = false;
  CLI::App app("training steps of well-known nets in lucid and in PyTorch");
  app.add_option("filter", filter, "a part of the nets' names; default: all");
  peer.add_to(app);
  app.add_flag("--profile", profiles, "instead: the ops of one of lucid's steps, the slowest first");
  CLI11_PARSE(app, argc, argv);
  try {
    const auto is_wanted = [&](const NamedNet& net) { return net.name.find(filter) != std::string::npos; };
    lucid::check(std::ranges::any_of(kNets, is_wanted), "bench", "no net's name contains \"", filter, "\"");
    if (!profiles) {
      const auto torch = peer.start("torch_nets.py");
      std::printf("%d threads, %d rounds; PyTorch %s\n\n", lucid::num_threads(), peer.rounds,
                  torch ? torch->version().c_str() : "not measured");
      std::printf(
          "| net | parameters | ms | GB | PyTorch ms | GB | PyTorch / lucid, time | lucid / PyTorch, memory "
          "| "
          "activations reordered |\n|---|---|---|---|---|---|---|---|---|\n");
    }
    bool all_ran = true;
    for (const NamedNet& net : kNets)
      if (is_wanted(net))
        all_ran &= runs_apart([&] {
          if (profiles)
            show_profile(net);
          else
            measure(net, peer.start("torch_nets.py").get(), peer.rounds);
        });
    return all_ran ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_nets: %s\n", error.what());
    return 1;
  }
}
