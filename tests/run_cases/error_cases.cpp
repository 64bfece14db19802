// Calls that must be refused: with lucid's error, naming the op and the offending value.

#include <algorithm>
#include <cctype>

#include "autograd/grad_mode.hpp"
#include "case.hpp"
#include "nn/conv.hpp"
#include "nn/optim/make.hpp"
#include "ops/registry.hpp"

namespace run_cases {
namespace {

using namespace lucid;

// Lower case without underscores, so that ConvTranspose3d and conv_transpose3d are one name.
std::string folded(const std::string& text) {
  std::string out;
  for (char ch : text)
    if (ch != '_') out += static_cast<char>(std::tolower(static_cast<unsigned char>(ch)));
  return out;
}

void collect_values(const json& value, std::vector<std::string>& out) {
  if (value.is_structured()) {
    out.push_back(value.dump());
    for (const auto& element : value) collect_values(element, out);
  } else {
    out.push_back(value.is_string() ? value.get<std::string>() : value.dump());
    if (value.is_number_float()) out.push_back(str(value.get<double>()));  // 2.0 may be written 2
  }
}

// Texts of which the message must hold one: the values of the parameters and the shapes of the inputs; where
// the case is about the inputs themselves, their single sizes and types too.
std::vector<std::string> offending_values(const json& record) {
  std::vector<std::string> out;
  collect_values(record["params"], out);
  const std::string category = record["category"];
  const bool about_inputs = record["params"].empty() || category == "channels" || category == "groups";
  for (const auto& [name, input] : record["inputs"].items()) {
    out.push_back(Shape(input["shape"].get<std::vector<std::int64_t>>()).str());
    if (!about_inputs) continue;
    out.push_back(input["dtype"]);
    for (const auto& size : input["shape"]) out.push_back(size.dump());
  }
  return out;
}

Tensor make_input(const json& how) {
  const Shape shape(how["shape"].get<std::vector<std::int64_t>>());
  const DType dtype = dtype_from_name(how["dtype"].get<std::string>());
  return is_floating(dtype) ? rand(shape, dtype) : ones(shape, dtype);
}

// As make_input; a type that no tensor of lucid's can have is a refusal of the op's input.
Tensor make_input_of(const std::string& op, const std::string& name, const json& how) {
  try {
    return make_input(how);
  } catch (const Error& error) {
    raise(op, "input ", name, ": ", error.what());
  }
}

// The case's short names of inputs, and the record's.
std::string input_name(const std::string& key) {
  static const std::map<std::string, std::string> names{{"x", "input"}, {"w", "weight"}, {"b", "bias"}};
  const auto found = names.find(key);
  return found == names.end() ? key : found->second;
}

void call_op(const json& record, const std::string& name) {
  const ops::Op& op = ops::find(name);
  json options = record["params"];
  Tensors inputs;
  if (!op.inputs.empty() && op.inputs.back().repeated) {
    for (const auto& [key, how] : record["inputs"].items()) inputs.push_back(make_input_of(name, key, how));
  } else {
    std::map<std::string, Tensor> given;
    for (const auto& [key, how] : record["inputs"].items())
      given[input_name(key)] = make_input_of(name, key, how);
    if (given.contains("a"))
      given["input"] = given["a"], given["other"] = given["b"].defined() ? given["b"] : given["bias"];
    const Shape x = given["input"].shape();
    if (options.contains("target_shape")) {
      given["target"] = zeros(Shape(options["target_shape"].get<std::vector<std::int64_t>>()), i64);
      options.erase("target_shape");
    }
    for (const auto& input : op.inputs) {
      Tensor tensor = given.contains(input.name) ? given[input.name] : Tensor();
      // class indices where the case is about something else
      if (!tensor.defined() && input.name == "target" && x.size() > 1) {
        Shape classes = x;
        classes.erase(1);
        tensor = zeros(classes, i64);
      }
      inputs.push_back(tensor);
    }
  }
  ops::call_all(name, inputs, options);
}

nn::ConvTranspose3d make_layer(const json& params) {
  json options = params["kwargs"];
  options["kernel_size"] = params["args"][2];
  return nn::ConvTranspose3d(params["args"][0], params["args"][1],
                             nn::ConvTranspose3d::read_options(options));
}

void call_backward(const json& record) {
  const Tensor x = make_input(record["inputs"]["x"]).requires_grad_(),
               w = make_input(record["inputs"]["w"]).requires_grad_();
  const Tensor y = ops::call("conv_transpose3d", {x, w});
  if (record["reason"].get<std::string>().find("non-scalar") != std::string::npos) return y.backward();
  const no_grad guard;
  x.add_(ones(x.shape(), x.dtype()));
  y.backward(ones(y.shape(), y.dtype()));
}

void attempt(const json& record) {
  const std::string op = record["op"];
  const json& params = record["params"];
  if (op == "ConvTranspose3d") {
    make_layer(params);
  } else if (op == "ConvTranspose3d.forward") {
    const nn::ConvTranspose3d layer = make_layer(params);
    layer(make_input(record["inputs"]["x"]), Shape(params["output_size"].get<std::vector<std::int64_t>>()));
  } else if (op.ends_with(".backward")) {
    call_backward(record);
  } else if (op.starts_with("optim.")) {
    optim::make(short_name(op), Tensors{ones({2}).requires_grad_()}, params);
  } else {
    call_op(record, short_name(op));
  }
}

}  // namespace

void run_error(const Case& c, Verdict& verdict) {
  verdict.count();
  try {
    attempt(c.record);
  } catch (const Error& error) {
    const std::string message = error.what(), text = folded(message);
    bool names_op = false;
    std::string name = short_name(c.op());
    for (std::size_t from = 0; from < name.size();) {  // "conv_transpose3d.backward": either part
      const std::size_t to = std::min(name.find('.', from), name.size());
      names_op |= text.find(folded(name.substr(from, to - from))) != std::string::npos;
      from = to + 1;
    }
    if (!names_op) verdict.fail("the message does not name " + name + ": " + message);
    const auto values = offending_values(c.record);
    const auto holds = [&](const std::string& value) { return message.find(value) != std::string::npos; };
    if (!values.empty() && std::none_of(values.begin(), values.end(), holds))
      verdict.fail("the message does not name the offending value: " + message);
    return;
  }
  verdict.fail("accepted; must be refused: " + c.record["reason"].get<std::string>());
}

}  // namespace run_cases
