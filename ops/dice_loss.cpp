#include <numeric>

#include "autograd/record.hpp"
#include "ops/join.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/kernels/cross_entropy.hpp"
#include "ops/kernels/dice.hpp"
#include "ops/kernels/ties.hpp"
#include "ops/loss_options.hpp"
#include "ops/options.hpp"
#include "ops/reduce.hpp"
#include "ops/samples.hpp"

namespace lucid {

LUCID_OPTIONS(DiceLossOptions, include_background, sigmoid, softmax, squared_pred, jaccard, batch,
              present_only, reduction, smooth_nr, smooth_dr, ignore_index)

namespace {

using autograd::Backward;
using kernels::ClassTargets;
using kernels::DiceSlopes;
using kernels::DiceSums;

constexpr std::string_view kOp = "dice_loss";

void check_options(const Tensor& input, const DiceLossOptions& options) {
  check(input.defined(), kOp, "input is undefined");
  check(is_floating(input.dtype()), kOp, "input has dtype ", input.dtype(),
        "; a floating type is required, for example .to(lucid::f32)");
  check(input.dim() >= 2, kOp, "input has shape ", input.shape(), "; (N, C, ...) is required");
  check(input.size(1) >= (options.include_background ? 1 : 2), kOp, "input has shape ", input.shape(),
        options.include_background ? ", which has no class"
                                   : ", and without the background no class is left; set include_background");
  check(!(options.sigmoid && options.softmax), kOp,
        "sigmoid and softmax are both set; one at most is required");
  check(options.smooth_nr >= 0, kOp, "smooth_nr is ", options.smooth_nr, "; at least 0 is required");
  check(options.smooth_dr >= 0, kOp, "smooth_dr is ", options.smooth_dr, "; at least 0 is required");
}

ClassTargets dice_targets(const Tensor& input, const Tensor& target, std::int64_t ignore_index) {
  check(target.defined(), kOp, "target is undefined");
  ClassTargets out{kOp, target,       std::vector<double>(static_cast<std::size_t>(input.size(1)), 1.0),
                   1,   ignore_index, 0};
  if (target.shape() == input.shape()) {
    out.target = kernels::converted(target, input.dtype());
    return out;
  }
  Shape without = input.shape(), single = input.shape();
  without.erase(1);
  single[1] = 1;
  check(target.shape() == without || target.shape() == single, kOp, "target has shape ", target.shape(),
        ", input ", input.shape(), " expects class indices of shape ", without, " or ", single,
        ", or a one-hot target of its own shape");
  check(!is_floating(target.dtype()), kOp, "target has dtype ", target.dtype(), " and shape ", target.shape(),
        "; class indices must be of an integer type");
  if (target.dtype() == boolean) out.target = kernels::converted(target, u8);
  if (target.shape() == single) out.target = kernels::drop_axes(out.target, {1});
  return out;
}

kernels::DiceTerms terms_of(const DiceLossOptions& options) {
  using kernels::DiceActivation;
  return {options.softmax   ? DiceActivation::softmax
          : options.sigmoid ? DiceActivation::sigmoid
                            : DiceActivation::none,
          options.squared_pred};
}

// The ratios of all samples (one row with `batch`) and classes, and what each counts in the loss.
struct DiceTable {
  std::int64_t rows = 0, classes = 0, first = 0;  // classes before `first` are left out
  std::vector<DiceSums> sums;
  std::vector<double> shares;
  double numerator(std::size_t k, const DiceLossOptions& options) const {
    return 2 * sums[k].overlap + options.smooth_nr;
  }
  double denominator(std::size_t k, const DiceLossOptions& options) const {
    const double both = sums[k].prediction + sums[k].truth;
    return (options.jaccard ? 2 * (both - sums[k].overlap) : both) + options.smooth_dr;
  }
};

DiceTable table_of(const Tensor& saved_sums, std::int64_t classes, const DiceLossOptions& options) {
  DiceTable table;
  const std::int64_t samples = saved_sums.size(0) / classes;
  const double* values = saved_sums.data<double>();
  table.rows = options.batch ? 1 : samples;
  table.classes = classes;
  table.first = options.include_background ? 0 : 1;
  const auto count = static_cast<std::size_t>(table.rows * classes);
  table.sums.resize(count);
  for (std::int64_t k = 0; k < samples * classes; ++k) {
    DiceSums& sum = table.sums[static_cast<std::size_t>(k) % std::max<std::size_t>(count, 1)];
    sum.overlap += values[3 * k];
    sum.prediction += values[3 * k + 1];
    sum.truth += values[3 * k + 2];
  }
  table.shares.resize(count);
  for (std::size_t k = 0; k < count; ++k) {
    const bool counts = static_cast<std::int64_t>(k) % classes >= table.first &&
                        (!options.present_only || table.sums[k].truth > 0);
    table.shares[k] = counts && table.denominator(k, options) != 0 ? 1 : 0;
  }
  if (options.reduction != Reduction::mean) return table;
  // A ratio whose denominator is 0 has the loss 0 and counts in the mean.
  double total = static_cast<double>(table.rows * (classes - table.first));
  if (options.present_only) total = std::accumulate(table.shares.begin(), table.shares.end(), 0.0);
  for (double& share : table.shares) share = total == 0 ? 0 : share / total;
  return table;
}

Tensor loss_of(const DiceTable& table, const DiceLossOptions& options, DType dtype) {
  std::vector<double> values;
  double total = 0;
  for (std::size_t k = 0; k < table.sums.size(); ++k) {
    if (static_cast<std::int64_t>(k) % table.classes < table.first) continue;
    const double share = table.shares[k];
    values.push_back(share == 0 ? 0
                                : share * (1 - table.numerator(k, options) / table.denominator(k, options)));
    total += values.back();
  }
  if (options.reduction != Reduction::none) return scalar_tensor(total, dtype);
  const std::int64_t columns = table.classes - table.first;
  const Tensor out = Tensor::from(values, options.batch ? Shape{columns} : Shape{table.rows, columns});
  return kernels::converted(out, dtype);
}

// The loss's slope in each sum, times the upstream gradient.
std::vector<DiceSlopes> slopes_of(const DiceTable& table, const DiceLossOptions& options,
                                  const std::vector<double>& upstream, std::int64_t samples) {
  std::vector<DiceSlopes> rows(table.sums.size());
  const std::int64_t columns = table.classes - table.first;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    if (table.shares[k] == 0) continue;
    const auto row = static_cast<std::int64_t>(k) / table.classes,
               c = static_cast<std::int64_t>(k) % table.classes;
    const double grad = upstream.size() == 1
                            ? upstream[0]
                            : upstream[static_cast<std::size_t>(row * columns + c - table.first)];
    const double scale = grad * table.shares[k], den = table.denominator(k, options);
    const double ratio = table.numerator(k, options) / den;
    rows[k].overlap = -2 * scale / den * (options.jaccard ? 1 + ratio : 1);
    rows[k].prediction = scale * ratio / den * (options.jaccard ? 2 : 1);
  }
  if (!options.batch) return rows;
  std::vector<DiceSlopes> out;
  for (std::int64_t n = 0; n < samples; ++n) out.insert(out.end(), rows.begin(), rows.end());
  return out;
}

// ---- the same, recorded ----

// Sums over positions, and over samples with `batch`; dims are kept.
Tensor over_positions(const Tensor& values, bool batch) {
  DimList dims;
  if (batch) dims.push_back(0);
  for (std::int64_t axis = 2; axis < values.dim(); ++axis) dims.push_back(axis);
  return dims.empty() ? values : sum(values, dims, true);
}

// One number for each row and class, as a tensor that broadcasts to the input.
Tensor per_class(const std::vector<double>& values, const DiceTable& table, const Tensor& input) {
  Shape shape = Shape::filled(input.shape().size(), 1);
  shape[0] = table.rows;
  shape[1] = table.classes;
  return kernels::converted(Tensor::from(values, shape), input.dtype());
}

// The upstream gradient of Reduction::none brought to (rows, C, 1...), 0 for the background left out.
Tensor upstream_per_class(const Tensor& grad, const DiceTable& table, const Tensor& input) {
  Shape shape = Shape::filled(input.shape().size(), 1);
  shape[0] = table.rows;
  shape[1] = table.classes - table.first;
  const Tensor known = grad.reshape(shape);
  if (table.first == 0) return known;
  shape[1] = table.first;
  return cat({zeros(shape, grad.dtype()), known}, 1);
}

struct Gradients {
  Tensor input, target;
};

Gradients composed_gradients(const Tensor& grad, const Tensor& input, const Tensor& target,
                             const ClassTargets& targets, const DiceTable& table,
                             const DiceLossOptions& options) {
  const bool indices = kernels::is_indices(targets);
  const Tensor t = indices ? kernels::class_indicators(targets, input) : target.to(input.dtype());
  const Tensor counted = indices ? sum(t, {1}, true) : ones({}, input.dtype());
  const Tensor p = options.softmax ? input.softmax(1) : options.sigmoid ? input.sigmoid() : input;
  const Tensor overlap = over_positions(p * t, options.batch);
  const Tensor prediction = over_positions((options.squared_pred ? p * p : p) * counted, options.batch);
  const Tensor both = prediction + over_positions(options.squared_pred ? t * t : t, options.batch);

  const Tensor shares = per_class(table.shares, table, input);
  const Tensor upstream =
      options.reduction == Reduction::none ? upstream_per_class(grad, table, input) : grad;
  Tensor denominator = (options.jaccard ? (both - overlap) * 2.0 : both) + options.smooth_dr;
  denominator = denominator + kernels::zero_mask(denominator);  // its share is 0
  const Tensor ratio = (overlap * 2.0 + options.smooth_nr) / denominator;
  const Tensor scale = upstream * shares / denominator;
  const Tensor a = scale * (options.jaccard ? (ratio + 1.0) * -2.0 : full({}, -2.0, input.dtype()));
  const Tensor b = scale * ratio * (options.jaccard ? 2.0 : 1.0);

  Gradients out;
  const Tensor from_p = (a * t + (options.squared_pred ? b * p * 2.0 : b)) * counted;
  if (options.softmax)
    out.input = p * (from_p - sum(from_p * p, {1}, true));
  else
    out.input = options.sigmoid ? from_p * p * (1.0 - p) : from_p;
  if (!indices) out.target = a * p + (options.squared_pred ? b * t * 2.0 : b.expand(t.shape()));
  return out;
}

// saved: input, target, the sums as (N * C, 3)
Tensors dice_loss_backward(const Backward<DiceLossOptions>& b) {
  const Tensor &input = b.saved[0], &target = b.saved[1];
  const ClassTargets targets = dice_targets(input, target, b.options.ignore_index);
  const DiceTable table = table_of(b.saved[2], input.size(1), b.options);
  if (autograd::is_recording() || b.wants[1]) {
    const Gradients grads = composed_gradients(b.grad(), input, target, targets, table, b.options);
    return {grads.input, grads.target};
  }
  const Tensor grad_input = empty_like(input);
  kernels::dice_backward(targets, grad_input, input, terms_of(b.options),
                         slopes_of(table, b.options, b.grad().to_vector<double>(), input.size(0)));
  return {grad_input, {}};
}

}  // namespace

Tensor dice_loss(const Tensor& input, const Tensor& target, const DiceLossOptions& options) {
  check_options(input, options);
  const ClassTargets targets = dice_targets(input, target, options.ignore_index);
  const std::vector<DiceSums> sums = kernels::dice_sums(targets, input, terms_of(options));
  std::vector<double> values;
  for (const DiceSums& sum : sums) values.insert(values.end(), {sum.overlap, sum.prediction, sum.truth});
  const Tensor saved = Tensor::from(values, {static_cast<std::int64_t>(sums.size()), 3});
  const Tensor out = loss_of(table_of(saved, input.size(1), options), options, input.dtype());
  return autograd::record(kOp, out, {input, target}, {input, target, saved}, options, dice_loss_backward);
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
                {{x(), p()}, {{"sigmoid", true}, {"reduction", "sum"}, {"batch", true}, {"jaccard", true}}},
                {{normal({3, 4}, generator), uniform({3, 4}, 0.1, 1, generator)}, {{"softmax", true}}}};
      },
      .errors = []() -> std::vector<ErrorCase> {
        const Tensor x = ones({2, 3, 2, 2}, f64), t = zeros({2, 2, 2}, i64);
        return {{{x, zeros({2, 2, 3}, i64)}, nlohmann::json::object(), "(2, 2, 3)"},
                {{x, full({2, 2, 2}, 7, i64)}, nlohmann::json::object(), "class index 7"},
                {{x, t.to(f64)}, nlohmann::json::object(), "float64"},
                {{x.to(i64), t}, nlohmann::json::object(), "int64"},
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
