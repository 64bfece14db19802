// bench_conv [FILTER]: times lucid's conv3d and conv_transpose3d beside raw oneDNN and PyTorch, round by
// round, and prints a table. docs/performance.md describes the method.

#include <unistd.h>
#include <cmath>
#include <cstdio>
#include <exception>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "bench/lucid_side.hpp"
#include "bench/machine.hpp"
#include "bench/onednn_peer.hpp"
#include "bench/report.hpp"
#include "bench/torch_peer.hpp"
#include "lucid/parallel.hpp"

namespace {

using namespace bench;

struct Settings {
  std::string filter, shapes = LUCID_BENCH_DIR "/shapes.json", json;
  PeerOptions peer;
  bool list = false;
};

// Float32 sums of products of small numbers differ by their order alone.
constexpr double kSameNorm = 1e-3;

void check_same(const ConvCase& shape, Pass pass, const char* peer, double ours, double theirs) {
  lucid::check(std::abs(ours - theirs) <= kSameNorm * std::abs(theirs), "bench", shape.op, " ", shape.name(),
               " ", name_of(pass), ": lucid's result has the norm ", ours, ", ", peer, "'s has ", theirs);
}

struct TorchAnswer {
  double ms = 0, norm = 0;
};

TorchAnswer torch_round(TorchPeer& torch, const ConvCase& shape, Pass pass, const RepeatRule& rule) {
  const nlohmann::json answer = torch.ask({{"case", to_request(shape)},
                                           {"pass", name_of(pass)},
                                           {"rule",
                                            {{"least_ms", rule.least_ms},
                                             {"most_ms", rule.most_ms},
                                             {"least", rule.least},
                                             {"most", rule.most}}}});
  return {answer.at("ms").get<double>(), answer.at("norm").get<double>()};
}

std::vector<Row> measured(const ConvCase& shape, Machine& machine, TorchPeer* torch, int rounds) {
  const RepeatRule rule;
  const LucidSide ours(shape);
  for (Pass pass : kPasses) ours.norm(pass);  // first: oneDNN may reuse what it made for another layout
  OnednnPeer onednn(shape);
  std::array<std::vector<double>, kPasses.size()> our_ms, torch_ms;
  for (int round = 0; round < rounds; ++round) {
    machine.measure();
    for (Pass pass : kPasses) {
      const auto at = static_cast<std::size_t>(pass);
      our_ms[at].push_back(ours.time(pass, rule));
      onednn.measure(pass, rule);
      settle();
      TorchAnswer answer;
      if (torch) torch_ms[at].push_back((answer = torch_round(*torch, shape, pass, rule)).ms);
      if (round > 0) continue;
      const double norm = ours.norm(pass);
      if (torch) check_same(shape, pass, "PyTorch", norm, answer.norm);
      for (double theirs : onednn.norms(pass)) check_same(shape, pass, "oneDNN", norm, theirs);
    }
  }
  std::vector<Row> rows;
  for (Pass pass : kPasses) {
    const auto at = static_cast<std::size_t>(pass);
    rows.push_back({.shape = shape,
                    .pass = pass,
                    .ms = median(our_ms[at]),
                    .onednn_ms = onednn.ms(pass),
                    .impl = ours.implementation(pass)});
    if (torch) rows.back().torch_ms = median(torch_ms[at]);
  }
  return rows;
}

void run(const Settings& settings) {
  const std::vector<ConvCase> cases = read_cases(settings.shapes, settings.filter);
  if (settings.list) {
    for (const ConvCase& c : cases)
      std::printf("%-8s %-16s %-42s %8.3f GFLOP %8.2f MB\n", c.group.c_str(), c.op.c_str(), c.name().c_str(),
                  c.flops() * 1e-9, c.bytes() * 1e-6);
    return;
  }
  const auto torch = settings.peer.start("torch_conv.py");
  Machine machine;
  const bool terminal = ::isatty(fileno(stderr)) == 1;
  std::vector<Row> rows;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    if (terminal)
      std::fprintf(stderr, "\r\033[K%zu/%zu %s %s", i + 1, cases.size(), cases[i].op.c_str(),
                   cases[i].name().c_str());
    for (Row& row : measured(cases[i], machine, torch.get(), settings.peer.rounds))
      rows.push_back(std::move(row));
    // The machine's rates are those of the whole run so far. A run that is cut short leaves what it has.
    for (Row& row : rows) row.limit_ms = machine.limit_ms(row.shape);
    if (!settings.json.empty()) write_json(settings.json, rows);
  }
  if (terminal) std::fprintf(stderr, "\r\033[K");

  std::printf("%d threads, %d rounds; this machine: %.1f GFLOP/s, %.1f GB/s; PyTorch %s\n\n",
              lucid::num_threads(), settings.peer.rounds, machine.flops() * 1e-9, machine.bandwidth() * 1e-9,
              torch ? torch->version().c_str() : "not measured");
  print_table(stdout, rows);
  print_means(stdout, rows);
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("lucid's convolutions beside PyTorch's and oneDNN's");
  app.add_option("filter", settings.filter,
                 "groups (table,sweep,conv3d) or a regular expression; default: all");
  settings.peer.add_to(app);
  app.add_option("--json", settings.json, "write the rows to this file");
  app.add_option("--shapes", settings.shapes, "the list of shapes")->check(CLI::ExistingFile);
  app.add_flag("--list", settings.list, "print the shapes with the flops and bytes of one pass, and stop");
  CLI11_PARSE(app, argc, argv);
  try {
    run(settings);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_conv: %s\n", error.what());
    return 1;
  }
}
