#include "nn/optim/clip.hpp"

#include <algorithm>
#include <cmath>

#include "ops/kernels/elementwise.hpp"

namespace lucid::optim {
namespace {

std::vector<Tensor> with_gradients(std::string_view op, const std::vector<Tensor>& parameters) {
  std::vector<Tensor> out;
  for (const Tensor& parameter : parameters) {
    check(parameter.defined(), op, "a parameter is undefined");
    if (parameter.grad().defined()) out.push_back(parameter);
  }
  return out;
}

// Folds f(value) over a row in several chains, so that it vectorises.
template <class T, class Fold>
LUCID_VECTORIZED double fold_row(const T* data, std::int64_t stride, std::int64_t n, Fold f) {
  constexpr std::int64_t kChains = 16;
  double chains[kChains] = {};
  std::int64_t i = 0;
  if (stride == 1)
    for (; i + kChains <= n; i += kChains)
      for (std::int64_t k = 0; k < kChains; ++k)
        chains[k] = f(chains[k], static_cast<double>(static_cast<Compute<T>>(data[i + k])));
  for (; i < n; ++i) chains[0] = f(chains[0], static_cast<double>(static_cast<Compute<T>>(data[i * stride])));
  double out = 0;
  for (double value : chains) out = f.join(out, value);
  return out;
}

// Folds over all elements, in blocks of fixed size so that the result does not depend on the threads.
template <class Fold>
double fold(const Tensor& tensor, Fold f) {
  constexpr std::int64_t kBlock = 1 << 14;
  const auto plan = kernels::plan_loop<1>(tensor.shape(), {tensor.strides()});
  const std::int64_t blocks = (tensor.numel() + kBlock - 1) / kBlock;
  std::vector<double> partial(static_cast<std::size_t>(blocks), 0.0);
  dispatch_floating("clip_grad_norm_", tensor.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* const data = tensor.data<T>();
    parallel_for(blocks, 2, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t block = first; block < last; ++block) {
        double& sum = partial[static_cast<std::size_t>(block)];
        kernels::for_rows(plan, block * kBlock, std::min(tensor.numel(), (block + 1) * kBlock),
                          [&](const auto& at, std::int64_t n) {
                            sum = f.join(sum, fold_row(data + at[0], plan.strides[0][plan.rank - 1], n, f));
                          });
      }
    });
  });
  double out = 0;
  for (double value : partial) out = f.join(out, value);
  return out;
}

struct SquareSum {
  double operator()(double sum, double value) const { return sum + value * value; }
  static double join(double a, double b) { return a + b; }
};
struct PowerSum {
  double p;
  double operator()(double sum, double value) const { return sum + std::pow(std::abs(value), p); }
  static double join(double a, double b) { return a + b; }
};
// NaN wins over every number.
struct Largest {
  double operator()(double most, double value) const { return join(most, std::abs(value)); }
  static double join(double a, double b) { return std::isnan(a) || a > b ? a : b; }
};

double norm(const std::vector<Tensor>& parameters, double p) {
  double total = 0;
  for (const Tensor& parameter : parameters) {
    const Tensor grad = parameter.grad();
    if (std::isinf(p))
      total = Largest::join(total, fold(grad, Largest{}));
    else
      total += p == 2 ? fold(grad, SquareSum{}) : fold(grad, PowerSum{p});
  }
  return std::isinf(p) ? total : p == 2 ? std::sqrt(total) : std::pow(total, 1 / p);
}

// In place, unless the gradient's elements are also somebody else's or stand for several each.
template <class F>
void change_gradient(const Tensor& parameter, F f) {
  const Tensor grad = parameter.grad();
  // Two handles: the parameter's and this one.
  const bool own = grad.is_dense() && grad.handle().use_count() == 2 && grad.impl().storage.use_count() == 1;
  const Tensor out = own ? grad : empty_like(grad);
  dispatch_floating("clip_grad", grad.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::map<T, T>(out, grad, f);
  });
  if (!own) parameter.set_grad(out);
}

}  // namespace

double clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm, ClipGradNormOptions options) {
  check(max_norm >= 0, "clip_grad_norm_", "max_norm is ", max_norm, "; it must not be negative");
  check(options.norm_type > 0, "clip_grad_norm_", "norm_type is ", options.norm_type,
        "; it must be positive");
  const std::vector<Tensor> chosen = with_gradients("clip_grad_norm_", parameters);
  const double total = norm(chosen, options.norm_type);
  check(!options.error_if_nonfinite || std::isfinite(total), "clip_grad_norm_",
        "the norm of the gradients is ", total, ", which can't be clipped");
  const double factor = max_norm / (total + 1e-6);
  if (factor < 1 || std::isnan(factor))
    for (const Tensor& parameter : chosen)
      change_gradient(parameter,
                      [factor](auto value) { return static_cast<decltype(value)>(factor) * value; });
  return total;
}

void clip_grad_value_(const std::vector<Tensor>& parameters, double clip_value) {
  check(clip_value >= 0, "clip_grad_value_", "clip_value is ", clip_value, "; it must not be negative");
  for (const Tensor& parameter : with_gradients("clip_grad_value_", parameters))
    change_gradient(parameter, [clip_value](auto value) {
      const auto bound = static_cast<decltype(value)>(clip_value);
      return value < -bound ? -bound : value > bound ? bound : value;
    });
}

}  // namespace lucid::optim
