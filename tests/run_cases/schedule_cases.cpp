// Learning-rate schedules.

#include <cmath>

#include "expression.hpp"
#include "names.hpp"
#include "nn/optim/make.hpp"
#include "optim_support.hpp"

namespace run_cases {

using namespace lucid;

Tolerance optimizer_tolerance(const Case& c) {
  return c.is_f32() ? Tolerance{1e-5, 1e-12} : Tolerance{1e-9, 1e-12};
}

json settings(const json& kwargs) {
  json out = plain_value(kwargs);
  for (const char* key : {"foreach", "fused", "capturable", "differentiable", "verbose"}) out.erase(key);
  if (out.contains("last_epoch") && out["last_epoch"] == -1) out.erase("last_epoch");
  return out;
}

std::unique_ptr<optim::LRScheduler> make_schedule(const std::string& name, optim::Optimizer& optimizer,
                                                  const json& kwargs) {
  const std::string kind = short_name(name);
  json options = settings(kwargs);
  if (kind == "LambdaLR")
    return std::make_unique<optim::LambdaLR>(optimizer, parse_lambda(options.at("lr_lambda")));
  if (kind == "MultiplicativeLR")
    return std::make_unique<optim::MultiplicativeLR>(optimizer, parse_lambda(options.at("lr_lambda")));
  return optim::make_schedule(kind, optimizer, options);
}

void run_schedule(const Case& c, Verdict& verdict) {
  const Tensor p = zeros({1}, f64).requires_grad_();
  json options{{"lr", c.field("base_lr")}};
  const bool cycles = c.record.contains("momentum");
  if (cycles || c.field("kwargs").value("cycle_momentum", false)) options["momentum"] = 0.9;
  const auto optimizer = optim::make("SGD", Tensors{p}, options);
  const auto schedule = make_schedule(c.op(), *optimizer, c.field("kwargs"));

  const json& lrs = c.field("lrs");
  const auto compare = [&](std::size_t step) {
    const double lr = lrs.at(step);
    verdict.compare(str("lr[", step, "]"), optimizer->lr(), lr, 1e-12 * std::abs(lr));
    if (!cycles) return;
    const double momentum = c.field("momentum").at(step);
    verdict.compare(str("momentum[", step, "]"), optimizer->momentum().value_or(NAN), momentum,
                    1e-12 * std::abs(momentum));
  };
  compare(0);
  for (std::size_t step = 1; step < lrs.size(); ++step) {
    p.set_grad(zeros({1}, f64));
    optimizer->step();
    if (c.record.contains("metrics"))
      schedule->step(c.field("metrics").at(step - 1).get<double>());
    else
      schedule->step();
    compare(step);
  }
}

}  // namespace run_cases
