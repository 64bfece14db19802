#pragma once
// The table of ops: each can be called by name, and is proven, timed and documented from its record.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lucid/random.hpp"
#include "lucid/tensor.hpp"
#include "ops/option_values.hpp"
#include "ops/reference/array.hpp"

namespace lucid::ops {

struct Input {
  std::string name;       ///< PyTorch's argument name, for example "weight"
  bool optional = false;  ///< may be undefined
  bool repeated = false;  ///< the last input only: takes any number of tensors (cat)
};

/// One call with arguments that the op accepts. Floating inputs are float64; the proofs convert them where
/// they need to.
struct Sample {
  Tensors inputs = {};
  OptionValues options = {};
};

/// One call that the op must refuse.
struct ErrorCase {
  Tensors inputs;
  OptionValues options = {};
  std::string message;  ///< a part of the error's text that names the offending value
};

/// What a call costs at the least, for the benchmark's limit.
struct Cost {
  double flops = 0;
  double bytes = 0;
};

struct Op {
  std::string name;
  std::string doc;  ///< one line with shapes
  std::vector<Input> inputs = {};
  OptionValues defaults = {};  ///< options with their default values
  std::function<Tensors(const Tensors& inputs, const nlohmann::json& options)> call = {};
  std::function<std::vector<Sample>(Generator& generator)> samples = {};
  std::function<std::vector<ErrorCase>()> errors = {};
  reference::Definition reference =
      {};  ///< the results by definition; built-in ops have theirs in ops/reference
  std::vector<std::size_t> linear_in =
      {};                          ///< inputs in which the result is linear while the others are held
  bool exact_on_integers = false;  ///< float32 and float64 agree to the last bit on small integers
  bool differentiable = true;      ///< with respect to its floating inputs
  std::function<Cost(const Tensors& inputs, const nlohmann::json& options)> cost = {};
};

/// All ops, sorted by name.
std::vector<const Op*> all();
/// Throws Error naming close matches when there is none of that name.
const Op& find(std::string_view name);
/// Adds an op of the user's own. Throws Error when the name is taken or the record has no `call`.
void register_op(Op op);

/// Calls an op by name: call("conv_transpose3d", {x, w, b}, {{"stride", 2}}). Optional inputs at the end may
/// be left out. Throws Error on a wrong number of inputs, an undefined required one, an unknown or ill-typed
/// option.
Tensors call_all(std::string_view name, const Tensors& inputs, const OptionValues& options = {});
/// The same for the common case: the first result.
Tensor call(std::string_view name, const Tensors& inputs, const OptionValues& options = {});

}  // namespace lucid::ops
