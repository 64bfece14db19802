// run_cases DIR [--dtype f32|f64] [--filter REGEX] [--verbose]: runs every case of the groups in DIR (*.json
// with a `cases` list and the safetensors file it names), in both types unless one is given. Prints what
// failed, the worst relative error per op, and closes with 'N passed, N failed'. What lucid lacks is a
// failure.

#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <regex>
#include <set>

#include "case.hpp"
#include "lucid/safetensors.hpp"

namespace {

using namespace run_cases;
using lucid::str;
namespace fs = std::filesystem;

struct Arguments {
  fs::path folder;
  std::vector<lucid::DType> dtypes{lucid::f64, lucid::f32};
  std::regex filter{""};
  bool verbose = false;
};

Arguments parse(int argc, char** argv) {
  Arguments out;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool has_value = i + 1 < argc;
    if (word == "--dtype" && has_value)
      out.dtypes = {lucid::dtype_from_name(argv[++i])};
    else if (word == "--filter" && has_value)
      out.filter = std::regex(argv[++i]);
    else if (word == "--verbose")
      out.verbose = true;
    else if (!word.starts_with("--") && out.folder.empty())
      out.folder = word;
    else
      lucid::raise("run_cases", "unknown argument \"", word, "\"");
  }
  if (out.folder.empty())
    lucid::raise("run_cases", "usage: run_cases DIR [--dtype f32|f64] [--filter REGEX] [--verbose]");
  return out;
}

void run_one(const Case& c, Verdict& verdict) {
  const json& record = c.record;
  if (!record.is_object()) lucid::raise("run_cases", "a case must be an object, got ", record.type_name());
  const std::string kind = record.value("kind", "");
  if (record.value("expect", "ok") == "error") return run_error(c, verdict);
  if (kind == "clip") return run_clip(c, verdict);
  if (kind == "schedule") return run_schedule(c, verdict);
  if (kind == "network") return run_network(c, verdict);
  if (!kind.empty()) return run_optimizer(c, verdict);
  if (record.contains("generate")) return run_large(c, verdict);
  if (record.contains("arguments")) return run_layer(c, verdict);
  run_convolution(c, verdict);
}

// A text of the record, "?" where it has none.
std::string text_of(const json& record, const char* key) {
  if (!record.is_object() || !record.contains(key) || !record.at(key).is_string()) return "?";
  return record.at(key);
}

struct Row {
  int passed = 0, failed = 0;
  double worst = 0;
};

class Runner {
 public:
  explicit Runner(Arguments arguments) : arguments_(std::move(arguments)) {}

  /// What is wrong with the group itself counts as one failure.
  void run_group(const fs::path& path) {
    try {
      run_cases_of(path);
    } catch (const std::exception& error) {
      ++rows_[path.filename().string()].failed;
      std::cout << "FAILED " << path.filename().string() << "\n  " << error.what() << '\n';
    }
  }

  int report() const {
    int passed = 0, failed = 0;
    for (const auto& [op, row] : rows_) {
      std::cout << std::left << std::setw(44) << op << std::right << std::setw(5) << row.passed << " passed"
                << std::setw(5) << row.failed << " failed   worst " << std::scientific << std::setprecision(1)
                << row.worst << '\n';
      passed += row.passed;
      failed += row.failed;
    }
    if (passed + failed == 0) {
      std::cout << (groups_ ? "no case matches the filter\n" : "no group of cases in the folder\n");
      failed = 1;
    }
    std::cout << passed << " passed, " << failed << " failed\n";
    return failed ? 1 : 0;
  }

 private:
  void run_cases_of(const fs::path& path) {
    const json group = json::parse(std::ifstream(path));
    if (!group.is_object() || !group.contains("cases")) return;
    ++groups_;
    std::shared_ptr<const TensorMap> tensors;
    if (group.contains("file")) {
      auto loaded = std::make_shared<TensorMap>();
      for (auto& [name, tensor] :
           lucid::safetensors::load((arguments_.folder / group["file"].get<std::string>()).string()))
        loaded->emplace(name, tensor);
      tensors = std::move(loaded);
    }
    if (!group["cases"].is_array()) lucid::raise("run_cases", "\"cases\" must be a list");
    for (const json& record : group["cases"])
      for (const lucid::DType dtype : arguments_.dtypes) run_case({record, tensors, dtype});
  }

  void run_case(const Case& c) {
    const std::string op = text_of(c.record, "op"),
                      title = str(op, " ", text_of(c.record, "id"), " ", c.dtype);
    if (!std::regex_search(title, arguments_.filter)) return;
    // A refusal or a schedule does not depend on the type: once is enough.
    const bool typeless = text_of(c.record, "expect") == "error" || text_of(c.record, "kind") == "schedule";
    if (typeless && c.dtype != arguments_.dtypes.front()) return;
    Verdict verdict;
    try {
      run_one(c, verdict);
    } catch (const std::exception& error) {
      verdict.fail(str("threw: ", error.what()));
    }
    Row& row = rows_[str(op, typeless ? "" : c.is_f32() ? " f32" : " f64")];
    (verdict.passed() ? row.passed : row.failed) += 1;
    row.worst = std::max(row.worst, verdict.worst());
    if (verdict.passed() && arguments_.verbose) std::cout << "passed " << title << '\n';
    if (verdict.passed()) return;
    std::cout << "FAILED " << title << '\n';
    for (const auto& problem : verdict.problems()) std::cout << "  " << problem << '\n';
  }

  Arguments arguments_;
  std::map<std::string, Row> rows_;
  int groups_ = 0;
};

}  // namespace

int main(int argc, char** argv) try {
  const Arguments arguments = parse(argc, argv);
  Runner runner(arguments);
  std::set<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(arguments.folder))
    if (entry.path().extension() == ".json") paths.insert(entry.path());
  for (const fs::path& path : paths) runner.run_group(path);
  return runner.report();
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 2;
}
