// Adamax, NAdam and RAdam.

#include <cmath>

#include "nn/optim/adam.hpp"
#include "nn/optim/optimizer_of.hpp"
#include "nn/optim/update.hpp"

namespace lucid::optim {

LUCID_OPTIONS(AdamaxOptions, lr, betas, eps, weight_decay, maximize)
LUCID_OPTIONS(NAdamOptions, lr, betas, eps, weight_decay, momentum_decay)
LUCID_OPTIONS(RAdamOptions, lr, betas, eps, weight_decay)

template <class Options>
static void validate_common(std::string_view op, const Options& o) {
  detail::require_option(op, "lr", o.lr, 0);
  detail::require_option(op, "eps", o.eps, 0);
  detail::require_beta(op, "betas[0]", o.betas[0]);
  detail::require_beta(op, "betas[1]", o.betas[1]);
  detail::require_option(op, "weight_decay", o.weight_decay, 0);
}
static void validate(std::string_view op, const AdamaxOptions& o) { validate_common(op, o); }
static void validate(std::string_view op, const NAdamOptions& o) {
  validate_common(op, o);
  detail::require_option(op, "momentum_decay", o.momentum_decay, 0);
}
static void validate(std::string_view op, const RAdamOptions& o) { validate_common(op, o); }
static std::vector<bool> used_slots(const AdamaxOptions&) { return {true, true}; }
static std::vector<bool> used_slots(const NAdamOptions&) { return {true, true}; }
static std::vector<bool> used_slots(const RAdamOptions&) { return {true, true}; }

Adamax::Adamax(std::vector<Tensor> params, const AdamaxOptions& options)
    : Adamax(std::vector<ParamGroup<AdamaxOptions>>{{std::move(params), options}}) {}
Adamax::Adamax(const std::vector<ParamGroup<AdamaxOptions>>& groups)
    : OptimizerOf("Adamax", {"exp_avg", "exp_inf"}, groups) {}

void Adamax::update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) {
  const AdamaxOptions& o = options(group);
  const double beta1 = o.betas[0], beta2 = o.betas[1], eps = o.eps, decay = o.weight_decay;
  const double rate = o.lr / (1 - std::pow(beta1, static_cast<double>(state.step + 1)));
  const double sign = o.maximize ? -1 : 1;
  detail::slot_of(state, 0, param);
  detail::slot_of(state, 1, param);
  detail::update_elements<2>(param, grad, state, {0, 1}, [=](auto& p, auto g, auto& m, auto& u) {
    using S = std::decay_t<decltype(p)>;
    const S d = S(sign) * g + S(decay) * p;
    m = S(beta1) * m + S(1 - beta1) * d;
    const S kept = S(beta2) * u, fresh = std::abs(d) + S(eps);
    u = kept > fresh ? kept : fresh;
    p -= S(rate) * m / u;
  });
}

NAdam::NAdam(std::vector<Tensor> params, const NAdamOptions& options)
    : NAdam(std::vector<ParamGroup<NAdamOptions>>{{std::move(params), options}}) {}
NAdam::NAdam(const std::vector<ParamGroup<NAdamOptions>>& groups)
    : OptimizerOf("NAdam", {"exp_avg", "exp_avg_sq"}, groups) {}

void NAdam::update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) {
  const NAdamOptions& o = options(group);
  const double beta1 = o.betas[0], beta2 = o.betas[1], eps = o.eps, decay = o.weight_decay;
  const double t = static_cast<double>(state.step + 1);
  const auto mu_at = [&](double step) { return beta1 * (1 - 0.5 * std::pow(0.96, step * o.momentum_decay)); };
  const double mu = mu_at(t), mu_next = mu_at(t + 1);
  // PyTorch keeps the product in float32, whatever the parameter's type; the same numbers need the same
  // rounding.
  state.mu_product = static_cast<float>(state.mu_product) * static_cast<float>(mu);
  const double next_product =
      static_cast<float>(state.mu_product) * static_cast<float>(mu) * static_cast<float>(mu_next);
  const double grad_rate = o.lr * (1 - mu) / (1 - state.mu_product);
  const double moment_rate = o.lr * mu_next / (1 - next_product);
  const double correction = 1 - std::pow(beta2, t);
  detail::slot_of(state, 0, param);
  detail::slot_of(state, 1, param);
  detail::update_elements<2>(param, grad, state, {0, 1}, [=](auto& p, auto g, auto& m, auto& v) {
    using S = std::decay_t<decltype(p)>;
    const S d = g + S(decay) * p;
    m = S(beta1) * m + S(1 - beta1) * d;
    v = S(beta2) * v + S(1 - beta2) * d * d;
    const S denominator = std::sqrt(v / S(correction)) + S(eps);
    p -= (S(grad_rate) * d + S(moment_rate) * m) / denominator;
  });
}

RAdam::RAdam(std::vector<Tensor> params, const RAdamOptions& options)
    : RAdam(std::vector<ParamGroup<RAdamOptions>>{{std::move(params), options}}) {}
RAdam::RAdam(const std::vector<ParamGroup<RAdamOptions>>& groups)
    : OptimizerOf("RAdam", {"exp_avg", "exp_avg_sq"}, groups) {}

void RAdam::update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) {
  const RAdamOptions& o = options(group);
  const double beta1 = o.betas[0], beta2 = o.betas[1], eps = o.eps, decay = o.weight_decay;
  const double t = static_cast<double>(state.step + 1);
  const double rate = o.lr / (1 - std::pow(beta1, t));
  const double correction = 1 - std::pow(beta2, t);
  // Length of the simple moving average that the exponential one amounts to, in the limit and now.
  const double limit = 2 / (1 - beta2) - 1;
  const double length = limit - 2 * t * std::pow(beta2, t) / correction;
  const bool rectify = length > 5;
  const double factor =
      rectify
          ? std::sqrt(correction * (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length))
          : 1;
  detail::slot_of(state, 0, param);
  detail::slot_of(state, 1, param);
  detail::update_elements<2>(param, grad, state, {0, 1}, [=](auto& p, auto g, auto& m, auto& v) {
    using S = std::decay_t<decltype(p)>;
    const S d = g + S(decay) * p;
    m = S(beta1) * m + S(1 - beta1) * d;
    v = S(beta2) * v + S(1 - beta2) * d * d;
    const S pace = S(factor) / (std::sqrt(v) + S(eps));
    p -= S(rate) * m * (rectify ? pace : S(1));
  });
}

template class OptimizerOf<AdamaxOptions>;
template class OptimizerOf<NAdamOptions>;
template class OptimizerOf<RAdamOptions>;

}  // namespace lucid::optim
