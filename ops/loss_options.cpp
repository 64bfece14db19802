#include "ops/loss_options.hpp"

#include "ops/options.hpp"
#include "ops/pair_loss.hpp"

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

std::pair<Tensor, Tensor> promoted(const Tensor& input, const Tensor& target) {
  const DType dtype = promote(input.dtype(), target.dtype());
  const Tensor x = kernels::converted(input, dtype);
  bool same_order = true;
  for (std::size_t i = 0; i < x.shape().size(); ++i)
    same_order = same_order && (x.shape()[i] == 1 || x.strides()[i] == target.strides()[i]);
  if (same_order || !x.is_dense()) return {x, kernels::converted(target, dtype)};
  const Tensor t = empty_like(x);
  kernels::copy(t, target);
  return {x, t};
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
