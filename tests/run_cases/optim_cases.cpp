// Optimisers, clipping, schedules, and small networks trained for a few steps.

#include <algorithm>
#include <cmath>
#include <numbers>

#include "autograd/backward.hpp"
#include "case.hpp"
#include "nn/optim/clip.hpp"
#include "nn/optim/make.hpp"
#include "nn/optim/schedule.hpp"
#include "ops/registry.hpp"

namespace run_cases {
namespace {

using namespace lucid;

Tolerance optimizer_tolerance(const Case& c) {
  return c.is_f32() ? Tolerance{1e-5, 1e-12} : Tolerance{1e-9, 1e-12};
}

// Suffixes of the parameters: "_w", "_b", "_0", or "" for the only one.
std::vector<std::string> parameter_suffixes(const Case& c) {
  std::vector<std::string> out;
  for (const auto& [key, unused] : c.record["tensors"].items())
    if (key.starts_with("p0")) out.push_back(key.substr(2));
  return out;
}

std::unique_ptr<optim::Optimizer> make_optimizer(const Case& c, const Tensors& parameters) {
  const std::string name = short_name(c.op());
  const json kwargs = plain_value(c.record.value("kwargs", json::object()));
  if (!c.record.contains("groups")) return optim::make(name, parameters, kwargs);
  std::vector<Tensors> groups;
  for (const Tensor& parameter : parameters) groups.push_back({parameter});
  return optim::make(name, groups, kwargs, c.record["groups"].get<std::vector<json>>());
}

// The tensor that the optimiser keeps of parameter `index` under PyTorch's name `slot`; undefined if there is
// none.
Tensor state_of(const optim::Optimizer& optimizer, std::size_t index, const std::string& slot) {
  const auto& names = optimizer.slot_names();
  const auto found = std::find(names.begin(), names.end(), slot);
  if (found == names.end()) return {};
  return optimizer.state(index).slots.at(static_cast<std::size_t>(found - names.begin()));
}

void run_given(const Case& c, Verdict& verdict) {
  const auto suffixes = parameter_suffixes(c);
  Tensors parameters;
  for (const auto& suffix : suffixes) parameters.push_back(c.input("p0" + suffix).clone().requires_grad_());
  const auto optimizer = make_optimizer(c, parameters);
  std::unique_ptr<optim::LRScheduler> schedule;
  if (c.record.contains("schedule"))
    schedule =
        optim::make_schedule(c.record["schedule"][0].get<std::string>(), *optimizer, c.record["schedule"][1]);
  for (std::int64_t t = 0; t < c.record["steps"].get<std::int64_t>(); ++t) {
    for (std::size_t i = 0; i < parameters.size(); ++i)
      parameters[i].set_grad(c.input("grad" + suffixes[i]).select(0, t).clone());
    optimizer->step();
    if (schedule) schedule->step();
    for (std::size_t i = 0; i < parameters.size(); ++i)
      verdict.compare(str("after", suffixes[i], "[", t, "]"), parameters[i].detach(),
                      c.golden("after" + suffixes[i]).select(0, t), optimizer_tolerance(c));
  }
  for (const auto& [key, unused] : c.record["tensors"].items()) {
    if (!key.starts_with("state_")) continue;
    for (std::size_t i = 0; i < suffixes.size(); ++i) {
      if (!key.ends_with(suffixes[i])) continue;
      const std::string slot = key.substr(6, key.size() - 6 - suffixes[i].size());
      verdict.compare(key, state_of(*optimizer, i, slot), c.golden(key), optimizer_tolerance(c));
    }
  }
}

void run_quadratic(const Case& c, Verdict& verdict) {
  const Tensor a = c.input("A"), linear = c.input("c"), p = c.input("p0").clone().requires_grad_();
  const auto optimizer = make_optimizer(c, {p});
  const auto golden_loss = c.golden("loss").to_vector<double>();
  const std::int64_t steps = c.record["steps"];
  double largest = 0;
  for (double loss : golden_loss) largest = std::max(largest, std::abs(loss));
  for (std::int64_t t = 0; t <= steps; ++t) {
    optimizer->zero_grad();
    const Tensor loss = (p * a.matmul(p)).sum() * 0.5 - (linear * p).sum();
    verdict.compare(str("loss[", t, "]"), loss.item<double>(), golden_loss[static_cast<std::size_t>(t)],
                    optimizer_tolerance(c).relative * largest);
    if (t == steps) break;
    loss.backward();
    optimizer->step();
    verdict.compare(str("after[", t, "]"), p.detach(), c.golden("after").select(0, t),
                    optimizer_tolerance(c));
  }
}

// The lambdas that the cases spell out.
std::function<double(std::int64_t)> parse_lambda(const std::string& text) {
  if (text == "min(1, (step+1)/10)")
    return [](std::int64_t s) { return std::min(1.0, static_cast<double>(s + 1) / 10); };
  if (text == "s/8 if s<8 else 0.5*(1+cos(pi*(s-8)/42))")
    return [](std::int64_t s) {
      return s < 8 ? static_cast<double>(s) / 8
                   : 0.5 * (1 + std::cos(std::numbers::pi * static_cast<double>(s - 8) / 42));
    };
  if (text == "min((s+1)^-0.5, (s+1)*10^-1.5)")
    return [](std::int64_t s) {
      return std::min(std::pow(static_cast<double>(s + 1), -0.5),
                      static_cast<double>(s + 1) * std::pow(10.0, -1.5));
    };
  raise("run_cases", "the lambda \"", text, "\" is not known");
}

}  // namespace

void run_optimizer(const Case& c, Verdict& verdict) {
  if (c.record["kind"] == "quadratic")
    run_quadratic(c, verdict);
  else
    run_given(c, verdict);
}

void run_clip(const Case& c, Verdict& verdict) {
  const json kwargs = plain_value(c.record["kwargs"]);
  Tensors parameters;
  for (int i = 0; c.has("grad_" + std::to_string(i)); ++i) {
    const Tensor grad = c.input("grad_" + std::to_string(i)).clone();
    parameters.push_back(zeros(grad.shape(), grad.dtype()).requires_grad_());
    parameters.back().set_grad(grad);
  }
  if (c.op() == "clip_grad_value") {
    optim::clip_grad_value_(parameters, kwargs["clip_value"]);
  } else {
    const double norm =

        optim::clip_grad_norm_(parameters, kwargs["max_norm"], {.norm_type = kwargs.value("norm_type", 2.0)});
    const double golden = c.record["total_norm"];
    verdict.compare("total_norm", norm, golden, optimizer_tolerance(c).relative * golden);
  }
  for (std::size_t i = 0; i < parameters.size(); ++i)
    verdict.compare(str("after_", i), parameters[i].grad(), c.golden(str("after_", i)),
                    optimizer_tolerance(c));
}

void run_schedule(const Case& c, Verdict& verdict) {
  const Tensor p = zeros({1}, f64).requires_grad_();
  const json kwargs = plain_value(c.record["kwargs"]);
  json settings{{"lr", c.record["base_lr"]}};
  if (c.record.contains("momentum")) settings["momentum"] = 0.9;
  const auto optimizer = optim::make("SGD", Tensors{p}, settings);
  std::unique_ptr<optim::LRScheduler> schedule;
  if (kwargs.contains("lr_lambda"))
    schedule = std::make_unique<optim::LambdaLR>(*optimizer, parse_lambda(kwargs["lr_lambda"]));
  else
    schedule = optim::make_schedule(short_name(c.op()), *optimizer, kwargs);

  const auto& lrs = c.record["lrs"];
  const auto compare = [&](std::size_t step) {
    const double lr = lrs[step];
    verdict.compare(str("lr[", step, "]"), optimizer->lr(), lr, 1e-12 * std::abs(lr));
    if (!c.record.contains("momentum")) return;
    const double momentum = c.record["momentum"][step];
    verdict.compare(str("momentum[", step, "]"), optimizer->momentum().value_or(NAN), momentum,
                    1e-12 * std::abs(momentum));
  };
  compare(0);
  for (std::size_t step = 1; step < lrs.size(); ++step) {
    p.set_grad(zeros({1}, f64));
    optimizer->step();
    if (c.record.contains("metrics"))
      schedule->step(c.record["metrics"][step - 1].get<double>());
    else
      schedule->step();
    compare(step);
  }
}

void run_network(const Case& c, Verdict& verdict) {
  std::map<std::string, Tensor> values;
  std::vector<std::string> names;
  Tensors parameters;
  for (const auto& [key, unused] : c.record["tensors"].items()) {
    if (key.starts_with("p0_")) {
      names.push_back(key.substr(3));
      parameters.push_back(c.input(key).clone().requires_grad_());
      values[names.back()] = parameters.back();
    } else if (key.starts_with("running0_") || key.starts_with("b0_")) {
      values[key.substr(key.find('_') + 1)] = c.input(key).clone();
    } else if (key == "x" || key == "target") {
      values[key] = c.input(key);
    }
  }
  const auto optimizer = optim::make(c.record["optimizer"][0].get<std::string>(), parameters,
                                     plain_value(c.record["optimizer"][1]));

  const auto forward = [&] {
    for (const auto& line : c.record["graph"]) {
      Tensors inputs;
      for (const std::string name : line[2]) {
        if (!values.contains(name)) raise("run_cases", "the graph names an unknown value \"", name, "\"");
        inputs.push_back(values[name]);
      }
      values[line[0]] = ops::call(short_name(line[1]), inputs, plain_value(line[3]));
    }
    return values.at("loss");
  };
  const auto golden_loss = c.golden("loss").to_vector<double>();
  const auto compare_loss = [&](const Tensor& loss, std::size_t t) {
    verdict.compare(str("loss[", t, "]"), loss.item<double>(), golden_loss[t],
                    optimizer_tolerance(c).relative * std::abs(golden_loss[t]));
  };
  const std::int64_t steps = c.record["steps"];
  for (std::int64_t t = 0; t < steps; ++t) {
    optimizer->zero_grad();
    const Tensor loss = forward();
    compare_loss(loss, static_cast<std::size_t>(t));
    loss.backward();
    if (t == 0) {
      verdict.compare("y", values.at("y").detach(), c.golden("y"), optimizer_tolerance(c));
      for (std::size_t i = 0; i < names.size(); ++i)
        verdict.compare("grad0_" + names[i], parameters[i].grad(), c.golden("grad0_" + names[i]),
                        optimizer_tolerance(c));
    }
    optimizer->step();
  }
  if (golden_loss.size() > static_cast<std::size_t>(steps))
    compare_loss(forward(), static_cast<std::size_t>(steps));
  for (std::size_t i = 0; i < names.size(); ++i)
    verdict.compare("after_" + names[i], parameters[i].detach(), c.golden("after_" + names[i]),
                    optimizer_tolerance(c));
}

}  // namespace run_cases
