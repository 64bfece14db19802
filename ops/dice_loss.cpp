#include "ops/autocast.hpp"
#include "ops/loss_options.hpp"
#include "ops/options.hpp"
#include "ops/overlap.hpp"
#include "ops/samples.hpp"

namespace lucid {

LUCID_OPTIONS(DiceLossOptions, include_background, sigmoid, softmax, squared_pred, jaccard, batch,
              present_only, reduction, smooth_nr, smooth_dr, ignore_index)

namespace {
constexpr std::string_view kOp = "dice_loss";
}

Tensor dice_loss(const Tensor& given, const Tensor& target, const DiceLossOptions& options) {
  const Tensor input = ops::autocast_loss_operand(given);
  const ops::Overlap sums = ops::class_overlap(kOp, input, target, options, options.squared_pred);
  const Tensor areas = sums.prediction + sums.truth;
  const Tensor denominator = options.jaccard ? (areas - sums.both) * 2.0 : areas;
  const Tensor losses =
      ops::one_minus_ratio(sums.both * 2.0 + options.smooth_nr, denominator + options.smooth_dr);
  return ops::reduce_ratios(losses, sums, options.present_only, options.reduction, input.dtype());
}

namespace ops {

Op dice_loss_op() {
  return {
      .name = "dice_loss",
      .doc =
          "1 - 2 sum(p t) / (sum p + sum t), smoothed, by sample and class: input (N, C, ...), target "
          "indices (N, ...) or one-hot",
      .inputs = {{"input"}, {"target"}},
      .defaults = default_options<DiceLossOptions>(),
      .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
        return {lucid::dice_loss(in[0], in[1], read_options<DiceLossOptions>(kOp, given))};
      },
      .samples = [](Generator& generator) -> std::vector<Sample> {
        const Shape volume{2, 3, 2, 3, 4};
        const auto x = [&] { return normal(volume, generator); };
        const auto p = [&] { return uniform(volume, 0.1, 0.9, generator); };
        const auto labels = [&](const Shape& shape) { return randint(0, 3, shape, i64, &generator); };
        return {{{x(), labels({2, 2, 3, 4})}, {{"softmax", true}}},
                {{x(), labels({2, 1, 2, 3, 4}).to(u8)},
                 {{"softmax", true}, {"include_background", false}, {"batch", true}, {"ignore_index", 1}}},
                {{x(), p()}, {{"sigmoid", true}, {"squared_pred", true}}},
                {{p(), p()}, {{"jaccard", true}, {"reduction", "none"}}},
                {{x(), p()},
                 {{"softmax", true}, {"reduction", "none"}, {"include_background", false}, {"smooth_nr", 0}}},
                {{x(), randint(0, 2, {2, 2, 3, 4}, i32, &generator)},
                 {{"softmax", true}, {"present_only", true}}},
                {{x(), randint(0, 2, {2, 2, 3, 4}, i64, &generator)},
                 {{"softmax", true}, {"reduction", "none"}, {"present_only", true}, {"batch", true}}},
                {{normal({2, 3, 4}, generator), zeros({2, 4}, i64)}, {{"sigmoid", true}, {"smooth_nr", 0.5}}},
                {{x(), p()}, {{"sigmoid", true}, {"reduction", "sum"}, {"batch", true}, {"jaccard", true}}},
                {{normal({3, 4}, generator), uniform({3, 4}, 0.1, 1, generator)}, {{"softmax", true}}}};
      },
      .errors = []() -> std::vector<ErrorCase> {
        const Tensor x = ones({2, 3, 2, 2}, f64), t = zeros({2, 2, 2}, i64);
        return {{{x, zeros({2, 2, 3}, i64)}, {}, "(2, 2, 3)"},
                {{x, full({2, 2, 2}, 7, i64)}, {}, "class index 7"},
                {{x, t.to(f64)}, {}, "float64"},
                {{x.to(i64), t}, {}, "int64"},
                {{x, t}, {{"sigmoid", true}, {"softmax", true}}, "both"},
                {{x, t}, {{"smooth_dr", -1}}, "smooth_dr is -1"},
                {{ones({2, 1, 2}, f64), zeros({2, 2}, i64)}, {{"include_background", false}}, "(2, 1, 2)"}};
      },
      .cost = [](const Tensors& in, const nlohmann::json&) -> Cost {
        return {8.0 * static_cast<double>(in[0].numel()),
                static_cast<double>(in[0].nbytes() + in[1].nbytes())};
      }};
}

}  // namespace ops
}  // namespace lucid
