// bench_ops: the ops of bench/ops.json in lucid and in PyTorch, round by round: a forward pass without
// recording, and a forward and backward pass. Volumes are channels-last in lucid, as its nets hold them, and
// contiguous in PyTorch. Prints medians. docs/performance.md describes the method.

#include <cmath>
#include <cstdio>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "autograd/grad_mode.hpp"
#include "bench/operands.hpp"
#include "bench/timing.hpp"
#include "bench/torch_peer.hpp"
#include "lucid/parallel.hpp"
#include "ops/arithmetic.hpp"
#include "ops/cast.hpp"
#include "ops/compare.hpp"
#include "ops/option_values.hpp"
#include "ops/registry.hpp"

namespace {

using namespace bench;
using lucid::Tensor;
using nlohmann::json;

// Numbers that differ from one operand to the next; torch_ops.py has the twin.
Tensor numbers(const lucid::Shape& shape, std::int64_t seed) {
  const Tensor out = lucid::empty(shape);
  float* data = out.data_to_write<float>();
  for (std::int64_t i = 0; i < out.numel(); ++i) data[i] = pattern_value(i + 29 * seed);
  return out;
}

Tensor as_held_by_nets(const Tensor& tensor) { return tensor.dim() >= 4 ? tensor.channels_last() : tensor; }

class LucidOp {
 public:
  explicit LucidOp(const json& entry)
      : op_(entry.at("op")), options_(entry.value("options", json::object())), inputs_(operands(entry)) {
    for (std::size_t i = 0; i < inputs_.size(); ++i)
      if (wants_gradient(entry, i)) leaves_.push_back(inputs_[i].requires_grad_());
    lucid::manual_seed(0);
    const Tensor result = call();
    norms_.push_back(norm_of(result));
    grad_ = numbers(result.shape(), 7);
    if (result.is_channels_last()) grad_ = as_held_by_nets(grad_);
    if (leaves_.empty()) return;
    result.backward(grad_);
    for (const Tensor& leaf : leaves_) norms_.push_back(norm_of(leaf.grad()));
    clear();
  }

  bool has_backward() const { return !leaves_.empty(); }
  /// Of the result and of the gradients.
  const std::vector<double>& norms() const { return norms_; }
  void forward() const {
    const lucid::no_grad guard;
    call();
  }
  void both() const {
    call().backward(grad_);
    clear();
  }

 private:
  static lucid::Tensors operands(const json& entry) {
    lucid::Tensors inputs;
    for (const json& given : entry.at("inputs"))
      inputs.push_back(operand(given, static_cast<std::int64_t>(inputs.size())));
    return inputs;
  }

  static Tensor operand(const json& given, std::int64_t seed) {
    if (given.is_null()) return {};
    lucid::Shape shape;
    shape = (given.is_array() ? given : given.at("shape")).get<std::vector<std::int64_t>>();
    const Tensor values = numbers(shape, seed);
    if (given.is_array()) return as_held_by_nets(values);
    if (given.contains("below")) {
      const Tensor whole = lucid::empty(shape, lucid::i64);
      auto* data = whole.data_to_write<std::int64_t>();
      for (std::int64_t i = 0; i < whole.numel(); ++i)
        data[i] = std::lround((values.data<float>()[i] + 1) * 50) % given.at("below").get<std::int64_t>();
      return whole;
    }
    if (given.value("mask", false)) return as_held_by_nets(values > 0.0);
    return given.value("positive", false) ? as_held_by_nets((values + 1.02) / 2.04) : values;
  }

  static bool wants_gradient(const json& entry, std::size_t i) {
    if (!entry.contains("grad")) return entry.at("inputs")[i].is_array();
    for (const json& wanted : entry.at("grad"))
      if (wanted == i) return true;
    return false;
  }

  static double norm_of(const Tensor& tensor) {
    const Tensor plain = tensor.detach().to(lucid::f32).contiguous();
    return bench::norm(plain.data<float>(), plain.numel());
  }

  Tensor call() const { return lucid::ops::call(op_, inputs_, options_); }
  void clear() const {
    for (const Tensor& leaf : leaves_) leaf.set_grad({});
  }

  std::string op_;
  lucid::ops::OptionValues options_;
  lucid::Tensors inputs_, leaves_;
  Tensor grad_;
  std::vector<double> norms_;
};

void require_same(const json& entry, const std::vector<double>& ours, const std::vector<double>& theirs) {
  if (entry.value("random", false)) return;
  for (std::size_t i = 0; i < ours.size(); ++i)
    lucid::check(std::abs(ours[i] - theirs.at(i)) <= 1e-3 * std::abs(theirs[i]) + 1e-6, "bench",
                 entry.at("name").get<std::string>(), ": the norm of ", i == 0 ? "the result" : "a gradient",
                 " is ", ours[i], ", PyTorch's ", theirs[i]);
}

void print_pair(const std::vector<double>& ours, const std::vector<double>& theirs) {
  if (ours.empty())
    std::printf(" | |");
  else if (theirs.empty())
    std::printf(" %.2f | |", median(ours));
  else
    std::printf(" %.2f | %.2f |", median(ours), median(theirs) / median(ours));
}

/// The ratios of the two columns, where there is a peer.
std::vector<double> measure(const json& entry, TorchPeer* torch, int rounds) {
  const RepeatRule rule{.least_ms = 60};
  const LucidOp op(entry);
  std::vector<double> forward, both, torch_forward, torch_both;
  for (int round = 0; round < rounds; ++round) {
    forward.push_back(timed_round(rule, [&] { op.forward(); }));
    if (op.has_backward()) both.push_back(timed_round(rule, [&] { op.both(); }));
    if (!torch) continue;
    const json answer = torch->ask({{"case", entry},
                                    {"rule",
                                     {{"least_ms", rule.least_ms},
                                      {"most_ms", rule.most_ms},
                                      {"least", rule.least},
                                      {"most", rule.most}}}});
    if (round == 0) require_same(entry, op.norms(), answer.at("norms"));
    torch_forward.push_back(answer.at("forward"));
    if (op.has_backward()) torch_both.push_back(answer.at("both"));
  }
  std::printf("| %s |", entry.at("name").get<std::string>().c_str());
  print_pair(forward, torch_forward);
  print_pair(both, torch_both);
  std::printf("\n");
  std::fflush(stdout);
  std::vector<double> ratios;
  if (!torch_forward.empty()) ratios.push_back(median(torch_forward) / median(forward));
  if (!torch_both.empty()) ratios.push_back(median(torch_both) / median(both));
  return ratios;
}

}  // namespace

int main(int argc, char** argv) {
  PeerOptions peer{.rounds = 3};
  std::string filter;
  CLI::App app("ops on volumes in lucid and in PyTorch");
  app.add_option("filter", filter, "a part of the rows' names; default: all");
  peer.add_to(app);
  CLI11_PARSE(app, argc, argv);
  try {
    std::vector<json> entries;
    for (const json& entry : json::parse(std::ifstream(LUCID_BENCH_DIR "/ops.json")))
      if (entry.at("name").get<std::string>().find(filter) != std::string::npos) entries.push_back(entry);
    lucid::check(!entries.empty(), "bench", "no row of bench/ops.json has \"", filter, "\" in its name");
    const auto torch = peer.start("torch_ops.py");
    std::printf("%d threads, %d rounds; PyTorch %s\n\n", lucid::num_threads(), peer.rounds,
                torch ? torch->version().c_str() : "not measured");
    std::printf(
        "| | forward, ms | PyTorch / lucid | forward and backward, ms | PyTorch / lucid |\n"
        "|---|---|---|---|---|\n");
    std::vector<double> ratios;
    for (const json& entry : entries)
      for (const double ratio : measure(entry, torch.get(), peer.rounds)) ratios.push_back(ratio);
    if (ratios.empty()) return 0;
    double logarithms = 0;
    int behind = 0;
    for (const double ratio : ratios) logarithms += std::log(ratio), behind += ratio < 0.97;
    std::printf(
        "\nPyTorch takes %.2f times as long in geometric mean; lucid is slower than 0.97 of it in %d of "
        "%zu\n",
        std::exp(logarithms / static_cast<double>(ratios.size())), behind, ratios.size());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_ops: %s\n", error.what());
    return 1;
  }
}
