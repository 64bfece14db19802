#include "ops/registry.hpp"

#include <algorithm>
#include <map>
#include <mutex>

#include "ops/table.hpp"

namespace lucid::ops {
namespace {

struct Registry {
  std::map<std::string, Op, std::less<>> ops;
  std::mutex mutex;

  Registry() {
    for (Op& op : built_in_ops()) {
      std::string key = op.name;
      ops.emplace(std::move(key), std::move(op));
    }
  }
};

Registry& registry() {
  static Registry instance;
  return instance;
}

// Levenshtein distance, for "did you mean".
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::vector<const Op*> all() {
  const std::lock_guard lock(registry().mutex);
  std::vector<const Op*> out;
  for (const auto& [name, op] : registry().ops) out.push_back(&op);
  return out;
}

const Op& find(std::string_view name) {
  const std::lock_guard lock(registry().mutex);
  const auto& ops = registry().ops;
  if (const auto found = ops.find(name); found != ops.end()) return found->second;
  std::string close;
  for (const auto& [known, op] : ops)
    if (distance(name, known) <= 2) close += (close.empty() ? "; did you mean " : " or ") + known;
  raise("ops", "there is no op \"", name, "\"", close);
}

void register_op(Op op) {
  check(!op.name.empty() && op.call, "register_op", "a record needs a name and a call");
  const std::lock_guard lock(registry().mutex);
  std::string key = op.name;
  const auto [at, added] = registry().ops.emplace(key, std::move(op));
  check(added, "register_op", "the name \"", key, "\" is taken");
}

Tensors call_all(std::string_view name, const Tensors& inputs, const OptionValues& options) {
  const Op& op = find(name);
  Tensors given = inputs;
  const bool repeated = !op.inputs.empty() && op.inputs.back().repeated;
  check(repeated || given.size() <= op.inputs.size(), op.name, given.size(), " inputs given, at most ",
        op.inputs.size(), " are taken");
  if (!repeated) given.resize(op.inputs.size());
  for (std::size_t i = 0; i < op.inputs.size() && !op.inputs[i].repeated; ++i)
    check(op.inputs[i].optional || given[i].defined(), op.name, "input \"", op.inputs[i].name,
          "\" is missing");
  return op.call(given, options);
}

Tensor call(std::string_view name, const Tensors& inputs, const OptionValues& options) {
  return call_all(name, inputs, options).at(0);
}

}  // namespace lucid::ops
