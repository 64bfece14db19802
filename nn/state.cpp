// What a module saves and loads.

#include <algorithm>

#include "autograd/grad_mode.hpp"
#include "nn/walk.hpp"

namespace lucid::nn {
namespace {

NamedTensors state_of(Module& module) {
  NamedTensors out;
  walk(module, {.parameter = [&](const std::string& name, Parameter& p) { out.add(name, p); },
                .buffer = [&](const std::string& name, Buffer& b) { out.add(name, b); }});
  return out;
}

void append_list(std::string& out, const char* title, const std::vector<std::string>& items) {
  if (items.empty()) return;
  constexpr std::size_t kShown = 20;
  if (!out.empty()) out += "; ";
  out += title;
  for (std::size_t i = 0; i < std::min(items.size(), kShown); ++i) out += str(i ? ", " : " ", items[i]);
  if (items.size() > kShown) out += str(" and ", items.size() - kShown, " more");
}

// Why `given` can't be copied into `own`; empty when it can.
std::string misfit(const std::string& name, const Tensor& own, const Tensor& given) {
  if (!given.defined()) return str(name, " is undefined");
  if (given.shape() != own.shape()) return str(name, " has shape ", given.shape(), " where ", own.shape());
  const bool convertible = is_floating(given.dtype()) && is_floating(own.dtype());
  if (given.dtype() != own.dtype() && !convertible)
    return str(name, " has type ", given.dtype(), " where ", own.dtype());
  return {};
}

}  // namespace

NamedTensors Module::state_dict() const {
  NamedTensors out;
  walk(const_cast<Module&>(*this),
       {.parameter = [&](const std::string& name, Parameter& p) { out.add(name, p.detach()); },
        .buffer = [&](const std::string& name, Buffer& b) { out.add(name, b.detach()); }});
  return out;
}

StateDifference Module::load_state_dict(const NamedTensors& state, bool strict) {
  const NamedTensors own = state_of(*this);
  StateDifference difference;
  std::vector<std::string> misfits;
  for (const auto& [name, tensor] : own) {
    const Tensor* given = state.find(name);
    if (!given)
      difference.missing.push_back(name);
    else if (std::string why = misfit(name, tensor, *given); !why.empty())
      misfits.push_back(std::move(why));
  }
  for (const auto& entry : state)
    if (!own.contains(entry.first)) difference.unexpected.push_back(entry.first);

  std::string problems;
  if (strict) {
    append_list(problems, "missing keys:", difference.missing);
    append_list(problems, "unexpected keys:", difference.unexpected);
  }
  append_list(problems, "what does not fit:", misfits);
  if (!misfits.empty()) problems += " is required";
  check(problems.empty(), "load_state_dict", "the state is not one of ", type_name(), ": ", problems);

  const no_grad guard;
  for (const auto& [name, tensor] : own)
    if (const Tensor* given = state.find(name)) tensor.copy_(*given);
  return difference;
}

}  // namespace lucid::nn
