#include "ops/autocast.hpp"
#include "ops/kernels/ties.hpp"
#include "ops/loss_options.hpp"
#include "ops/options.hpp"
#include "ops/overlap.hpp"
#include "ops/reduce.hpp"
#include "ops/samples.hpp"

namespace lucid {

LUCID_OPTION_ENUM(DiceWeight, {{DiceWeight::square, "square"},
                               {DiceWeight::simple, "simple"},
                               {DiceWeight::uniform, "uniform"}})
LUCID_OPTIONS(GeneralizedDiceLossOptions, include_background, sigmoid, softmax, w_type, batch, reduction,
              smooth_nr, smooth_dr, ignore_index)

namespace {

constexpr std::string_view kOp = "generalized_dice_loss";
constexpr double kPresent = 1e-6;  // truth up to this counts as none: its inverse square must stay finite

// (..., C): of each class the inverse of its truth, squared or not; of an absent one the largest of the
// others', or 1 when there is none.
Tensor weights_of(const Tensor& truth, DiceWeight type) {
  if (type == DiceWeight::uniform || truth.numel() == 0) return ones_like(truth);
  const Tensor present = (truth > kPresent).to(f64), absent = 1.0 - present;
  const Tensor inverse = 1.0 / (truth * present + absent) * present;
  const Tensor weights = type == DiceWeight::square ? inverse * inverse : inverse;
  const Tensor largest = amax(weights, {-1}, true);
  return weights + absent * (largest + kernels::zero_mask(largest));
}

}  // namespace

Tensor generalized_dice_loss(const Tensor& given, const Tensor& target,
                             const GeneralizedDiceLossOptions& options) {
  const Tensor input = ops::autocast_loss_operand(given);
  const ops::Overlap sums = ops::class_overlap(kOp, input, target, options);
  const Tensor weights = weights_of(sums.truth, options.w_type);
  const Tensor both = (weights * sums.both).sum({-1}),
               areas = (weights * (sums.prediction + sums.truth)).sum({-1});
  const Tensor losses = ops::one_minus_ratio(both * 2.0 + options.smooth_nr, areas + options.smooth_dr);
  return ops::reduce_loss(losses, options.reduction).to(input.dtype());
}

namespace ops {

Op generalized_dice_loss_op() {
  return {
      .name = std::string(kOp),
      .doc =
          "1 - 2 sum_c w sum(p t) / sum_c w (sum p + sum t), w by the class's size in the target: input (N, "
          "C, ...), target indices (N, ...) or one-hot",
      .inputs = {{"input"}, {"target"}},
      .defaults = default_options<GeneralizedDiceLossOptions>(),
      .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
        return {
            lucid::generalized_dice_loss(in[0], in[1], read_options<GeneralizedDiceLossOptions>(kOp, given))};
      },
      .samples = [](Generator& generator) -> std::vector<Sample> {
        const Shape volume{2, 3, 2, 3, 4};
        const auto x = [&] { return normal(volume, generator); };
        const auto p = [&] { return uniform(volume, 0.1, 0.9, generator); };
        const auto labels = [&](const Shape& shape) { return randint(0, 3, shape, i64, &generator); };
        return {
            {{x(), labels({2, 2, 3, 4})}, {{"softmax", true}}},
            {{x(), labels({2, 1, 2, 3, 4}).to(u8)},
             {{"softmax", true}, {"include_background", false}, {"batch", true}, {"ignore_index", 1}}},
            {{x(), p()}, {{"sigmoid", true}, {"w_type", "simple"}, {"reduction", "none"}}},
            {{p(), p()}, {{"reduction", "sum"}}},
            {{x(), labels({2, 2, 3, 4})}, {{"softmax", true}, {"w_type", "uniform"}}},
            {{x(), randint(0, 2, {2, 2, 3, 4}, i32, &generator)}, {{"softmax", true}}},
            {{normal({2, 3, 4}, generator), zeros({2, 4}, i64)},  // no class that counts is present
             {{"softmax", true}, {"include_background", false}, {"smooth_nr", 0.5}, {"w_type", "simple"}}}};
      },
      .errors = []() -> std::vector<ErrorCase> {
        const Tensor x = ones({2, 3, 2, 2}, f64), t = zeros({2, 2, 2}, i64);
        return {{{x, zeros({2, 2, 3}, i64)}, {}, "(2, 2, 3)"},
                {{x, full({2, 2, 2}, 7, i64)}, {}, "class index 7"},
                {{x, t}, {{"sigmoid", true}, {"softmax", true}}, "both"},
                {{x, t}, {{"w_type", "cubic"}}, "cubic"},
                {{x, t}, {{"smooth_dr", -1}}, "smooth_dr is -1"}};
      }};
}

}  // namespace ops
}  // namespace lucid
