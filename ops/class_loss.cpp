#include "ops/class_loss.hpp"

#include "ops/kernels/reduce.hpp"
#include "ops/reduce.hpp"
#include "ops/softmax.hpp"
#include "ops/view.hpp"

namespace lucid::ops {
namespace {

void check_target(std::string_view op, const Tensor& input, const Tensor& target, std::size_t axis,
                  bool probabilities) {
  if (is_floating(target.dtype()) && probabilities) {
    check(target.shape() == input.shape(), op, "target holds probabilities (", target.dtype(), ") of shape ",
          target.shape(), ", input has shape ", input.shape(),
          "; equal shapes are required, class indices must be of an integer type");
    return;
  }
  check(target.dtype() == i64 || target.dtype() == i32 || target.dtype() == u8, op, "target has dtype ",
        target.dtype(), "; class indices must be int64, int32 or uint8");
  Shape expected = input.shape();
  expected.erase(axis);
  check(target.shape() == expected, op, "target has shape ", target.shape(), ", input ", input.shape(),
        " expects class indices of shape ", expected);
}

}  // namespace

Tensor along_classes(const Tensor& weight, std::size_t axis, std::size_t rank) {
  Shape shape = Shape::filled(rank, 1);
  shape[axis] = weight.shape()[0];
  return reshape(weight, shape);
}

Tensor over_classes(const Tensor& values, std::size_t axis) {
  DimList others;
  for (std::int64_t i = 0; i < values.dim(); ++i)
    if (i != static_cast<std::int64_t>(axis)) others.push_back(i);
  return others.empty() ? values : sum(values, others);
}

std::vector<double> class_weights(std::string_view op, const Tensor& input, const Tensor& weight,
                                  std::size_t axis) {
  const std::int64_t classes = input.shape()[axis];
  if (!weight.defined()) return std::vector<double>(static_cast<std::size_t>(classes), 1.0);
  check(weight.shape() == Shape{classes}, op, "weight has shape ", weight.shape(), ", input ", input.shape(),
        " expects (", classes, "), one for each class");
  check(is_floating(weight.dtype()), op, "weight has dtype ", weight.dtype(),
        "; a floating type is required");
  return weight.to_vector<double>();
}

kernels::ClassTargets class_targets(std::string_view op, const Tensor& input, const Tensor& target,
                                    const Tensor& weight, std::int64_t ignore_index, double smoothing) {
  check(input.defined(), op, "input is undefined");
  check(target.defined(), op, "target is undefined");
  check(is_floating(input.dtype()), op, "input has dtype ", input.dtype(),
        "; a floating type is required, for example .to(lucid::f32)");
  check(input.dim() >= 1, op, "input has shape ", input.shape(), "; (N, C, ...) or (C) is required");
  const std::size_t axis = input.dim() == 1 ? 0 : 1;
  const std::int64_t classes = input.shape()[axis];
  check(classes >= 1, op, "input has shape ", input.shape(),
        ", which has no class; at least one is required");
  check_target(op, input, target, axis, op == "cross_entropy");
  check(smoothing >= 0 && smoothing <= 1, op, "label_smoothing is ", smoothing, "; 0 to 1 is required");
  check(!is_floating(target.dtype()) || ignore_index < 0, op, "ignore_index is ", ignore_index,
        ", which means nothing to a target of probabilities; give class indices, or leave it out");
  kernels::ClassTargets targets{op, target, {}, axis, ignore_index, smoothing};
  if (is_floating(target.dtype())) targets.target = kernels::converted(target, input.dtype());
  targets.weights = class_weights(op, input, weight, axis);
  return targets;
}

void check_regions(std::string_view op, const Tensor& input, const Tensor& target, bool include_background,
                   bool sigmoid, bool softmax) {
  check(input.defined(), op, "input is undefined");
  check(is_floating(input.dtype()), op, "input has dtype ", input.dtype(),
        "; a floating type is required, for example .to(lucid::f32)");
  check(input.dim() >= 2, op, "input has shape ", input.shape(), "; (N, C, ...) is required");
  check(input.size(1) >= (include_background ? 1 : 2), op, "input has shape ", input.shape(),
        include_background ? ", which has no class"
                           : ", and without the background no class is left; set include_background");
  check(!(sigmoid && softmax), op, "sigmoid and softmax are both set; one at most is required");
  if (!target.defined() || is_floating(target.dtype()) || target.dtype() == boolean ||
      target.shape() != input.shape() || target.numel() == 0)
    return;
  const std::int64_t low = amin(target).item<std::int64_t>(), high = amax(target).item<std::int64_t>();
  check(low >= 0 && high <= 1, op, "target has input's shape ", input.shape(), " and holds ",
        low < 0 ? low : high,
        "; one-hot targets hold 0 and 1, and positions can be ignored in class indices only");
}

kernels::ClassTargets region_targets(std::string_view op, const Tensor& input, const Tensor& target,
                                     std::int64_t ignore_index) {
  check(target.defined(), op, "target is undefined");
  kernels::ClassTargets out{
      op, target, std::vector<double>(static_cast<std::size_t>(input.size(1)), 1.0), 1, ignore_index, 0};
  if (target.shape() == input.shape()) {
    out.target = kernels::converted(target, input.dtype());
    return out;
  }
  Shape without = input.shape(), single = input.shape();
  without.erase(1);
  single[1] = 1;
  check(target.shape() == without || target.shape() == single, op, "target has shape ", target.shape(),
        ", input ", input.shape(), " expects class indices of shape ", without, " or ", single,
        ", or a one-hot target of its own shape");
  check(!is_floating(target.dtype()), op, "target has dtype ", target.dtype(), " and shape ", target.shape(),
        "; class indices must be of an integer type");
  if (target.dtype() == boolean) out.target = kernels::converted(target, u8);
  if (target.shape() == single) out.target = kernels::drop_axes(out.target, {1});
  return out;
}

Tensor empty_losses(const kernels::ClassTargets& targets, const Tensor& input) {
  Shape shape = input.shape();
  shape.erase(targets.axis);
  return empty(shape, input.dtype());
}

Tensor reduced_class_loss(const Tensor& losses, const kernels::LossSums& sums, const Tensor& input,
                          Reduction reduction) {
  if (reduction == Reduction::none) return losses;
  const bool divide = reduction == Reduction::mean;
  const double value = !divide ? sums.loss : sums.weight == 0 ? 0 : sums.loss / sums.weight;
  return scalar_tensor(value, input.dtype());
}

ClassGradients class_gradients(const kernels::ClassTargets& targets, const Tensor& grad, const Tensor& input,
                               const Tensor& weight, Reduction reduction, bool softmax,
                               const std::vector<bool>& wants) {
  const std::size_t axis = targets.axis, rank = input.shape().size();
  const auto dim = static_cast<std::int64_t>(axis);
  const bool probabilities = is_floating(targets.target.dtype());
  const double share = targets.smoothing / static_cast<double>(input.size(dim));
  const Tensor& t = targets.target;
  const Tensor h = probabilities ? t.to(input.dtype()) : kernels::class_indicators(targets, input);
  const Tensor counted = probabilities ? ones({}, input.dtype()) : sum(h, {dim}, true);
  const Tensor u = h * (1 - targets.smoothing) + counted * share;
  const Tensor w = weight.defined() ? along_classes(weight.to(input.dtype()), axis, rank) : Tensor();
  const Tensor q = w.defined() ? u * w : u;

  Tensor scale = reduction == Reduction::none ? unsqueeze(grad, dim) : grad;
  Tensor total;
  if (reduction == Reduction::mean) {
    const auto positions = static_cast<double>(input.numel()) / static_cast<double>(input.size(dim));
    total = probabilities ? scalar_tensor(positions, input.dtype()) : (w.defined() ? h * w : h).sum();
    scale = total.item<double>() == 0 ? grad * 0.0 : grad / total;
  }
  ClassGradients out;
  const Tensor negative_log = -(softmax ? log_softmax(input, dim) : input);
  if (wants[0])
    out.input = softmax ? scale * (lucid::softmax(input, dim) * sum(q, {dim}, true) - q) : -(scale * q);
  if (wants[1] && probabilities) {
    const Tensor slope = scale * negative_log * (1 - targets.smoothing);
    out.target = w.defined() ? slope * w : slope;
  }
  if (wants[2] && weight.defined()) {
    out.weight = over_classes(scale * u * negative_log, axis);
    // The weights are in the divisor of the mean too.
    if (total.defined() && !probabilities && total.item<double>() != 0)
      out.weight = out.weight - over_classes(h, axis) * ((q * negative_log).sum() * scale / total);
  }
  return out;
}

}  // namespace lucid::ops
