// Optimisers and clipping.

#include <algorithm>
#include <cmath>

#include "autograd/backward.hpp"
#include "case.hpp"
#include "names.hpp"
#include "nn/optim/clip.hpp"
#include "nn/optim/make.hpp"
#include "nn/optim/schedule.hpp"
#include "optim_support.hpp"

namespace run_cases {
namespace {

using namespace lucid;

// Suffixes of the parameters: "_w", "_b", "_0", or "" for the only one.
std::vector<std::string> parameter_suffixes(const Case& c) {
  std::vector<std::string> out;
  for (const auto& [key, unused] : c.field("tensors").items())
    if (key.starts_with("p0")) out.push_back(key.substr(2));
  // "_2" before "_10"
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    const bool numbers = std::isdigit(static_cast<unsigned char>((a.empty() ? ' ' : a.back()))) &&
                         std::isdigit(static_cast<unsigned char>((b.empty() ? ' ' : b.back())));
    return numbers && a.size() < b.size();
  });
  if (out.empty()) raise("run_cases", "the case has no parameters p0");
  return out;
}

std::unique_ptr<optim::Optimizer> make_optimizer(const Case& c, const Tensors& parameters) {
  const std::string name = short_name(c.op());
  const json kwargs = settings(c.record.value("kwargs", json::object()));
  if (!c.record.contains("groups")) return optim::make(name, parameters, kwargs);
  std::vector<Tensors> groups;
  for (const Tensor& parameter : parameters) groups.push_back({parameter});
  std::vector<json> overrides;
  for (const json& group : c.field("groups")) overrides.push_back(settings(group));
  return optim::make(name, groups, kwargs, overrides);
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
    schedule = make_schedule(c.field("schedule").at(0), *optimizer, c.field("schedule").at(1));
  for (std::int64_t t = 0; t < c.field("steps").get<std::int64_t>(); ++t) {
    for (std::size_t i = 0; i < parameters.size(); ++i)
      parameters[i].set_grad(c.input("grad" + suffixes[i]).select(0, t).clone());
    optimizer->step();
    if (schedule) schedule->step();
    for (std::size_t i = 0; i < parameters.size(); ++i)
      verdict.compare(str("after", suffixes[i], "[", t, "]"), parameters[i].detach(),
                      c.golden("after" + suffixes[i]).select(0, t), optimizer_tolerance(c));
  }
  for (const auto& [key, unused] : c.field("tensors").items()) {
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
  const std::int64_t steps = c.field("steps");
  double largest = 0;
  for (double loss : golden_loss) largest = std::max(largest, std::abs(loss));
  for (std::int64_t t = 0; t <= steps; ++t) {
    optimizer->zero_grad();
    const Tensor loss = (p * a.matmul(p)).sum() * 0.5 - (linear * p).sum();
    verdict.compare(str("loss[", t, "]"), loss.item<double>(), golden_loss.at(static_cast<std::size_t>(t)),
                    optimizer_tolerance(c).relative * largest);
    if (t == steps) break;
    loss.backward();
    optimizer->step();
    verdict.compare(str("after[", t, "]"), p.detach(), c.golden("after").select(0, t),
                    optimizer_tolerance(c));
  }
}

}  // namespace

optim::ClipGradNormOptions clip_options(const json& settings) {
  optim::ClipGradNormOptions options;
  const json p = settings.value("norm_type", json(options.norm_type));
  options.norm_type = p == "inf" ? INFINITY : p.get<double>();
  options.error_if_nonfinite = settings.value("error_if_nonfinite", false);
  return options;
}

void run_optimizer(const Case& c, Verdict& verdict) {
  if (c.field("kind") == "quadratic")
    run_quadratic(c, verdict);
  else
    run_given(c, verdict);
}

void run_clip(const Case& c, Verdict& verdict) {
  const json kwargs = settings(c.field("kwargs"));
  Tensors parameters;
  for (int i = 0; c.has("grad_" + std::to_string(i)); ++i) {
    const Tensor grad = c.input("grad_" + std::to_string(i)).clone();
    parameters.push_back(zeros(grad.shape(), grad.dtype()).requires_grad_());
    parameters.back().set_grad(grad);
  }
  if (c.op().find("clip_grad_value") != std::string::npos) {
    optim::clip_grad_value_(parameters, kwargs.at("clip_value"));
  } else {
    const double norm = optim::clip_grad_norm_(parameters, kwargs.at("max_norm"), clip_options(kwargs));
    const double golden = c.field("total_norm");
    verdict.compare("total_norm", norm, golden, optimizer_tolerance(c).relative * golden);
  }
  for (std::size_t i = 0; i < parameters.size(); ++i)
    verdict.compare(str("after_", i), parameters[i].grad(), c.golden(str("after_", i)),
                    optimizer_tolerance(c));
}

}  // namespace run_cases
