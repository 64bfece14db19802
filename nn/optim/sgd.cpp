#include "nn/optim/sgd.hpp"

#include "nn/optim/optimizer_of.hpp"
#include "nn/optim/update.hpp"

namespace lucid::optim {

LUCID_OPTIONS(SGDOptions, lr, momentum, dampening, weight_decay, nesterov, maximize)

static void validate(std::string_view op, const SGDOptions& o) {
  detail::require_option(op, "lr", o.lr, 0);
  detail::require_option(op, "momentum", o.momentum, 0);
  detail::require_option(op, "weight_decay", o.weight_decay, 0);
  check(!o.nesterov || (o.momentum > 0 && o.dampening == 0), op, "nesterov with momentum ", o.momentum,
        " and dampening ", o.dampening, "; it needs a momentum above 0 and dampening 0");
}

static std::vector<bool> used_slots(const SGDOptions& o) { return {o.momentum != 0}; }

SGD::SGD(std::vector<Tensor> params, const SGDOptions& options)
    : SGD(std::vector<ParamGroup<SGDOptions>>{{std::move(params), options}}) {}
SGD::SGD(const std::vector<ParamGroup<SGDOptions>>& groups)
    : OptimizerOf("SGD", {"momentum_buffer"}, groups) {}

void SGD::update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) {
  const SGDOptions& o = options(group);
  const double sign = o.maximize ? -1 : 1;
  if (o.momentum == 0) {
    detail::update_elements<0>(param, grad, state, {}, [=](auto& p, auto g) {
      using S = std::decay_t<decltype(p)>;
      p -= S(o.lr) * (S(sign) * g + S(o.weight_decay) * p);
    });
    return;
  }
  const bool first = !state.slots[0].defined();
  const double keep = first ? 0 : o.momentum, take = first ? 1 : 1 - o.dampening;
  detail::slot_of(state, 0, param);
  const auto update_by = [&](auto direction) {  // a loop for each, since a choice within is not vectorised
    detail::update_elements<1>(param, grad, state, {0}, [=](auto& p, auto g, auto& b) {
      using S = std::decay_t<decltype(p)>;
      const S d = S(sign) * g + S(o.weight_decay) * p;
      b = S(keep) * b + S(take) * d;
      p -= S(o.lr) * direction(d, b, S(o.momentum));
    });
  };
  if (o.nesterov)
    update_by([](auto d, auto b, auto momentum) { return d + momentum * b; });
  else
    update_by([](auto, auto b, auto) { return b; });
}

template class OptimizerOf<SGDOptions>;

}  // namespace lucid::optim
