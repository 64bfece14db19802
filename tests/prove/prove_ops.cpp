// prove_ops [--op NAME] [--sample K] [--seed S]: proves every registered op from its record, a row each, and
// shows that a gradient off by one percent is refused. Closes with 'N passed, N failed'.
// prove_ops --table: prints docs/ops.md.

#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <string>

#include "ops/proof.hpp"
#include "ops/proof_inputs.hpp"

namespace {

using namespace lucid;

struct Arguments {
  bool table = false;
  std::string op;
  ops::ProofOptions options;
};

Arguments parse(int argc, char** argv) {
  Arguments out;
  for (int i = 1; i < argc; i += 2) {
    const std::string key = argv[i];
    if (key == "--table" && argc == 2)
      out.table = true;
    else if (i + 1 == argc)
      raise("prove_ops", key, " needs a value");
    else if (key == "--op")
      out.op = argv[i + 1];
    else if (key == "--sample")
      out.options.sample = std::atoi(argv[i + 1]);
    else if (key == "--seed")
      out.options.seed = static_cast<std::uint64_t>(std::atoll(argv[i + 1]));
    else
      raise("prove_ops", "unknown argument ", key,
            "; known are --op NAME, --sample K, --seed S, and --table alone");
  }
  return out;
}

// One line for each input whose wrong gradient slips through.
int surviving_mutants(const ops::Op& op, int& mutants) {
  if (!op.differentiable || !op.samples) return 0;
  Generator generator(0);
  const auto samples = op.samples(generator);
  std::size_t inputs = 0;
  for (const auto& sample : samples) inputs = std::max(inputs, sample.inputs.size());
  int survivors = 0;
  for (std::size_t input = 0; input < inputs; ++input) {
    bool reachable = false;
    for (const auto& sample : samples)
      reachable |= input < sample.inputs.size() && ops::is_real(sample.inputs[input]);
    if (!reachable) continue;
    ++mutants;
    if (ops::prove(ops::with_wrong_gradient(op, input), {.second_derivatives = false})) {
      ++survivors;
      std::cout << "  mutation: a gradient of input " << input << " off by one percent is not noticed\n";
    }
  }
  return survivors;
}

std::string escaped(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

void print_table() {
  std::cout << "# Ops\n\nMade from the registry by `build/release/bin/prove_ops --table`; a test holds this "
               "page to it. Every op can be "
               "called as `ops::call(name, inputs, options)`; inputs in brackets may be left out. Gradients "
               "of any order unless "
               "marked.\n\n| op | inputs | options | result |\n|---|---|---|---|\n";
  for (const ops::Op* op : ops::all()) {
    std::string inputs, options;
    for (const auto& input : op->inputs)
      inputs += (inputs.empty() ? "" : ", ") + (input.optional ? "[" + input.name + "]" : input.name) +
                (input.repeated ? "..." : "");
    for (const auto& [key, value] : op->defaults.items())
      options += (options.empty() ? "`" : ", `") + key + " = " + value.dump() + "`";
    std::cout << "| `" << op->name << "` | " << inputs << " | " << escaped(options) << " | "
              << escaped(op->doc) << (op->differentiable ? "" : "; no gradient") << " |\n";
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const Arguments arguments = parse(argc, argv);
  if (arguments.table) {
    print_table();
    return 0;
  }
  int passed = 0, failed = 0, mutants = 0, survivors = 0;
  for (const ops::Op* op : ops::all()) {
    if (!arguments.op.empty() && op->name != arguments.op) continue;
    const ops::Proof proof = ops::prove(*op, arguments.options);
    std::cout << std::left << std::setw(28) << op->name << std::right << std::setw(5) << proof.checks
              << " checks, float32 off by " << std::setprecision(2) << std::scientific << proof.worst_float32
              << (proof ? "" : "  FAILED") << '\n';
    for (const auto& failure : proof.failures)
      std::cout << "  " << failure.check << ", sample " << failure.sample << ": " << failure.message
                << "\n    rerun: prove_ops --op " << op->name
                << (failure.sample >= 0 ? " --sample " + std::to_string(failure.sample) : "") << '\n';
    const int survived = surviving_mutants(*op, mutants);
    survivors += survived;
    (proof && survived == 0 ? passed : failed) += 1;
  }
  if (passed + failed == 0) failed = 1;
  std::cout << "wrong gradients noticed: " << mutants - survivors << " of " << mutants << '\n'
            << passed << " passed, " << failed << " failed\n";
  return failed ? 1 : 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 2;
}
