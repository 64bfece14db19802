#include "lucid/op_scope.hpp"
#include "ops/autocast.hpp"
#include "ops/loss.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {

LUCID_OPTIONS(DiceCeLossOptions, lambda_dice, lambda_ce, include_background, squared_pred, batch,
              present_only, smooth_nr, smooth_dr, ignore_index, label_smoothing)

Tensor dice_ce_loss(const Tensor& given, const Tensor& target, const DiceCeLossOptions& options) {
  const Tensor input = ops::autocast_loss_operand(given);
  const OpScope scope("dice_ce_loss");  // the two below say whose part they are
  const Tensor dice = dice_loss(input, target,
                                {.include_background = options.include_background,
                                 .softmax = true,
                                 .squared_pred = options.squared_pred,
                                 .batch = options.batch,
                                 .present_only = options.present_only,
                                 .smooth_nr = options.smooth_nr,
                                 .smooth_dr = options.smooth_dr,
                                 .ignore_index = options.ignore_index});
  // dice_loss has checked the shapes: one of input's is one-hot, one class with an axis of its own is
  // indices.
  const bool indices = target.shape() != input.shape();
  const Tensor classes = indices && target.dim() == input.dim() ? target.squeeze(1) : target;
  const Tensor ce =
      cross_entropy(input, indices || is_floating(target.dtype()) ? classes : target.to(input.dtype()),
                    {.weight = options.weight,
                     .ignore_index = options.ignore_index,
                     .label_smoothing = options.label_smoothing});
  return dice * options.lambda_dice + ce * options.lambda_ce;
}

namespace ops {

Op dice_ce_loss_op() {
  return {
      .name = "dice_ce_loss",
      .doc =
          "lambda_dice dice_loss + lambda_ce cross_entropy: logits input (N, C, ...), target indices (N, "
          "...) or one-hot, weight (C)",
      .inputs = {{"input"}, {"target"}, {"weight", true}},
      .defaults = default_options<DiceCeLossOptions>(),
      .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
        auto options = read_options<DiceCeLossOptions>("dice_ce_loss", given);
        options.weight = in[2];
        return {lucid::dice_ce_loss(in[0], in[1], options)};
      },
      .samples = [](Generator& generator) -> std::vector<Sample> {
        const Shape volume{2, 3, 2, 3, 4};
        const auto x = [&] { return normal(volume, generator); };
        const auto labels = [&](const Shape& shape) { return randint(0, 3, shape, i64, &generator); };
        return {
            {{x(), labels({2, 2, 3, 4})}},
            {{x(), labels({2, 1, 2, 3, 4}).to(u8), uniform({3}, 0.5, 2, generator)},
             {{"present_only", true}, {"ignore_index", 2}, {"lambda_dice", 0.5}, {"label_smoothing", 0.1}}},
            {{x(), uniform(volume, 0.1, 1, generator)},
             {{"include_background", false}, {"squared_pred", true}, {"batch", true}, {"lambda_ce", 2}}},
            {{normal({2, 3, 4}, generator), randint(0, 2, {2, 3, 4}, i32, &generator)},
             {{"smooth_nr", 0.5}, {"smooth_dr", 0.75}}}};
      },
      .errors = []() -> std::vector<ErrorCase> {
        return {{{ones({2, 3, 2}, f64), zeros({2, 3}, i64)}, {}, "(2, 3)"},
                {{ones({2, 3, 2}, f64), full({2, 2}, 3, i64)}, {}, "class index 3"}};
      }};
}

}  // namespace ops
}  // namespace lucid
