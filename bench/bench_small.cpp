// bench_small: what ops on 16 elements, layers and optimisers cost beside their arithmetic, in ns; with
// --libtorch beside PyTorch's C++ interface (bin/bench_small_torch). docs/performance.md describes the
// method.

#include <cstdio>
#include <exception>
#include <map>
#include <memory>
#include <sstream>
#include <string>

#include <CLI/CLI.hpp>

#include "autograd/grad_mode.hpp"
#include "bench/operands.hpp"
#include "bench/small_ops.hpp"
#include "lucid/error.hpp"
#include "nn/linear.hpp"
#include "nn/module.hpp"
#include "nn/optim/adam.hpp"
#include "nn/optim/sgd.hpp"
#include "ops/matmul.hpp"

namespace {

using namespace bench;
using lucid::Tensor;

struct LucidSide {
  using Tensor = lucid::Tensor;
  using NoGrad = lucid::no_grad;
  static Tensor leaf(bool requires_grad) {
    const Tensor out = pattern({4, 4});
    return requires_grad ? out.requires_grad_() : out;
  }
  static void backward(const Tensor& result, const Tensor& gradient) { result.backward(gradient); }
  static void clear(const Tensor& leaf) { leaf.set_grad({}); }
  static std::vector<SmallCase<Tensor>> cases() {
    const Tensor b = leaf(false) * 0.01 + 1.0;
    return {{"add", 1, [b](const Tensor& x) { return x + b; }},
            {"sub", 1, [b](const Tensor& x) { return x - b; }},
            {"mul", 1, [b](const Tensor& x) { return x * b; }},
            {"div", 1, [b](const Tensor& x) { return x / b; }},
            {"add, number", 1, [](const Tensor& x) { return x + 2.0; }},
            {"mul, number", 1, [](const Tensor& x) { return x * 0.5; }},
            {"neg", 1, [](const Tensor& x) { return -x; }},
            {"relu", 1, [](const Tensor& x) { return x.relu(); }},
            {"exp", 1, [](const Tensor& x) { return x.exp(); }},
            {"tanh", 1, [](const Tensor& x) { return x.tanh(); }},
            {"softmax", 1, [](const Tensor& x) { return x.softmax(1); }},
            {"reshape", 1,
             [](const Tensor& x) {
               return x.reshape({4, 4});
             }},
            {"transpose", 1, [](const Tensor& x) { return x.transpose(0, 1); }},
            {"clone", 1, [](const Tensor& x) { return x.clone(); }},
            {"sum, expand", 2,
             [](const Tensor& x) {
               return x.sum().expand({4, 4});
             }},
            {"sum of an axis, expand", 2,
             [](const Tensor& x) {
               return x.sum({0}, true).expand({4, 4});
             }},
            {"matmul", 1, [b](const Tensor& x) { return x.matmul(b); }},
            {"linear", 1, [b](const Tensor& x) { return lucid::linear(x, b, Tensor()); }}};
  }
};

// What bin/bench_small_torch prints: a line a row, the name last.
std::map<std::string, SmallRow> libtorch_rows(const std::string& program, const std::string& filter,
                                              int rounds) {
  const std::string command = "'" + program + "' " + std::to_string(rounds) + " '" + filter + "'";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  lucid::check(pipe != nullptr, "bench", "can't run ", command);
  std::map<std::string, SmallRow> rows;
  char text[256];
  while (std::fgets(text, sizeof text, pipe.get())) {
    std::istringstream line(text);
    SmallRow row;
    line >> row.no_grad >> row.recorded >> row.backward >> std::ws;
    std::getline(line, row.name);
    rows[row.name] = row;
  }
  lucid::check(!rows.empty(), "bench", program, " printed no rows; build it: target bench_small_torch");
  return rows;
}

void print_ops(const std::string& filter, int rounds, const std::string& libtorch) {
  const auto peer =
      libtorch.empty() ? std::map<std::string, SmallRow>() : libtorch_rows(libtorch, filter, rounds);
  std::printf("| ns | not recorded | recorded | backward |%s\n|---|---|---|---|%s\n",
              peer.empty() ? "" : " libtorch: not recorded | recorded | backward |",
              peer.empty() ? "" : "---|---|---|");
  for (const SmallRow& row : measure_small_ops<LucidSide>(filter, rounds)) {
    std::printf("| %s | %.0f | %.0f | %.0f |", row.name.c_str(), row.no_grad, row.recorded, row.backward);
    if (const auto found = peer.find(row.name); found != peer.end())
      std::printf(" %.0f | %.0f | %.0f |", found->second.no_grad, found->second.recorded,
                  found->second.backward);
    std::printf("\n");
  }
}

struct Net : lucid::nn::Module {
  lucid::nn::Linear first{4, 4}, second{4, 4}, third{4, 4}, fourth{4, 4};
  LUCID_FIELDS(first, second, third, fourth)
  Tensor operator()(const Tensor& x) const { return fourth(third(second(first(x)))); }
};

template <class Optimizer>
double optimizer_step(const Net& net, int rounds) {
  const std::vector<Tensor> parameters = net.parameters();
  Optimizer optimizer(parameters);
  net(pattern({4, 4})).backward(pattern({4, 4}));
  return least_ns_of_call(rounds, 20, [&] { optimizer.step(); }) / static_cast<double>(parameters.size());
}

void print_modules(int rounds) {
  Net net;
  const Tensor x = pattern({4, 4});
  const auto row = [](const char* name, double ns) { std::printf("| %s | %.0f |\n", name, ns); };
  std::printf("\n| 4 layers Linear(4, 4) with bias | ns |\n|---|---|\n");
  row("call, for each layer", least_ns_of_call(rounds, 20, [&] { net(x); }) / 4);
  {
    const lucid::no_grad guard;
    row("call without recording, for each layer", least_ns_of_call(rounds, 20, [&] { net(x); }) / 4);
  }
  row("SGD step, for each parameter", optimizer_step<lucid::optim::SGD>(net, rounds));
  row("AdamW step, for each parameter", optimizer_step<lucid::optim::AdamW>(net, rounds));
  row("zero_grad, for each parameter", least_ns_of_call(rounds, 20, [&] { net.zero_grad(); }) / 8);
  row("parameters(), for each", least_ns_of_call(rounds, 20, [&] { net.parameters(); }) / 8);
  row("state_dict(), for each", least_ns_of_call(rounds, 20, [&] { net.state_dict(); }) / 8);
}

}  // namespace

int main(int argc, char** argv) {
  int rounds = 500;
  std::string filter, libtorch;
  CLI::App app("what small ops cost in lucid");
  app.add_option("filter", filter, "a part of the ops' names; default: all");
  app.add_option("--rounds", rounds, "rounds of 100 calls, of which the fastest counts")
      ->check(CLI::Range(1, 100000));
  app.add_option("--libtorch", libtorch, "path of bench_small_torch, to be measured too")
      ->check(CLI::ExistingFile);
  CLI11_PARSE(app, argc, argv);
  try {
    print_ops(filter, rounds, libtorch);
    if (filter.empty()) print_modules(rounds);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_small: %s\n", error.what());
    return 1;
  }
}
