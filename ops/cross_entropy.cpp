#include "autograd/record.hpp"
#include "ops/autocast.hpp"
#include "ops/class_loss.hpp"
#include "ops/loss_options.hpp"
#include "ops/options.hpp"
#include "ops/samples.hpp"

namespace lucid {

LUCID_OPTIONS(CrossEntropyOptions, ignore_index, reduction, label_smoothing)
LUCID_OPTIONS(NllLossOptions, ignore_index, reduction)

namespace {

using autograd::Backward;

// The gradient of each position's loss: broadcasts to the positions; of the input's type.
Tensor scale_of(const Tensor& grad, const Tensor& total, Reduction reduction) {
  if (reduction != Reduction::mean) return grad;
  const double weight = total.item<double>();
  return grad * (weight == 0 ? 0.0 : 1.0 / weight);
}

// saved: input, target, weight, the total weight of the targets
Tensors cross_entropy_backward(const Backward<CrossEntropyOptions>& b) {
  const Tensor &input = b.saved[0], &target = b.saved[1], &weight = b.saved[2];
  const auto& options = b.options;
  kernels::ClassTargets targets = ops::class_targets("cross_entropy", input, target, weight,
                                                     options.ignore_index, options.label_smoothing);
  if (!autograd::is_recording() && !b.wants[1] && !b.wants[2]) {
    const Tensor grad_input = empty_like(input);
    const Tensor scale = kernels::converted(scale_of(b.grad(), b.saved[3], options.reduction), input.dtype());
    kernels::cross_entropy_backward(targets, grad_input, input, scale);
    return {grad_input, {}, {}};
  }
  if (is_floating(target.dtype())) targets.target = target;  // as recorded, not as converted
  const ops::ClassGradients grads =
      ops::class_gradients(targets, b.grad(), input, weight, options.reduction, true, b.wants);
  return {grads.input, grads.target, grads.weight};
}

// saved: input, target, weight, the total weight of the targets
Tensors nll_loss_backward(const Backward<NllLossOptions>& b) {
  const Tensor& input = b.saved[0];
  const kernels::ClassTargets targets =
      ops::class_targets("nll_loss", input, b.saved[1], b.saved[2], b.options.ignore_index, 0);
  if (!autograd::is_recording() && !b.wants[2]) {
    const Tensor grad_input = empty_like(input);
    kernels::nll_backward(
        targets, grad_input,
        kernels::converted(scale_of(b.grad(), b.saved[3], b.options.reduction), input.dtype()));
    return {grad_input, {}, {}};
  }
  const ops::ClassGradients grads =
      ops::class_gradients(targets, b.grad(), input, b.saved[2], b.options.reduction, false, b.wants);
  return {grads.input, {}, grads.weight};
}

}  // namespace

Tensor cross_entropy(const Tensor& given, const Tensor& target, const CrossEntropyOptions& options) {
  const Tensor input = ops::autocast_loss_operand(given);
  const autograd::OpTimer timer("cross_entropy");
  const kernels::ClassTargets targets = ops::class_targets("cross_entropy", input, target, options.weight,
                                                           options.ignore_index, options.label_smoothing);
  const Tensor losses = options.reduction == Reduction::none ? ops::empty_losses(targets, input) : Tensor();
  const kernels::LossSums sums = kernels::cross_entropy(targets, input, losses);
  CrossEntropyOptions recorded = options;
  recorded.weight = {};  // among the inputs
  return autograd::record("cross_entropy", ops::reduced_class_loss(losses, sums, input, options.reduction),
                          {input, target, options.weight},
                          {input, target, options.weight, scalar_tensor(sums.weight, f64)}, recorded,
                          cross_entropy_backward);
}

Tensor nll_loss(const Tensor& given, const Tensor& target, const NllLossOptions& options) {
  const Tensor input = ops::autocast_loss_operand(given);
  const autograd::OpTimer timer("nll_loss");
  const kernels::ClassTargets targets =
      ops::class_targets("nll_loss", input, target, options.weight, options.ignore_index, 0);
  const Tensor losses = options.reduction == Reduction::none ? ops::empty_losses(targets, input) : Tensor();
  const kernels::LossSums sums = kernels::nll(targets, input, losses);
  NllLossOptions recorded = options;
  recorded.weight = {};
  return autograd::record("nll_loss", ops::reduced_class_loss(losses, sums, input, options.reduction),
                          {input, target, options.weight},
                          {input, target, options.weight, scalar_tensor(sums.weight, f64)}, recorded,
                          nll_loss_backward);
}

namespace ops {
namespace {

const std::vector<Input> kClassLossInputs = {{"input"}, {"target"}, {"weight", true}};

Tensor labels(const Shape& shape, std::int64_t classes, Generator& generator, DType dtype = i64) {
  return randint(0, classes, shape, i64, &generator).to(dtype);
}

std::vector<Sample> index_samples(Generator& generator) {
  const Shape volume{2, 4, 3, 2, 3}, positions{2, 3, 2, 3};
  const Tensor weight = uniform({4}, 0.5, 2, generator);
  return {{{normal({3}, generator), labels({}, 3, generator)}},
          {{normal({5, 3}, generator), labels({5}, 3, generator, i32)}, {{"reduction", "none"}}},
          {{normal(volume, generator), labels(positions, 4, generator)}, {{"ignore_index", 1}}},
          {{normal(volume, generator), labels(positions, 4, generator, u8), weight},
           {{"reduction", "sum"}, {"ignore_index", 2}}},
          {{normal(volume, generator), labels(positions, 4, generator), weight}, {{"ignore_index", 0}}},
          {{normal({2, 4}, generator), full({2}, -100, i64), weight}},  // nothing counts
          {{normal({6, 4}, generator), labels({6}, 4, generator), weight},
           {{"reduction", "none"}, {"ignore_index", 3}}}};
}

std::vector<ErrorCase> index_errors() {
  const Tensor x = ones({2, 3, 2, 2, 2}, f64), t = zeros({2, 2, 2, 2}, i64);
  return {{{x, zeros({2, 2, 2, 3}, i64)}, {}, "(2, 2, 2, 3)"},
          {{x, full({2, 2, 2, 2}, 3, i64)}, {}, "class index 3"},
          {{x, full({2, 2, 2, 2}, -1, i64)}, {}, "class index -1"},
          {{x, t, ones({4}, f64)}, {}, "(4)"},
          {{x, t.to(boolean)}, {}, "bool"},
          {{x.to(i64), t}, {}, "int64"},
          {{x, t}, {{"reduction", "average"}}, "average"}};
}

Cost class_loss_cost(const Tensors& in, const nlohmann::json&) {
  return {6.0 * static_cast<double>(in[0].numel()), static_cast<double>(in[0].nbytes() + in[1].nbytes())};
}

}  // namespace

Op cross_entropy_op() {
  return {.name = "cross_entropy",
          .doc =
              "-log softmax(input)[target]: input (N, C, ...), target (N, ...) indices or probabilities "
              "like input, weight (C)",
          .inputs = kClassLossInputs,
          .defaults = default_options<CrossEntropyOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            auto options = read_options<CrossEntropyOptions>("cross_entropy", given);
            options.weight = in[2];
            return {lucid::cross_entropy(in[0], in[1], options)};
          },
          .samples =
              [](Generator& generator) {
                auto samples = index_samples(generator);
                const Shape volume{2, 4, 3, 2, 3};
                const Tensor weight = uniform({4}, 0.5, 2, generator);
                samples[4].options.set("label_smoothing", 0.15);
                samples.push_back({{normal(volume, generator), labels({2, 3, 2, 3}, 4, generator)},
                                   {{"label_smoothing", 0.3}, {"reduction", "none"}}});
                samples.push_back({{normal(volume, generator), uniform(volume, 0, 1, generator)}});
                samples.push_back({{normal(volume, generator), uniform(volume, 0, 1, generator), weight},
                                   {{"label_smoothing", 0.15}}});
                samples.push_back({{normal({3, 4}, generator), uniform({3, 4}, 0, 1, generator), weight},
                                   {{"label_smoothing", 0.15}, {"reduction", "none"}}});
                samples.push_back({{normal({3}, generator), uniform({3}, 0, 1, generator)}});
                samples.push_back({{normal({2, 3, 2}, generator), uniform({2, 3, 2}, 0, 1, generator)},
                                   {{"reduction", "sum"}}});
                return samples;
              },
          .errors =
              [] {
                auto errors = index_errors();
                const Tensor x = ones({2, 3, 2}, f64);
                errors.push_back({{x, zeros({2, 2}, i64)}, {{"label_smoothing", 1.5}}, "1.5"});
                errors.push_back({{x, zeros({2, 2}, f64)}, {}, "(2, 2)"});
                errors.push_back({{x, x}, {{"ignore_index", 1}}, "ignore_index is 1"});
                return errors;
              },
          .cost = class_loss_cost};
}

Op nll_loss_op() {
  return {.name = "nll_loss",
          .doc = "-input[target]: log-probabilities input (N, C, ...), indices target (N, ...), weight (C)",
          .inputs = kClassLossInputs,
          .defaults = default_options<NllLossOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            auto options = read_options<NllLossOptions>("nll_loss", given);
            options.weight = in[2];
            return {lucid::nll_loss(in[0], in[1], options)};
          },
          .samples = index_samples,
          .errors =
              [] {
                auto errors = index_errors();
                errors.push_back({{ones({2, 3}, f64), ones({2, 3}, f64)}, {}, "float64"});
                return errors;
              },
          .linear_in = {0},
          .cost = class_loss_cost};
}

}  // namespace ops
}  // namespace lucid
