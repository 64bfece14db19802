#include "nn/optim/adaptive.hpp"

#include <cmath>

#include "nn/optim/optimizer_of.hpp"
#include "nn/optim/update.hpp"

namespace lucid::optim {

LUCID_OPTIONS(RMSpropOptions, lr, alpha, eps, weight_decay, momentum, centered, maximize)
LUCID_OPTIONS(AdagradOptions, lr, lr_decay, weight_decay, initial_accumulator_value, eps, maximize)
LUCID_OPTIONS(AdadeltaOptions, lr, rho, eps, weight_decay, maximize)

static void validate(std::string_view op, const RMSpropOptions& o) {
  detail::require_option(op, "lr", o.lr, 0);
  detail::require_option(op, "eps", o.eps, 0);
  detail::require_option(op, "momentum", o.momentum, 0);
  detail::require_option(op, "weight_decay", o.weight_decay, 0);
  detail::require_option(op, "alpha", o.alpha, 0);
}
static void validate(std::string_view op, const AdagradOptions& o) {
  detail::require_option(op, "lr", o.lr, 0);
  detail::require_option(op, "lr_decay", o.lr_decay, 0);
  detail::require_option(op, "weight_decay", o.weight_decay, 0);
  detail::require_option(op, "initial_accumulator_value", o.initial_accumulator_value, 0);
  detail::require_option(op, "eps", o.eps, 0);
}
static void validate(std::string_view op, const AdadeltaOptions& o) {
  detail::require_option(op, "lr", o.lr, 0);
  check(o.rho >= 0 && o.rho <= 1, op, "rho is ", o.rho, "; it must lie in [0, 1]");
  detail::require_option(op, "eps", o.eps, 0);
  detail::require_option(op, "weight_decay", o.weight_decay, 0);
}
static std::vector<bool> used_slots(const RMSpropOptions& o) { return {true, o.centered, o.momentum > 0}; }
static std::vector<bool> used_slots(const AdagradOptions&) { return {true}; }
static std::vector<bool> used_slots(const AdadeltaOptions&) { return {true, true}; }

RMSprop::RMSprop(std::vector<Tensor> params, const RMSpropOptions& options)
    : RMSprop(std::vector<ParamGroup<RMSpropOptions>>{{std::move(params), options}}) {}
RMSprop::RMSprop(const std::vector<ParamGroup<RMSpropOptions>>& groups)
    : OptimizerOf("RMSprop", {"square_avg", "grad_avg", "momentum_buffer"}, groups) {}

void RMSprop::update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) {
  const RMSpropOptions& o = options(group);
  const double sign = o.maximize ? -1 : 1;
  const double alpha = o.alpha, eps = o.eps, decay = o.weight_decay, lr = o.lr, momentum = o.momentum;
  // The gradient over its running root mean square.
  const auto scaled = [=](auto p, auto g, auto& v) {
    using S = std::decay_t<decltype(p)>;
    const S d = S(sign) * g + S(decay) * p;
    v = S(alpha) * v + S(1 - alpha) * d * d;
    return d / (std::sqrt(v) + S(eps));
  };
  const auto centered = [=](auto p, auto g, auto& v, auto& a) {
    using S = std::decay_t<decltype(p)>;
    const S d = S(sign) * g + S(decay) * p;
    v = S(alpha) * v + S(1 - alpha) * d * d;
    a = S(alpha) * a + S(1 - alpha) * d;
    return d / (std::sqrt(v - a * a) + S(eps));
  };
  const auto through_momentum = [=](auto& p, auto step, auto& b) {
    using S = std::decay_t<decltype(p)>;
    b = S(momentum) * b + step;
    p -= S(lr) * b;
  };
  detail::slot_of(state, 0, param);
  if (o.centered) detail::slot_of(state, 1, param);
  if (momentum > 0) detail::slot_of(state, 2, param);

  if (o.centered && momentum > 0)
    detail::update_elements<3>(
        param, grad, state, {0, 1, 2},
        [=](auto& p, auto g, auto& v, auto& a, auto& b) { through_momentum(p, centered(p, g, v, a), b); });
  else if (o.centered)
    detail::update_elements<2>(param, grad, state, {0, 1}, [=](auto& p, auto g, auto& v, auto& a) {
      p -= std::decay_t<decltype(p)>(lr) * centered(p, g, v, a);
    });
  else if (momentum > 0)
    detail::update_elements<2>(param, grad, state, {0, 2}, [=](auto& p, auto g, auto& v, auto& b) {
      through_momentum(p, scaled(p, g, v), b);
    });
  else
    detail::update_elements<1>(param, grad, state, {0}, [=](auto& p, auto g, auto& v) {
      p -= std::decay_t<decltype(p)>(lr) * scaled(p, g, v);
    });
}

Adagrad::Adagrad(std::vector<Tensor> params, const AdagradOptions& options)
    : Adagrad(std::vector<ParamGroup<AdagradOptions>>{{std::move(params), options}}) {}
Adagrad::Adagrad(const std::vector<ParamGroup<AdagradOptions>>& groups)
    : OptimizerOf("Adagrad", {"sum"}, groups) {}

void Adagrad::update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) {
  const AdagradOptions& o = options(group);
  const double rate = o.lr / (1 + static_cast<double>(state.step) * o.lr_decay);
  const double sign = o.maximize ? -1 : 1, eps = o.eps, decay = o.weight_decay;
  detail::slot_of(state, 0, param, o.initial_accumulator_value);
  detail::update_elements<1>(param, grad, state, {0}, [=](auto& p, auto g, auto& sum) {
    using S = std::decay_t<decltype(p)>;
    const S d = S(sign) * g + S(decay) * p;
    sum += d * d;
    p -= S(rate) * d / (std::sqrt(sum) + S(eps));
  });
}

Adadelta::Adadelta(std::vector<Tensor> params, const AdadeltaOptions& options)
    : Adadelta(std::vector<ParamGroup<AdadeltaOptions>>{{std::move(params), options}}) {}
Adadelta::Adadelta(const std::vector<ParamGroup<AdadeltaOptions>>& groups)
    : OptimizerOf("Adadelta", {"square_avg", "acc_delta"}, groups) {}

void Adadelta::update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) {
  const AdadeltaOptions& o = options(group);
  const double sign = o.maximize ? -1 : 1, eps = o.eps, decay = o.weight_decay, lr = o.lr, rho = o.rho;
  detail::slot_of(state, 0, param);
  detail::slot_of(state, 1, param);
  detail::update_elements<2>(param, grad, state, {0, 1}, [=](auto& p, auto g, auto& v, auto& acc) {
    using S = std::decay_t<decltype(p)>;
    const S d = S(sign) * g + S(decay) * p;
    v = S(rho) * v + S(1 - rho) * d * d;
    const S change = std::sqrt(acc + S(eps)) / std::sqrt(v + S(eps)) * d;
    acc = S(rho) * acc + S(1 - rho) * change * change;
    p -= S(lr) * change;
  });
}

template class OptimizerOf<RMSpropOptions>;
template class OptimizerOf<AdagradOptions>;
template class OptimizerOf<AdadeltaOptions>;

}  // namespace lucid::optim
