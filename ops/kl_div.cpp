#include "ops/autocast.hpp"
#include "ops/compare.hpp"
#include "ops/kernels/math.hpp"
#include "ops/options.hpp"
#include "ops/pair_loss.hpp"
#include "ops/samples.hpp"
#include "ops/select.hpp"

namespace lucid {

LUCID_OPTION_ENUM(KlReduction, {{KlReduction::none, "none"},
                                {KlReduction::batchmean, "batchmean"},
                                {KlReduction::mean, "mean"},
                                {KlReduction::sum, "sum"}})
LUCID_OPTIONS(KlDivOptions, reduction, log_target)

namespace {

using autograd::Backward;

template <bool kLogTarget>  // a choice within a loop would keep it from being vectorised
struct Divergence {
  static constexpr std::string_view kName = "kl_div";
  template <class C>
  C value(C x, C t) const {
    if (kLogTarget) return kernels::math::exp(t) * (t - x);
    const C value = t * (kernels::math::log(t) - x);
    return t == 0 ? C(0) : value;
  }
  template <class C>
  C slope(C, C t) const {
    return kLogTarget ? -kernels::math::exp(t) : -t;
  }
  template <class C>
  C target_slope(C x, C t) const {
    if (kLogTarget) return kernels::math::exp(t) * (t - x + 1);
    const C slope = kernels::math::log(t) + 1 - x;
    return t == 0 ? C(0) : slope;
  }
  ops::Slopes slopes(const Tensor& x, const Tensor& t) const {
    if (kLogTarget) return {-t.exp(), t.exp() * (t - x + 1.0)};
    const Tensor is_zero = t == 0.0;  // log(1) stands in for log(0), and is passed over
    return {-t, where(is_zero, 0.0, where(is_zero, 1.0, t).log() + 1.0 - x)};
  }
};

// f(Divergence) for the kind of target.
template <class F>
auto with_divergence(bool log_target, F f) {
  return log_target ? f(Divergence<true>()) : f(Divergence<false>());
}

Reduction plain(KlReduction reduction) {
  return reduction == KlReduction::none   ? Reduction::none
         : reduction == KlReduction::mean ? Reduction::mean
                                          : Reduction::sum;
}

// What batchmean multiplies the sum by.
double batch_share(const Tensor& input, KlReduction reduction) {
  const bool by_batch = reduction == KlReduction::batchmean && input.dim() > 0 && input.size(0) > 0;
  return by_batch ? 1.0 / static_cast<double>(input.size(0)) : 1.0;
}

Tensors kl_div_backward(const Backward<KlDivOptions>& b) {
  const Tensor grad = b.grad() * batch_share(b.saved[0], b.options.reduction);
  return with_divergence(b.options.log_target, [&](auto divergence) {
    return ops::pair_loss_gradients(divergence, b.saved[0], b.saved[1], grad, plain(b.options.reduction),
                                    b.wants);
  });
}

}  // namespace

Tensor kl_div(const Tensor& given, const Tensor& target, const KlDivOptions& options) {
  const Tensor input = ops::autocast_loss_operand(given);
  const autograd::OpTimer timer("kl_div");
  ops::require_same_shape("kl_div", input, target);
  Tensor out = with_divergence(options.log_target, [&](auto divergence) {
    return ops::pair_loss(divergence, input, target, plain(options.reduction));
  });
  if (options.reduction == KlReduction::batchmean) {
    const no_grad guard;
    out = out * batch_share(input, options.reduction);
  }
  return autograd::record("kl_div", out, {input, target}, {input, target}, options, kl_div_backward);
}

namespace ops {

Op kl_div_op() {
  return {.name = "kl_div",
          .doc = "target (log target - input) for log-probabilities input, reduced; equal shapes",
          .inputs = {{"input"}, {"target"}},
          .defaults = default_options<KlDivOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            return {lucid::kl_div(in[0], in[1], read_options<KlDivOptions>("kl_div", given))};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            const Shape shape{2, 3, 2, 3};
            const auto input = [&] { return normal(shape, generator); };
            const auto target = [&] { return uniform(shape, 0.1, 1, generator); };
            return {{{input(), target()}},
                    {{input(), target()}, {{"reduction", "none"}}},
                    {{input(), target()}, {{"reduction", "batchmean"}}},
                    {{input(), input()}, {{"reduction", "sum"}, {"log_target", true}}},
                    {{normal({}, generator), uniform({}, 0.1, 1, generator)}, {{"reduction", "batchmean"}}},
                    {{normal({4, 3}, generator), normal({4, 3}, generator)},
                     {{"reduction", "batchmean"}, {"log_target", true}}}};
          },
          .errors = pair_errors};
}

}  // namespace ops
}  // namespace lucid
