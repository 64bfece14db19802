#include "ops/loss_options.hpp"

#include "ops/options.hpp"

namespace lucid {

LUCID_OPTION_ENUM(Reduction, {{Reduction::none, "none"}, {Reduction::mean, "mean"}, {Reduction::sum, "sum"}})

namespace ops {

void require_same_shape(std::string_view op, const Tensor& input, const Tensor& target) {
  check(input.defined(), op, "input is undefined");
  check(target.defined(), op, "target is undefined");
  check(input.shape() == target.shape(), op, "target has shape ", target.shape(), ", input ", input.shape(),
        "; equal shapes are required, expand() the smaller one if it is meant to repeat");
  for (const Tensor* tensor : {&input, &target})
    check(is_floating(tensor->dtype()), op, tensor == &input ? "input" : "target", " has dtype ",
          tensor->dtype(), "; a floating type is required, for example .to(lucid::f32)");
}

Tensor reduce_loss(const Tensor& values, Reduction reduction) {
  if (reduction == Reduction::none) return values;
  if (reduction == Reduction::sum || values.numel() == 0) return values.sum();
  return values.mean();
}

Tensor spread_loss(const Tensor& grad, std::int64_t count, Reduction reduction) {
  if (reduction != Reduction::mean || count == 0) return grad;
  return grad * (1.0 / static_cast<double>(count));
}

}  // namespace ops
}  // namespace lucid
