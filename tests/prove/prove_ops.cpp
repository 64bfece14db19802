// prove_ops [--op NAME] [--sample K] [--seed S] [--table FILE]: proves every registered op from its record, a
// row each, and shows that gradients and results off by one percent are refused. Writes the rows to FILE as a
// page. Closes with 'N passed, N failed'.
// prove_ops --ops | --errors: prints docs/ops.md or docs/errors.md.

#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "ops/proof.hpp"
#include "ops/proof_inputs.hpp"

namespace {

using namespace lucid;

struct Arguments {
  std::string page;   // "--ops" or "--errors"
  std::string table;  // where the rows go as a page
  std::string op;
  ops::ProofOptions options;
};

Arguments parse(int argc, char** argv) {
  Arguments out;
  for (int i = 1; i < argc; i += 2) {
    const std::string key = argv[i];
    if ((key == "--ops" || key == "--errors") && argc == 2)
      out.page = key;
    else if (i + 1 == argc)
      raise("prove_ops", key, " needs a value");
    else if (key == "--table")
      out.table = argv[i + 1];
    else if (key == "--op")
      out.op = argv[i + 1];
    else if (key == "--sample")
      out.options.sample = std::atoi(argv[i + 1]);
    else if (key == "--seed")
      out.options.seed = static_cast<std::uint64_t>(std::atoll(argv[i + 1]));
    else
      raise("prove_ops", "unknown argument ", key,
            "; known are --op NAME, --sample K, --seed S, --table FILE, and --ops and --errors alone");
  }
  return out;
}

std::string escaped(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

void print_ops() {
  std::cout << "# Ops\n\nMade from the registry by `build/release/bin/prove_ops --ops`; a test holds this "
               "page to it. Every op can be "
               "called as `ops::call(name, inputs, options)`; inputs in brackets may be left out. Gradients "
               "of any order unless "
               "marked.\n\n| op | inputs | options | result |\n|---|---|---|---|\n";
  for (const ops::Op* op : ops::all()) {
    std::string inputs, options;
    for (const auto& input : op->inputs)
      inputs += (inputs.empty() ? "" : ", ") + (input.optional ? "[" + input.name + "]" : input.name) +
                (input.repeated ? "..." : "");
    for (const auto& [key, value] : op->defaults.json().items())
      options += (options.empty() ? "`" : ", `") + key + " = " + value.dump() + "`";
    std::cout << "| `" << op->name << "` | " << inputs << " | " << escaped(options) << " | "
              << escaped(op->doc) << (op->differentiable ? "" : "; no gradient") << " |\n";
  }
}

// The text that an error case is refused with.
std::string refusal(const ops::Op& op, const ops::ErrorCase& error) {
  Tensors inputs = error.inputs;
  if (op.inputs.empty() || !op.inputs.back().repeated) inputs.resize(op.inputs.size());
  try {
    ops::call_all(op.name, inputs, error.options);
  } catch (const Error& thrown) {
    return thrown.what();
  }
  return "accepted";
}

void print_errors() {
  std::cout
      << "# What ops refuse\n\nMade from the error cases of the registry's records by "
         "`build/release/bin/prove_ops --errors`; a test holds this page to them. Every one is a "
         "`lucid::Error`, in release builds too.\n\n| op | inputs | options | message |\n|---|---|---|---|\n";
  for (const ops::Op* op : ops::all()) {
    if (!op->errors) continue;
    for (const auto& error : op->errors()) {
      std::string inputs;
      for (const Tensor& input : error.inputs)
        inputs += (inputs.empty() ? "" : ", ") +
                  (input.defined() ? str(input.dtype(), " ", input.shape()) : std::string("none"));
      std::cout << "| `" << op->name << "` | " << inputs << " | "
                << (error.options.json().empty() ? "" : "`" + escaped(error.options.json().dump()) + "`")
                << " | " << escaped(refusal(*op, error)) << " |\n";
    }
  }
}

// The rows of docs/proofs.md: what does not depend on the machine.
class Table {
 public:
  void add(const ops::Op& op, const ops::Proof& proof, const ops::MutationReport& mutants) {
    rows_ += str("| `", op.name, "` | ", proof.samples, " | ", proof.checks, " | ", proof.failures.size(),
                 " | ", mutants.gradients, " | ", mutants.results, " | ", mutants.noticed(), " |\n");
  }
  void write(const std::string& path, const std::string& summary) const {
    std::ofstream file(path);
    file << "# Proofs\n\nMade by `build/release/bin/prove_ops --table docs/proofs.md`; a test holds this "
            "page to what "
            "it finds. Every op is proven from its record: its results against its definition in "
            "`ops/reference/`, float32 against float64, first and second derivatives against differences, "
            "adjoints, memory layouts, refusals. A proof is worth what it notices: each gradient and each "
            "result is made wrong by one percent in turn, and the proof must fail.\n\n"
         << summary
         << "\n\n| op | samples | checks | failed | wrong gradients | wrong results | noticed "
            "|\n|---|---|---|---|---|---|---|\n"
         << rows_;
    check(file.good(), "prove_ops", "cannot write ", path);
  }

 private:
  std::string rows_;
};

void print_row(const ops::Op& op, const ops::Proof& proof, const ops::MutationReport& mutants) {
  std::cout << std::left << std::setw(32) << op.name << std::right << std::setw(4) << proof.samples
            << " samples" << std::setw(6) << proof.checks << " checks, float32 off by "
            << std::setprecision(2) << std::scientific << proof.worst_float32 << ", " << mutants.noticed()
            << " of " << mutants.gradients + mutants.results << " mutants noticed"
            << (proof && mutants.survivors.empty() ? "" : "  FAILED") << '\n';
  for (const auto& failure : proof.failures)
    std::cout << "  " << failure.check << ", sample " << failure.sample << ": " << failure.message
              << "\n    rerun: prove_ops --op " << op.name
              << (failure.sample >= 0 ? " --sample " + std::to_string(failure.sample) : "") << '\n';
  for (const auto& survivor : mutants.survivors) std::cout << "  mutation: " << survivor << '\n';
}

int prove_all(const Arguments& arguments) {
  int passed = 0, failed = 0, mutants = 0, noticed = 0;
  Table table;
  for (const ops::Op* op : ops::all()) {
    if (!arguments.op.empty() && op->name != arguments.op) continue;
    const ops::Proof proof = ops::prove(*op, arguments.options);
    const ops::MutationReport mutation = op->samples ? ops::mutate(*op) : ops::MutationReport{};
    print_row(*op, proof, mutation);
    table.add(*op, proof, mutation);
    mutants += mutation.gradients + mutation.results;
    noticed += mutation.noticed();
    (proof && mutation.survivors.empty() ? passed : failed) += 1;
  }
  if (passed + failed == 0) failed = 1;
  const std::string summary = str("Kill rate of the mutation check: ", noticed, " of ", mutants, ".");
  if (!arguments.table.empty()) table.write(arguments.table, summary);
  std::cout << summary << '\n' << passed << " passed, " << failed << " failed\n";
  return failed ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) try {
  const Arguments arguments = parse(argc, argv);
  if (arguments.page == "--ops")
    print_ops();
  else if (arguments.page == "--errors")
    print_errors();
  else
    return prove_all(arguments);
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 2;
}
