#include "nn/parametrizations.hpp"

#include "nn/init.hpp"
#include "ops/cast.hpp"
#include "ops/matmul.hpp"
#include "ops/reduce.hpp"
#include "ops/select.hpp"

namespace lucid::nn::detail {
namespace {

constexpr std::int64_t kStartIterations = 15;  // PyTorch's, for a good first estimate

// The weight as a matrix whose rows run along `dim`.
Tensor matrix_of(const Tensor& weight, std::int64_t dim) {
  std::vector<std::int64_t> order{dim};
  for (std::int64_t axis = 0; axis < weight.dim(); ++axis)
    if (axis != dim) order.push_back(axis);
  const Tensor turned = dim == 0 ? weight : weight.permute(order);
  return turned.reshape({turned.size(0), -1});
}

Tensor times(const Tensor& matrix, const Tensor& vector) {
  return matmul(matrix, vector.unsqueeze(1)).squeeze(1);
}

Tensor unit(const Tensor& vector, double eps) { return vector / clamp(norm(vector), Scalar(eps)); }

// a / b, and 0 where b is 0.
Tensor quotient(const Tensor& a, const Tensor& b) {
  const Tensor zero = (b.detach() == 0.0).to(b.dtype());
  return a * ((1.0 - zero) / (b + zero));
}

}  // namespace

void check_weight(std::string_view wrapper, const Tensor& weight, const std::optional<std::int64_t>& dim) {
  check(weight.defined(), wrapper, "the layer has no weight; one that has is required");
  check(!dim || (*dim >= 0 && *dim < weight.dim()), wrapper, "dim is ", dim.value_or(0), ", the weight ",
        weight.shape(), " has ", weight.dim(), " axes; 0 to ", weight.dim() - 1, " is required");
}

void check_options(const SpectralNormOptions& options) {
  check(options.n_power_iterations >= 1, "SpectralNorm", "n_power_iterations is ", options.n_power_iterations,
        "; at least 1 is required");
  check(options.eps > 0, "SpectralNorm", "eps is ", options.eps, "; above 0 is required");
}

Tensor norm_except_dim(const Tensor& v, const std::optional<std::int64_t>& dim) {
  if (!dim) return norm(v);
  DimList others;
  for (std::int64_t axis = 0; axis < v.dim(); ++axis)
    if (axis != *dim) others.push_back(axis);
  return others.empty() ? v.abs() : norm(v, 2, others, true);
}

Tensor normed_weight(const Tensor& g, const Tensor& v, const std::optional<std::int64_t>& dim) {
  return v * quotient(g, norm_except_dim(v, dim));
}

SingularVectors start_vectors(const Tensor& weight, const SpectralNormOptions& options) {
  if (weight.dim() == 1) return {};
  const no_grad guard;
  const Tensor matrix = matrix_of(weight.detach(), *options.dim);
  const Tensor u = empty({matrix.size(0)}, matrix.dtype()), v = empty({matrix.size(1)}, matrix.dtype());
  init::normal_(u);
  init::normal_(v);
  return power_iterations(weight, {unit(u, options.eps), unit(v, options.eps)}, kStartIterations, options);
}

SingularVectors power_iterations(const Tensor& weight, const SingularVectors& start, std::int64_t count,
                                 const SpectralNormOptions& options) {
  const no_grad guard;
  const Tensor matrix = matrix_of(weight.detach(), *options.dim), turned = matrix.transpose(0, 1);
  SingularVectors out = start;
  for (std::int64_t i = 0; i < count; ++i) {
    out.u = unit(times(matrix, out.v), options.eps);
    out.v = unit(times(turned, out.u), options.eps);
  }
  return out;
}

Tensor spectral_weight(const Tensor& weight, const SingularVectors& vectors,
                       const SpectralNormOptions& options) {
  if (!vectors.u.defined()) return unit(weight, options.eps);
  const Tensor sigma = (vectors.u * times(matrix_of(weight, *options.dim), vectors.v)).sum();
  return quotient(weight, sigma);
}

}  // namespace lucid::nn::detail
