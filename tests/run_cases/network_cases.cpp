// Small networks, written as a list of [output, op, inputs, params], trained for a few steps.

#include <algorithm>
#include <cmath>

#include "autograd/backward.hpp"
#include "names.hpp"
#include "nn/optim/make.hpp"
#include "optim_support.hpp"

namespace run_cases {
namespace {

using namespace lucid;

// The name behind the first underscore: "p0_c1.w" is "c1.w".
std::string tail(const std::string& key) { return key.substr(key.find('_') + 1); }

class Network {
 public:
  explicit Network(const Case& c) : case_(c) {
    for (const auto& [key, about] : c.field("tensors").items()) {
      if (key == "x" || key == "target" || key == "g") {
        values_[key] = c.input(key);
      } else if (key.starts_with("p0_") && c.has("grad0_" + tail(key))) {
        names.push_back(tail(key));
        parameters.push_back(c.input(key).clone().requires_grad_());
        values_[names.back()] = parameters.back();
      } else if (about.value("dtype", "") != "F64") {  // a buffer, or a further input
        values_[key] = values_[tail(key)] = c.input(key).clone();
        if (key.find("running") != std::string::npos) buffers_[tail(key)] = values_[key];
      }
    }
  }

  Tensor loss() {
    for (const json& line : case_.field("graph")) {
      const json arguments = line.size() > 3 ? line.at(3) : json::object();
      const ops::Op& op = find_op(line.at(1), arguments);
      json options = plain_value(named_arguments(op, arguments));
      const Tensors results = ops::call_all(op.name, inputs_of(op, line.at(2), options), options);
      const json& outputs = line.at(0);
      for (std::size_t i = 0; i < (outputs.is_array() ? outputs.size() : 1); ++i)
        values_[outputs.is_array() ? outputs[i] : outputs] = results.at(i);
    }
    return value("loss");
  }

  Tensor value(const std::string& name) const {
    if (!values_.contains(name)) raise("run_cases", "the graph names an unknown value \"", name, "\"");
    return values_.at(name);
  }

  /// Golden running statistics: every float64 tensor whose name holds a buffer's.
  void compare_buffers(Verdict& verdict) const {
    for (const auto& [key, about] : case_.field("tensors").items()) {
      if (about.value("dtype", "") != "F64" || key.find("running") == std::string::npos) continue;
      const Tensor* found = nullptr;
      for (const auto& [name, buffer] : buffers_)
        if (key.find(name) != std::string::npos || (buffers_.size() <= 2 && ends_alike(name, key)))
          found = &buffer;
      if (!found) {
        verdict.fail("no running statistics for the golden " + key);
        continue;
      }
      verdict.compare(key, *found, case_.golden(key), optimizer_tolerance(case_));
    }
  }

  std::vector<std::string> names;
  Tensors parameters;

 private:
  static bool ends_alike(const std::string& name, const std::string& key) {
    for (const char* kind : {"running_mean", "running_var"})
      if (name.ends_with(kind) && key.find(kind) != std::string::npos) return true;
    return false;
  }

  // Running statistics that the file does not hold begin at 0 and 1.
  Tensor buffer(const std::string& name, const Tensor& input) {
    const bool mean = name.ends_with("running_mean") || name.ends_with("rm");
    const bool var = name.ends_with("running_var") || name.ends_with("rv");
    if (!values_.contains(name) && (mean || var) && input.defined() && input.dim() > 1) {
      const Shape channels{input.size(1)};
      values_[name] = mean ? zeros(channels, case_.dtype) : ones(channels, case_.dtype);
      buffers_[name] = values_[name];
    }
    return value(name);
  }

  // The op's inputs in the record's order: those listed, then those that the params name.
  Tensors inputs_of(const ops::Op& op, const json& listed, json& options) {
    Tensors inputs;
    const auto add = [&](const json& name) {
      inputs.push_back(name.is_null() ? Tensor() : buffer(name, inputs.empty() ? Tensor() : inputs[0]));
    };
    for (const json& name : listed) {
      if (name.is_array())
        for (const json& inner : name) add(inner);
      else
        add(name);
    }
    // Affine parameters right behind the input: no running statistics are kept.
    const bool statistics = op.inputs.size() > 2 && op.inputs[1].name == "running_mean";
    if (statistics && inputs.size() > 1 && inputs[1].defined() && inputs[1].requires_grad())
      inputs.insert(inputs.begin() + 1, 2, Tensor());
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
      const std::string& name = op.inputs[i].name;
      if (!options.contains(name)) continue;
      const json given = options[name];
      const bool named = given.is_string() || (given.is_object() && given.contains("tensor"));
      if (!named && !given.is_null()) continue;
      options.erase(name);
      if (!named) continue;
      inputs.resize(std::max(inputs.size(), i + 1));
      inputs[i] = buffer(given.is_string() ? given : given.at("tensor"), inputs[0]);
    }
    return inputs;
  }

  const Case& case_;
  std::map<std::string, Tensor> values_, buffers_;
};

// A gradient that is zero but for float64's rounding, such as that of a bias in front of a normalisation, is
// judged against the network's largest: the rounding is of terms of that size.
void compare_gradients(const Case& c, const Network& network, Verdict& verdict) {
  constexpr double kNoise = 1e-13;
  std::vector<double> largest;
  for (const std::string& name : network.names) {
    largest.push_back(0);
    for (const double g : c.golden("grad0_" + name).to_vector<double>())
      largest.back() = std::max(largest.back(), std::abs(g));
  }
  const double all = *std::max_element(largest.begin(), largest.end());
  for (std::size_t i = 0; i < network.names.size(); ++i) {
    Tolerance tolerance = optimizer_tolerance(c);
    if (largest[i] < kNoise * all) tolerance.scale = all;
    verdict.compare("grad0_" + network.names[i], network.parameters[i].grad(),
                    c.golden("grad0_" + network.names[i]), tolerance);
  }
}

}  // namespace

void run_network(const Case& c, Verdict& verdict) {
  Network network(c);
  const std::vector<std::string>& names = network.names;
  if (names.empty()) raise("run_cases", "the network has no parameters p0_*");
  const json& how = c.field("optimizer");
  const auto optimizer = optim::make(short_name(how.at(0)), network.parameters, settings(how.at(1)));

  const Tolerance tolerance = optimizer_tolerance(c);
  const auto golden_loss = c.golden("loss").to_vector<double>();
  const auto compare_loss = [&](const Tensor& loss, std::size_t t) {
    verdict.compare(str("loss[", t, "]"), loss.item<double>(), golden_loss.at(t),
                    tolerance.relative * std::abs(golden_loss.at(t)));
  };
  const std::int64_t steps = c.field("steps");
  for (std::int64_t t = 0; t < steps; ++t) {
    optimizer->zero_grad();
    const Tensor loss = network.loss();
    compare_loss(loss, static_cast<std::size_t>(t));
    loss.backward();
    if (t == 0) {
      verdict.compare("y", network.value("y").detach(), c.golden("y"), tolerance);
      compare_gradients(c, network, verdict);
    }
    optimizer->step();
  }
  for (std::size_t i = 0; i < names.size(); ++i)
    verdict.compare("after_" + names[i], network.parameters[i].detach(), c.golden("after_" + names[i]),
                    tolerance);
  // The forward pass of the last loss moves the running statistics once more: the format leaves open whether
  // they are kept before or after it.
  Verdict before;
  network.compare_buffers(before);
  if (golden_loss.size() > static_cast<std::size_t>(steps))
    compare_loss(network.loss(), static_cast<std::size_t>(steps));
  if (!before.problems().empty() && !before.passed()) network.compare_buffers(verdict);
}

}  // namespace run_cases
