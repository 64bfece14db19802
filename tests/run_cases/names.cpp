#include "names.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "lucid/error.hpp"

namespace run_cases {
namespace {

using lucid::ops::Op;

const std::map<std::string, std::string>& synonyms() {
  static const std::map<std::string, std::string> known{
      {"absolute", "abs"},
      {"clip", "clamp"},
      {"concat", "cat"},
      {"concatenate", "cat"},
      {"divide", "div"},
      {"expit", "sigmoid"},
      {"greater", "gt"},
      {"greater_equal", "ge"},
      {"less", "lt"},
      {"less_equal", "le"},
      {"multiply", "mul"},
      {"negative", "neg"},
      {"not_equal", "ne"},
      {"subtract", "sub"},
      {"swapaxes", "transpose"},
      {"swapdims", "transpose"},
      {"true_divide", "div"},
      {"truediv", "div"},
      {"type", "to"},
      {"view", "reshape"},
  };
  return known;
}

// Names of an argument, the first of which the record takes is meant.
const std::map<std::string, std::vector<std::string>>& aliases() {
  static const std::map<std::string, std::vector<std::string>> known{
      {"self", {"input"}},
      {"x", {"input"}},
      {"tensor", {"input", "tensors"}},
      {"inputs", {"tensors"}},
      {"axis", {"dim", "dims"}},
      {"axes", {"dim", "dims"}},
      {"dims", {"dim", "repeats"}},
      {"dim", {"dims"}},
      {"axis0", {"dim0"}},
      {"axis1", {"dim1"}},
      {"mat2", {"other"}},
      {"vec", {"other"}},
      {"tensor2", {"other"}},
      {"exponent", {"other"}},
      {"size", {"sizes", "shape", "output_size"}},
      {"sizes", {"repeats", "shape"}},
      {"repeats", {"sizes"}},
      {"split_size", {"split_size_or_sections"}},
      {"split_sizes", {"split_size_or_sections"}},
      {"sections", {"split_size_or_sections"}},
      {"src", {"source"}},
      {"source", {"src"}},
      {"indices", {"index", "input"}},
      {"min_value", {"min_val", "min"}},
      {"max_value", {"max_val", "max"}},
      {"a_min", {"min"}},
      {"a_max", {"max"}},
      {"ord", {"p"}},
  };
  return known;
}

bool takes(const Op& op, const std::string& name) {
  return op.defaults.json().contains(name) ||
         std::any_of(op.inputs.begin(), op.inputs.end(), [&](const auto& in) { return in.name == name; });
}

// size_average and reduce, which `reduction` has replaced in PyTorch.
std::string reduction_of(const json& size_average, const json& reduce) {
  const bool reduces = !reduce.is_boolean() || reduce.get<bool>();
  const bool averages = !size_average.is_boolean() || size_average.get<bool>();
  return !reduces ? "none" : averages ? "mean" : "sum";
}

// Arguments that no record takes and that leave the result as it is. A value that would change the result is
// kept, so that the record refuses it.
bool without_effect(const std::string& key, const json& value) {
  static const std::map<std::string, json> idle{
      {"out", nullptr},
      {"sparse", false},
      {"sparse_grad", false},
      {"scale_grad_by_freq", false},
      {"max_norm", nullptr},
      {"norm_type", 2.0},
      {"_stacklevel", 3},
      {"requires_grad", false},
      {"copy", false},
      {"non_blocking", false},
      {"device", nullptr},
      {"layout", nullptr},
      {"memory_format", nullptr},
      {"implicit", false},
      {"use_input_mask", nullptr},
  };
  if (key == "inplace") return true;
  const auto found = idle.find(key);
  return found != idle.end() && found->second == value;
}

bool is_known(const std::string& name) {
  for (const Op* op : lucid::ops::all())
    if (op->name == name) return true;
  return false;
}

}  // namespace

std::string short_name(const std::string& name) {
  static const std::array<std::string, 14> prefixes{
      "torch.", "nn.functional.", "nn.",  "functional.", "F.",     "special.", "Tensor.",
      "aten::", "aten.",          "ops.", "_C.",         "optim.", "utils.",   "lr_scheduler."};
  std::string out = name;
  for (bool found = true; found;) {
    found = false;
    for (const std::string& prefix : prefixes)
      if (out.starts_with(prefix) && out.size() > prefix.size()) out.erase(0, prefix.size()), found = true;
  }
  return out;
}

const Op& find_op(const std::string& name, const json& arguments) {
  std::string out = short_name(name);
  if (out.starts_with("__") && out.ends_with("__") && out.size() > 4) out = out.substr(2, out.size() - 4);
  if (!is_known(out) && out.ends_with("_")) out.pop_back();
  if (const auto found = synonyms().find(out); found != synonyms().end()) out = found->second;
  const bool pair = arguments.is_object() && arguments.contains("other") && !arguments["other"].is_null();
  if (pair && out == "max") out = "maximum";
  if (pair && out == "min") out = "minimum";
  return lucid::ops::find(out);
}

json named_arguments(const Op& op, const json& arguments) {
  if (!arguments.is_object())
    lucid::raise("run_cases", "arguments must be an object, got ", arguments.dump().substr(0, 60));
  json out = json::object();
  for (const auto& [key, value] : arguments.items()) {
    std::string name = key;
    if (!takes(op, key)) {
      if (without_effect(key, value)) continue;
      if (key == "size_average" || key == "reduce") {
        if (takes(op, "reduction") && !(value.is_null() && arguments.contains("reduction")))
          out["reduction"] =
              reduction_of(arguments.value("size_average", json()), arguments.value("reduce", json()));
        continue;
      }
      if (const auto found = aliases().find(key); found != aliases().end())
        for (const std::string& other : found->second)
          if (takes(op, other) && !arguments.contains(other)) {
            name = other;
            break;
          }
    }
    out[name] = value;
  }
  return out;
}

}  // namespace run_cases
