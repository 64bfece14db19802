// prove_ops [--op NAME] [--sample K] [--seed S]: proves every registered op from its record, a row each, and
// shows that a gradient off by one percent is refused. Closes with 'N passed, N failed'.

#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <string>

#include "ops/proof.hpp"
#include "ops/proof_inputs.hpp"

namespace {

using namespace lucid;

struct Arguments {
  std::string op;
  ops::ProofOptions options;
};

Arguments parse(int argc, char** argv) {
  Arguments out;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i];
    if (key == "--op")
      out.op = argv[i + 1];
    else if (key == "--sample")
      out.options.sample = std::atoi(argv[i + 1]);
    else if (key == "--seed")
      out.options.seed = static_cast<std::uint64_t>(std::atoll(argv[i + 1]));
    else
      raise("prove_ops", "unknown argument ", key, "; known are --op NAME, --sample K, --seed S");
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

}  // namespace

int main(int argc, char** argv) try {
  const Arguments arguments = parse(argc, argv);
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
