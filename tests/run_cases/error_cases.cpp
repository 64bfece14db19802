// Calls that must be refused: with lucid's error, naming the op and the offending value.

#include <algorithm>
#include <cctype>
#include <set>

#include "autograd/grad_mode.hpp"
#include "case.hpp"
#include "names.hpp"
#include "nn/conv.hpp"
#include "nn/optim/clip.hpp"
#include "nn/optim/make.hpp"
#include "optim_support.hpp"

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
  if (!record.at("params").empty()) collect_values(record.at("params"), out);
  const std::string category = record.value("category", "");
  const std::set<std::string> kinds{"channels", "groups", "dtype", "empty"};
  const bool about_inputs = record.at("params").empty() || kinds.contains(category);
  for (const auto& [name, input] : record.at("inputs").items()) {
    out.push_back(read_shape(input.at("shape")).str());
    if (!about_inputs) continue;
    out.push_back(input.at("dtype"));
    for (const auto& size : input.at("shape")) out.push_back(size.dump());
  }
  return out;
}

Tensor make_input(const json& how) {
  const Shape shape = read_shape(how.at("shape"));
  const DType dtype = dtype_from_name(how.at("dtype").get<std::string>());
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
std::string input_name(const ops::Op& op, const std::string& key) {
  static const std::map<std::string, std::vector<std::string>> names{
      {"x", {"input"}}, {"w", {"weight"}}, {"b", {"bias", "other"}},
      {"a", {"input"}}, {"t", {"target"}}, {"y", {"other", "target"}}};
  const auto takes = [&](const std::string& name) {
    return std::any_of(op.inputs.begin(), op.inputs.end(), [&](const auto& in) { return in.name == name; });
  };
  if (takes(key)) return key;
  if (const auto found = names.find(key); found != names.end())
    for (const std::string& name : found->second)
      if (takes(name)) return name;
  return named_arguments(op, {{key, 0}}).begin().key();
}

std::vector<std::string> names_of_inputs(const json& record) {
  std::vector<std::string> out;
  for (const auto& [key, unused] : record.at("inputs").items()) out.push_back(key);
  return out;
}

// Class indices for an input (N, C, ...) where the case is about something else.
Tensor default_target(const Shape& input) {
  if (input.size() < 2) return {};
  Shape classes = input;
  classes.erase(1);
  return zeros(classes, i64);
}

Tensors inputs_of(const json& record, const ops::Op& op, json& options) {
  const std::string& name = op.name;
  const json& described = record.at("inputs");
  Tensors inputs;
  if (!op.inputs.empty() && op.inputs.back().repeated) {
    for (const auto& [key, how] : described.items()) inputs.push_back(make_input_of(name, key, how));
    return inputs;
  }
  std::map<std::string, Tensor> given;
  for (const auto& [key, how] : described.items()) given[input_name(op, key)] = make_input_of(name, key, how);
  if (options.contains("target_shape")) {
    given["target"] = zeros(read_shape(options["target_shape"]), i64);
    options.erase("target_shape");
  }
  for (const auto& input : op.inputs) {
    Tensor tensor;
    if (given.contains(input.name)) {
      tensor = given[input.name];
      given.erase(input.name);
    } else if (options.contains(input.name) && !op.defaults.json().contains(input.name)) {
      const json value = options[input.name];  // a number where PyTorch takes a tensor or a number
      options.erase(input.name);
      if (value.is_number()) tensor = scalar_tensor(value.get<double>(), value.is_number_float() ? f64 : i64);
    } else if (input.name == "target" && !inputs.empty() && inputs[0].defined()) {
      tensor = default_target(inputs[0].shape());
    }
    inputs.push_back(tensor);
  }
  if (!given.empty()) raise(name, "takes no input \"", given.begin()->first, "\"");
  return inputs;
}

void call_op(const json& record, const std::string& name) {
  const ops::Op& op = find_op(name, names_of_inputs(record).empty() ? json::object() : record.at("inputs"));
  json options = record.at("params");
  const json target_shape = options.value("target_shape", json());
  options.erase("target_shape");
  options = plain_value(named_arguments(op, options));
  if (!target_shape.is_null()) options["target_shape"] = target_shape;
  const Tensors inputs = inputs_of(record, op, options);
  ops::call_all(op.name, inputs, options);
}

// ---- layers ----

// The constructor's arguments: by position, then by name.
json layer_arguments(const json& params) {
  static const std::vector<std::string> positions{"in_channels", "out_channels",   "kernel_size", "stride",
                                                  "padding",     "output_padding", "groups",      "bias",
                                                  "dilation",    "padding_mode"};
  json out = plain_value(params.value("kwargs", json::object()));
  const json args = plain_value(params.value("args", json::array()));
  for (std::size_t i = 0; i < args.size(); ++i) out[positions.at(i)] = args.at(i);
  return out;
}

std::int64_t take_channels(json& arguments, const char* key) {
  const std::int64_t value = arguments.at(key);
  arguments.erase(key);
  return value;
}

template <class Layer>
void run_layer_of(const json& record, bool forward) {
  const json& params = record.at("params");
  json arguments = layer_arguments(params);
  const std::int64_t in = take_channels(arguments, "in_channels");
  const std::int64_t out = take_channels(arguments, "out_channels");
  const Layer layer(in, out, Layer::read_options(arguments));
  if (!forward) return;
  const Tensor x = make_input(record.at("inputs").at("x"));
  if constexpr (requires { layer(x, x.shape()); }) {
    if (params.contains("output_size")) {
      layer(x, read_shape(params.at("output_size")));
      return;
    }
  }
  layer(x);
}

// Whether `name` is a convolution layer that could be made (and called).
bool try_layer(const json& record, const std::string& name) {
  using Make = void (*)(const json&, bool);
  static const std::map<std::string, Make> known{
      {"Conv1d", run_layer_of<nn::Conv1d>},
      {"Conv2d", run_layer_of<nn::Conv2d>},
      {"Conv3d", run_layer_of<nn::Conv3d>},
      {"ConvTranspose1d", run_layer_of<nn::ConvTranspose1d>},
      {"ConvTranspose2d", run_layer_of<nn::ConvTranspose2d>},
      {"ConvTranspose3d", run_layer_of<nn::ConvTranspose3d>},
  };
  const bool forward = name.ends_with(".forward");
  const auto found = known.find(forward ? name.substr(0, name.size() - 8) : name);
  if (found == known.end()) return false;
  found->second(record, forward);
  return true;
}

// ---- backward ----

void call_backward(const json& record, const std::string& name) {
  const ops::Op& op = find_op(name.substr(0, name.size() - std::string(".backward").size()));
  json options = plain_value(named_arguments(op, record.at("params")));
  const Tensors inputs = inputs_of(record, op, options);
  for (const Tensor& input : inputs)
    if (input.defined() && is_floating(input.dtype())) input.requires_grad_();
  const Tensor y = ops::call(op.name, inputs, options);
  const std::string reason = record.at("reason");
  if (reason.find("non-scalar") != std::string::npos) return y.backward();
  if (reason.find("in place") != std::string::npos) {
    const no_grad guard;
    inputs.at(0).add_(ones(inputs[0].shape(), inputs[0].dtype()));
  } else if (reason.find("shape") != std::string::npos) {
    return y.backward(ones({y.numel() + 1}, y.dtype()));
  }
  y.backward(ones(y.shape(), y.dtype()));
  y.backward(ones(y.shape(), y.dtype()));  // a second time, when the graph has gone
}

void call_optimizer(const std::string& name, const json& params) {
  const Tensor parameter = ones({2}).requires_grad_();
  optim::make(name, Tensors{parameter}, settings(params));
}

void call_schedule(const std::string& name, const json& params) {
  const Tensor parameter = ones({2}).requires_grad_();
  const auto optimizer = optim::make("SGD", Tensors{parameter}, {{"lr", 0.1}, {"momentum", 0.9}});
  make_schedule(name, *optimizer, params);
}

void call_clip(const std::string& name, const json& params) {
  const Tensor parameter = ones({2}).requires_grad_();
  parameter.set_grad(ones({2}));
  const json options = settings(params);
  if (name.find("clip_grad_value") != std::string::npos)
    optim::clip_grad_value_({parameter}, options.at("clip_value"));
  else
    optim::clip_grad_norm_({parameter}, options.at("max_norm"), clip_options(options));
}

void attempt(const json& record) {
  const std::string op = record.at("op"), name = short_name(op);
  const json& params = record.at("params");
  if (try_layer(record, name)) return;
  if (op.find("lr_scheduler.") != std::string::npos) return call_schedule(name, params);
  if (op.find("optim.") != std::string::npos) return call_optimizer(name, params);
  if (name.starts_with("clip_grad_")) return call_clip(name, params);
  if (name.ends_with(".backward")) return call_backward(record, name);
  call_op(record, name);
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
  verdict.fail("accepted; must be refused: " + c.record.value("reason", ""));
}

}  // namespace run_cases
