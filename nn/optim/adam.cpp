#include "nn/optim/adam.hpp"

#include <cmath>

#include "nn/optim/optimizer_of.hpp"
#include "nn/optim/update.hpp"

namespace lucid::optim {

LUCID_OPTIONS(AdamOptions, lr, betas, eps, weight_decay, amsgrad, maximize)
LUCID_OPTIONS(AdamWOptions, lr, betas, eps, weight_decay, amsgrad, maximize)

template <class Options>
static void validate_adam(std::string_view op, const Options& o) {
  detail::require_option(op, "lr", o.lr, 0);
  detail::require_option(op, "eps", o.eps, 0);
  detail::require_beta(op, "betas[0]", o.betas[0]);
  detail::require_beta(op, "betas[1]", o.betas[1]);
  detail::require_option(op, "weight_decay", o.weight_decay, 0);
}
static void validate(std::string_view op, const AdamOptions& o) { validate_adam(op, o); }
static void validate(std::string_view op, const AdamWOptions& o) { validate_adam(op, o); }
static std::vector<bool> used_slots(const AdamOptions& o) { return {true, true, o.amsgrad}; }
static std::vector<bool> used_slots(const AdamWOptions& o) { return {true, true, o.amsgrad}; }

// `keep`: what stays of the parameter before the update; `decay`: what of it is added to the gradient.
template <class Options>
static void adam_update(const Options& o, double keep, double decay, const Tensor& param, const Tensor& grad,
                        ParamState& state) {
  const double t = static_cast<double>(state.step + 1);
  const double beta1 = o.betas[0], beta2 = o.betas[1];
  const double rate = o.lr / (1 - std::pow(beta1, t));
  const double correction = std::sqrt(1 - std::pow(beta2, t));
  const double sign = o.maximize ? -1 : 1, eps = o.eps;
  const auto moments = [=](auto& p, auto g, auto& m, auto& v) {
    using S = std::decay_t<decltype(p)>;
    const S d = S(sign) * g + S(decay) * p;
    p *= S(keep);
    m = S(beta1) * m + S(1 - beta1) * d;
    v = S(beta2) * v + S(1 - beta2) * d * d;
  };
  detail::slot_of(state, 0, param);
  detail::slot_of(state, 1, param);
  if (o.amsgrad) {
    detail::slot_of(state, 2, param);
    detail::update_elements<3>(param, grad, state, {0, 1, 2},
                               [=](auto& p, auto g, auto& m, auto& v, auto& most) {
                                 using S = std::decay_t<decltype(p)>;
                                 moments(p, g, m, v);
                                 most = most > v ? most : v;
                                 p -= S(rate) * m / (std::sqrt(most) / S(correction) + S(eps));
                               });
  } else {
    detail::update_elements<2>(param, grad, state, {0, 1}, [=](auto& p, auto g, auto& m, auto& v) {
      using S = std::decay_t<decltype(p)>;
      moments(p, g, m, v);
      p -= S(rate) * m / (std::sqrt(v) / S(correction) + S(eps));
    });
  }
}

Adam::Adam(std::vector<Tensor> params, const AdamOptions& options)
    : Adam(std::vector<ParamGroup<AdamOptions>>{{std::move(params), options}}) {}
Adam::Adam(const std::vector<ParamGroup<AdamOptions>>& groups)
    : OptimizerOf("Adam", {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}, groups) {}

void Adam::update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) {
  adam_update(options(group), 1, options(group).weight_decay, param, grad, state);
}

AdamW::AdamW(std::vector<Tensor> params, const AdamWOptions& options)
    : AdamW(std::vector<ParamGroup<AdamWOptions>>{{std::move(params), options}}) {}
AdamW::AdamW(const std::vector<ParamGroup<AdamWOptions>>& groups)
    : OptimizerOf("AdamW", {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}, groups) {}

void AdamW::update(std::size_t group, const Tensor& param, const Tensor& grad, ParamState& state) {
  const AdamWOptions& o = options(group);
  adam_update(o, 1 - o.lr * o.weight_decay, 0, param, grad, state);
}

template class OptimizerOf<AdamOptions>;
template class OptimizerOf<AdamWOptions>;

}  // namespace lucid::optim
