#include "ops/autocast.hpp"
#include "ops/kernels/ties.hpp"
#include "ops/loss_options.hpp"
#include "ops/options.hpp"
#include "ops/overlap.hpp"
#include "ops/samples.hpp"
#include "ops/select.hpp"

namespace lucid {

LUCID_OPTIONS(TverskyLossOptions, include_background, sigmoid, softmax, alpha, beta, batch, present_only,
              reduction, smooth_nr, smooth_dr, ignore_index)
LUCID_OPTIONS(FocalTverskyLossOptions, include_background, sigmoid, softmax, alpha, beta, gamma, batch,
              present_only, reduction, smooth_nr, smooth_dr, ignore_index)

namespace {

constexpr std::string_view kTversky = "tversky_loss", kFocal = "focal_tversky_loss";

// 1 - the Tversky index of each class.
template <class Options>
Tensor complements(std::string_view op, const ops::Overlap& sums, const Options& options) {
  check(options.alpha >= 0, op, "alpha is ", options.alpha, "; at least 0 is required");
  check(options.beta >= 0, op, "beta is ", options.beta, "; at least 0 is required");
  const Tensor wrong =
      (sums.prediction - sums.both) * options.alpha + (sums.truth - sums.both) * options.beta;
  return ops::one_minus_ratio(sums.both + options.smooth_nr, sums.both + wrong + options.smooth_dr);
}

// x^exponent for x > 0, and 0 with a gradient of 0 elsewhere: the slope at 0 itself may be infinite.
Tensor power_above_zero(const Tensor& x, double exponent) {
  const Tensor above = (x > 0.0).to(x.dtype());
  return (x * above + (1.0 - above)).pow(exponent) * above;
}

}  // namespace

Tensor tversky_loss(const Tensor& given, const Tensor& target, const TverskyLossOptions& options) {
  const Tensor input = ops::autocast_loss_operand(given);
  const ops::Overlap sums = ops::class_overlap(kTversky, input, target, options);
  return ops::reduce_ratios(complements(kTversky, sums, options), sums, options.present_only,
                            options.reduction, input.dtype());
}

Tensor focal_tversky_loss(const Tensor& given, const Tensor& target, const FocalTverskyLossOptions& options) {
  const Tensor input = ops::autocast_loss_operand(given);
  check(options.gamma > 0, kFocal, "gamma is ", options.gamma, "; above 0 is required");
  const ops::Overlap sums = ops::class_overlap(kFocal, input, target, options);
  return ops::reduce_ratios(power_above_zero(complements(kFocal, sums, options), 1 / options.gamma), sums,
                            options.present_only, options.reduction, input.dtype());
}

namespace ops {
namespace {

std::vector<Sample> tversky_samples(Generator& generator) {
  const Shape volume{2, 3, 2, 3, 4};
  const auto x = [&] { return normal(volume, generator); };
  const auto p = [&] { return uniform(volume, 0.1, 0.9, generator); };
  const auto labels = [&](const Shape& shape) { return randint(0, 3, shape, i64, &generator); };
  return {{{x(), labels({2, 2, 3, 4})}, {{"softmax", true}}},
          {{x(), labels({2, 1, 2, 3, 4}).to(u8)},
           {{"softmax", true}, {"include_background", false}, {"batch", true}, {"ignore_index", 1}}},
          {{x(), p()}, {{"sigmoid", true}, {"alpha", 0.2}, {"beta", 1.5}, {"reduction", "none"}}},
          {{p(), p()}, {{"alpha", 0}, {"reduction", "sum"}}},
          {{x(), randint(0, 2, {2, 2, 3, 4}, i32, &generator)}, {{"softmax", true}, {"present_only", true}}},
          {{normal({2, 3, 4}, generator), zeros({2, 4}, i64)},
           {{"sigmoid", true}, {"smooth_nr", 0.5}, {"smooth_dr", 0.75}, {"reduction", "none"}}}};
}

std::vector<ErrorCase> tversky_errors() {
  const Tensor x = ones({2, 3, 2, 2}, f64), t = zeros({2, 2, 2}, i64);
  return {{{x, zeros({2, 2, 3}, i64)}, {}, "(2, 2, 3)"},
          {{x, full({2, 2, 2}, 7, i64)}, {}, "class index 7"},
          {{x, full({2, 3, 2, 2}, 255, u8)}, {}, "holds 255"},
          {{x, t}, {{"sigmoid", true}, {"softmax", true}}, "both"},
          {{x, t}, {{"alpha", -0.5}}, "alpha is -0.5"},
          {{x, t}, {{"beta", -1}}, "beta is -1"},
          {{x, t}, {{"smooth_nr", -1}}, "smooth_nr is -1"}};
}

}  // namespace

Op tversky_loss_op() {
  return {.name = std::string(kTversky),
          .doc =
              "1 - TP / (TP + alpha FP + beta FN), smoothed, by sample and class: input (N, C, ...), target "
              "indices (N, ...) or one-hot",
          .inputs = {{"input"}, {"target"}},
          .defaults = default_options<TverskyLossOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            return {lucid::tversky_loss(in[0], in[1], read_options<TverskyLossOptions>(kTversky, given))};
          },
          .samples = tversky_samples,
          .errors = tversky_errors};
}

Op focal_tversky_loss_op() {
  return {.name = std::string(kFocal),
          .doc = "(1 - Tversky index)^(1 / gamma) by sample and class; the arguments of tversky_loss",
          .inputs = {{"input"}, {"target"}},
          .defaults = default_options<FocalTverskyLossOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            return {lucid::focal_tversky_loss(in[0], in[1],
                                              read_options<FocalTverskyLossOptions>(kFocal, given))};
          },
          .samples =
              [](Generator& generator) {
                auto samples = tversky_samples(generator);
                samples[0].options.set("gamma", 2);
                samples[2].options.set("gamma", 0.75);
                return samples;
              },
          .errors =
              [] {
                auto errors = tversky_errors();
                errors.push_back({{ones({2, 3, 2}, f64), zeros({2, 2}, i64)}, {{"gamma", 0}}, "gamma is 0"});
                return errors;
              }};
}

}  // namespace ops
}  // namespace lucid
