#include <cmath>

#include "autograd/record.hpp"
#include "ops/kernels/moments.hpp"
#include "ops/kernels/ties.hpp"
#include "ops/options.hpp"
#include "ops/reduce.hpp"
#include "ops/reduce_options.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using ops::DimOption;

struct VarOptions {
  DimOption dim;
  std::optional<std::int64_t> correction;
  std::optional<bool> unbiased;  // PyTorch's older spelling of correction 1 or 0
  bool keepdim = false;
};
LUCID_OPTIONS(VarOptions, dim, correction, unbiased, keepdim)

std::int64_t correction_of(std::string_view op, const VarOptions& options) {
  check(!options.correction || !options.unbiased, op,
        "correction and unbiased are both given; they say the same thing, give one");
  return options.correction.value_or(options.unbiased.value_or(true) ? 1 : 0);
}

// n - correction, 0 where there are too few elements: the variance then is infinite, or NaN where nothing
// deviates either.
double freedom(const Shape& shape, const kernels::Axes& axes, std::int64_t correction) {
  double count = 1;
  for (const std::size_t axis : axes)
    if (axis < shape.size()) count *= static_cast<double>(shape[axis]);
  return std::max(0.0, count - static_cast<double>(correction));
}

// d var / dx_i = 2 (x_i - mean) / (n - correction)
Tensor var_gradient(const Tensor& grad, const Tensor& x, const VarOptions& options) {
  const auto& dims = options.dim.dims;
  const double divisor =
      freedom(x.shape(), normalize_axes("var", dims, x.shape().size()), *options.correction);
  return (x - mean(x, dims, true)) *
         (ops::with_kept_dims(grad, x.shape(), dims, options.keepdim) * (2 / divisor));
}

Tensors var_backward(const Backward<VarOptions>& b) {
  return {var_gradient(b.grad(), b.saved[0], b.options)};
}

// saved: input, result. Where all elements are equal the slope is infinite; the gradient there is taken as 0.
Tensors std_backward(const Backward<VarOptions>& b) {
  const Tensor& y = b.saved[1];
  const Tensor flat = kernels::zero_mask(y);
  const Tensor scaled = b.grad() * (1.0 - flat) / ((y + flat) * 2.0);
  return {var_gradient(scaled, b.saved[0], b.options)};
}

void square_root(const Tensor& values) {
  dispatch_floating("std", values.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::map<T, T>(values, values, [](auto x) { return std::sqrt(x); });
  });
}

Tensor deviation(std::string_view op, const Tensor& input, const VarOptions& options, bool root) {
  const autograd::OpTimer timer(op);
  const kernels::Axes axes = ops::reduced_axes(op, input, options.dim.dims);
  check(is_floating(input.dtype()), op, "dtype ", input.dtype(),
        " is not floating; convert first, for example with .to(lucid::f32)");
  check(*options.correction >= 0, op, "correction is ", *options.correction, "; at least 0 is required");
  Tensor out = kernels::empty_reduced(input, axes, input.dtype());
  kernels::squared_deviations(out, input, axes, freedom(input.shape(), axes, *options.correction));
  if (root) square_root(out);
  if (!options.keepdim) out = kernels::drop_axes(out, axes);
  if (root) return autograd::record(op, out, {input}, {input, out}, options, std_backward);
  return autograd::record(op, out, {input}, {input}, options, var_backward);
}

}  // namespace

Tensor var(const Tensor& input, const DimList& dim, std::int64_t correction, bool keepdim) {
  return deviation("var", input, {{dim}, correction, {}, keepdim}, false);
}
Tensor std(const Tensor& input, const DimList& dim, std::int64_t correction, bool keepdim) {
  return deviation("std", input, {{dim}, correction, {}, keepdim}, true);
}
std::pair<Tensor, Tensor> var_mean(const Tensor& input, const DimList& dim, std::int64_t correction,
                                   bool keepdim) {
  return {var(input, dim, correction, keepdim), mean(input, dim, keepdim)};
}
std::pair<Tensor, Tensor> std_mean(const Tensor& input, const DimList& dim, std::int64_t correction,
                                   bool keepdim) {
  return {lucid::std(input, dim, correction, keepdim), mean(input, dim, keepdim)};
}

namespace ops {
namespace {

template <class Function>
Op var_like_op(std::string name, std::string doc, Function function) {
  Op op{.name = std::move(name), .doc = std::move(doc), .inputs = {{"input"}}};
  op.defaults = default_options<VarOptions>();
  op.call = [name = op.name, function](const Tensors& in, const nlohmann::json& given) -> Tensors {
    const auto options = read_options<VarOptions>(name, given);
    return {function(in[0], options.dim.dims, correction_of(name, options), options.keepdim)};
  };
  op.samples = [](Generator& generator) -> std::vector<Sample> {
    const Shape volume{2, 3, 2, 3, 4};
    return {{{normal({7}, generator)}, {{"dim", 0}}},
            {{normal({2, 3, 4}, generator)}},
            {{normal(volume, generator)}, {{"dim", 1}, {"keepdim", true}, {"unbiased", false}}},
            {{normal(volume, generator)}, {{"dim", {0, 2, 3, 4}}, {"correction", 2}}},
            {{normal(volume, generator)}, {{"dim", {0, -2}}, {"correction", 0}}},
            {{normal(volume, generator) + 100.0}, {{"dim", {2, 3, 4}}, {"keepdim", true}}},
            {{normal({2, 4}, generator)}, {{"dim", -1}, {"unbiased", true}}}};
  };
  op.errors = [] {
    auto errors = reduction_errors();
    errors.push_back({{ones({2, 3}, i64)}, {}, "int64"});
    errors.push_back({{ones({2, 3}, f64)}, {{"correction", -1}}, "-1"});
    errors.push_back({{ones({2, 3}, f64)}, {{"correction", 1}, {"unbiased", true}}, "unbiased"});
    return errors;
  };
  return op;
}

}  // namespace

Op var_op() {
  return var_like_op("var", "sum((x - mean)^2) / (n - correction) over the axes dim", lucid::var);
}
Op std_op() { return var_like_op("std", "square root of var", lucid::std); }

}  // namespace ops

Tensor Tensor::var(const std::vector<std::int64_t>& dims, std::int64_t correction, bool keepdim) const {
  return lucid::var(*this, dims, correction, keepdim);
}

}  // namespace lucid
