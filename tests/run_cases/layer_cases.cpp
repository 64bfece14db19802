// Every other op: arguments are mapped to the record's inputs and options by name.

#include "autograd/backward.hpp"
#include "case.hpp"
#include "ops/registry.hpp"

namespace run_cases {
namespace {

using namespace lucid;

bool names_tensor(const json& value) {
  return value.is_object() && value.size() == 1 && value.contains("tensor");
}

struct Call {
  Tensors inputs;
  json options = json::object();
  std::map<std::string, Tensor> by_key;  // the case's name of each tensor
};

Call arrange(const Case& c, const ops::Op& op, json arguments) {
  Call call;
  const auto tensor = [&](const json& value) {
    const std::string key = value["tensor"];
    if (!call.by_key.contains(key)) {
      Tensor input = c.input(key).detach();
      for (const auto& [gradient, of] : c.record["grads"].items())
        if (of == key) input.requires_grad_();
      call.by_key[key] = input;
    }
    return call.by_key[key];
  };
  for (const auto& input : op.inputs) {
    const json value = arguments.contains(input.name) ? arguments[input.name] : json();
    arguments.erase(input.name);
    if (input.repeated) {
      for (const json& element : value) call.inputs.push_back(tensor(element));
    } else if (names_tensor(value)) {
      call.inputs.push_back(tensor(value));
    } else if (value.is_number() ||
               value.is_boolean()) {  // a number where PyTorch takes a tensor or a number
      const DType dtype = value.is_number_float() ? c.dtype : value.is_boolean() ? boolean : i64;
      call.inputs.push_back(scalar_tensor(value.get<double>(), dtype));
    } else {
      call.inputs.emplace_back();
    }
  }
  for (const auto& [key, value] : arguments.items()) {
    // PyTorch takes an integer tensor of one element where it takes an integer.
    if (!names_tensor(value))
      call.options[key] = plain_value(value);
    else if (const Tensor given = tensor(value); given.numel() == 1 && !is_floating(given.dtype()))
      call.options[key] = given.item<std::int64_t>();
    else
      raise(op.name, "takes no tensor \"", key, "\"");
  }
  return call;
}

// The format's one op that is not PyTorch's: the result of conv_transpose3d cut by `crop` = [[before, after]
// x3].
Tensors transpose_then_crop(const Tensors& inputs, json options) {
  const json crop = options["crop"];
  options.erase("crop");
  Tensor y = ops::call("conv_transpose3d", inputs, options);
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    const auto ends = crop[static_cast<std::size_t>(axis)].get<std::vector<std::int64_t>>();
    const std::int64_t at = y.dim() - 3 + axis;
    y = y.narrow(at, ends[0], y.size(at) - ends[0] - ends[1]);
  }
  return {y};
}

}  // namespace

void run_layer(const Case& c, Verdict& verdict) {
  const std::string name = short_name(c.op());
  const bool crops = name == "conv_transpose3d_then_crop";
  const Call call = arrange(c, ops::find(crops ? "conv_transpose3d" : name), c.record["arguments"]);
  const Tensors results =
      crops ? transpose_then_crop(call.inputs, call.options) : ops::call_all(name, call.inputs, call.options);

  const auto& outputs = c.record["outputs"];
  if (results.size() < outputs.size())
    return verdict.fail(str(results.size(), " results, golden ", outputs.size()));
  for (std::size_t i = 0; i < outputs.size(); ++i)
    verdict.compare(outputs[i], results[i], c.golden(outputs[i]), c.tolerance());
  for (const auto& [key, tensor] : call.by_key)
    if (c.has(key + "_after"))
      verdict.compare(key + "_after", tensor, c.golden(key + "_after"), c.tolerance());
  if (c.record["grads"].empty()) return;

  Tensors roots, seeds, wanted;
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < c.record["upstream"].size(); ++i) {
    if (!results[i].requires_grad()) continue;
    const Tensor upstream = c.input(c.record["upstream"][i]);
    if (upstream.shape() != results[i].shape())
      return verdict.fail("the upstream gradient has another shape");
    roots.push_back(results[i]);
    seeds.push_back(upstream);
  }
  for (const auto& [gradient, of] : c.record["grads"].items()) {
    wanted.push_back(call.by_key.at(of));
    keys.push_back(gradient);
  }
  if (roots.empty()) return verdict.fail("no result has a gradient");
  const Tensors grads = autograd::grad(roots, wanted, seeds, {.allow_unused = true});
  for (std::size_t i = 0; i < grads.size(); ++i) {
    const Tensor found = grads[i].defined() ? grads[i] : zeros(wanted[i].shape(), wanted[i].dtype());
    verdict.compare(keys[i], found, c.golden(keys[i]), c.tolerance());
  }
}

}  // namespace run_cases
