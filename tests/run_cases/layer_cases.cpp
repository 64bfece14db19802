// Every other op: arguments are mapped to the record's inputs and options by name.

#include "autograd/backward.hpp"
#include "case.hpp"
#include "names.hpp"

namespace run_cases {
namespace {

using namespace lucid;

bool names_tensor(const json& value) {
  return value.is_object() && value.size() == 1 && value.contains("tensor");
}

// The elements of an integer or bool tensor as JSON lists, one inside the other.
json as_list(const Tensor& tensor) {
  if (tensor.dim() == 0)
    return tensor.dtype() == boolean ? json(tensor.item<bool>()) : json(tensor.item<std::int64_t>());
  json out = json::array();
  for (std::int64_t i = 0; i < tensor.size(0); ++i) out.push_back(as_list(tensor.select(0, i)));
  return out;
}

class Arguments {
 public:
  Arguments(const Case& c, const ops::Op& op) : case_(c), op_(op) {
    json left = named_arguments(op, c.field("arguments"));
    for (const auto& input : op.inputs) {
      const json value = left.contains(input.name) ? left[input.name] : json();
      left.erase(input.name);
      if (input.repeated) {
        for (const json& element : value) inputs.push_back(tensor(element));
      } else {
        inputs.push_back(as_input(value));
      }
    }
    for (const auto& [key, value] : left.items()) options[key] = as_option(key, value);
  }

  Tensors inputs;
  json options = json::object();
  std::map<std::string, Tensor> by_key;  // the case's name of each tensor

 private:
  Tensor tensor(const json& value) {
    if (!names_tensor(value)) raise("run_cases", "a tensor is required, got ", value.dump().substr(0, 60));
    const std::string key = value.at("tensor");
    if (!by_key.contains(key)) {
      Tensor input = case_.input(key).detach();
      const json grads = case_.record.value("grads", json::object());
      for (const auto& [gradient, of] : grads.items())
        if (of == key) input.requires_grad_();
      by_key[key] = input;
    }
    return by_key[key];
  }

  // A number stands for a tensor where PyTorch takes either.
  Tensor as_input(const json& given) {
    const json value = plain_value(given);
    if (value.is_null()) return {};
    if (!value.is_number() && !value.is_boolean()) return tensor(value);
    const DType dtype = value.is_number_float() ? case_.dtype : value.is_boolean() ? boolean : i64;
    return scalar_tensor(value.is_boolean() ? static_cast<double>(value.get<bool>()) : value.get<double>(),
                         dtype);
  }

  // PyTorch takes a tensor of one element where it takes a number, and integer tensors among the indices.
  json as_option(const std::string& key, const json& value) {
    if (names_tensor(value)) {
      const Tensor given = tensor(value);
      if (key == "index" && !is_floating(given.dtype())) return json::array({as_list(given)});
      if (given.numel() != 1) raise(op_.name, "takes no tensor \"", key, "\"");
      return is_floating(given.dtype()) ? json(given.item<double>()) : json(given.item<std::int64_t>());
    }
    json out = plain_value(value);
    if (key == "index" && out.is_array())
      for (json& entry : out)
        if (names_tensor(entry)) entry = as_list(tensor(entry));
    return out;
  }

  const Case& case_;
  const ops::Op& op_;
};

// JSON writes x[1, 2] and x[[1, 2]] alike; the golden's shape tells which of them was meant.
void settle_index(const Case& c, const Arguments& arguments, json& options) {
  if (!options.contains("index") || !options["index"].is_array() || options["index"].empty()) return;
  const json as_tuple = options["index"];
  for (const json& entry : as_tuple)
    if (!entry.is_number_integer() && !entry.is_boolean()) return;
  const std::string output = c.field("outputs").at(0);
  try {
    if (ops::call("getitem", arguments.inputs, options).shape() == c.golden(output).shape()) return;
  } catch (const Error&) {  // more indices than axes
  }
  options["index"] = json::array({as_tuple});
}

// The format's one op that is not PyTorch's: the result of conv_transpose3d cut by `crop` = [[before, after]
// x3].
Tensors transpose_then_crop(const Tensors& inputs, json options) {
  const json crop = options.at("crop");
  options.erase("crop");
  Tensor y = ops::call("conv_transpose3d", inputs, options);
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    const auto ends = crop.at(static_cast<std::size_t>(axis)).get<std::vector<std::int64_t>>();
    const std::int64_t at = y.dim() - 3 + axis;
    y = y.narrow(at, ends.at(0), y.size(at) - ends.at(0) - ends.at(1));
  }
  return {y};
}

Tensors call(const Case& c, const ops::Op& op, const Arguments& arguments, bool crops) {
  if (crops) return transpose_then_crop(arguments.inputs, arguments.options);
  json options = arguments.options;
  if (op.name == "getitem") settle_index(c, arguments, options);
  return ops::call_all(op.name, arguments.inputs, options);
}

// Which result the upstream gradient "g1" belongs to: that of "y1", else the one at the same position.
std::size_t result_of(const std::string& upstream, const json& outputs, std::size_t position) {
  for (std::size_t i = 0; i < outputs.size(); ++i)
    if (outputs[i].get<std::string>().substr(1) == upstream.substr(1)) return i;
  return position;
}

void compare_gradients(const Case& c, const Arguments& arguments, const Tensors& results, Verdict& verdict) {
  const json grads = c.record.value("grads", json::object());
  if (grads.empty()) return;
  Tensors roots, seeds, wanted;
  const json& upstream = c.field("upstream");
  for (std::size_t i = 0; i < upstream.size(); ++i) {
    const Tensor& result = results.at(result_of(upstream[i], c.field("outputs"), i));
    if (!result.requires_grad()) continue;
    const Tensor seed = c.input(upstream[i]);
    if (seed.shape() != result.shape()) return verdict.fail("the upstream gradient has another shape");
    roots.push_back(result);
    seeds.push_back(seed.to(result.dtype()));
  }
  if (roots.empty()) return verdict.fail("no result has a gradient");
  for (const auto& [gradient, of] : grads.items()) {
    if (!arguments.by_key.contains(of)) raise("run_cases", gradient, " is of ", of.dump(), ", no argument");
    wanted.push_back(arguments.by_key.at(of));
  }
  const Tensors found = autograd::grad(roots, wanted, seeds, {.allow_unused = true});
  std::size_t i = 0;
  for (const auto& [gradient, of] : grads.items()) {
    const Tensor& input = wanted[i];
    verdict.compare(gradient, found[i].defined() ? found[i] : zeros(input.shape(), input.dtype()),
                    c.golden(gradient), c.tolerance());
    ++i;
  }
}

}  // namespace

void run_layer(const Case& c, Verdict& verdict) {
  const bool crops = short_name(c.op()) == "conv_transpose3d_then_crop";
  const ops::Op& op = find_op(crops ? "conv_transpose3d" : c.op(), c.field("arguments"));
  const Arguments arguments(c, op);
  const Tensors results = call(c, op, arguments, crops);

  const json& outputs = c.field("outputs");
  if (results.size() < outputs.size())
    return verdict.fail(str(results.size(), " results, golden ", outputs.size()));
  for (std::size_t i = 0; i < outputs.size(); ++i)
    verdict.compare(outputs[i], results[i], c.golden(outputs[i]), c.tolerance());
  for (const auto& [key, tensor] : arguments.by_key)
    if (c.has(key + "_after"))
      verdict.compare(key + "_after", tensor, c.golden(key + "_after"), c.tolerance());
  compare_gradients(c, arguments, results, verdict);
}

}  // namespace run_cases
