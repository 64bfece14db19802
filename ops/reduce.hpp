#pragma once
// Reductions. `dim` lists axes, negative ones from the end; empty means all. The result drops them, or keeps
// them with size 1 when `keepdim`. Sums are kept in double (int64 for integers), whatever the input's type.

#include <optional>
#include <utility>
#include <vector>

#include "lucid/tensor.hpp"

namespace lucid {

using DimList = std::vector<std::int64_t>;

/// Integers and bool sum to int64. `dtype`, when given, is what the input is converted to first.
Tensor sum(const Tensor& input, const DimList& dim = {}, bool keepdim = false,
           std::optional<DType> dtype = {});
/// Of a floating type; that of no elements is NaN.
Tensor mean(const Tensor& input, const DimList& dim = {}, bool keepdim = false,
            std::optional<DType> dtype = {});
/// Sums over broadcast axes until the shape is `shape`: the adjoint of expand. Throws Error when `shape` does
/// not broadcast to the input's.
Tensor sum_to(const Tensor& input, const Shape& shape);

/// Largest and smallest element; elements that tie share the gradient evenly. NaN wins. Throw Error on an
/// axis of size 0.
Tensor amax(const Tensor& input, const DimList& dim = {}, bool keepdim = false);
Tensor amin(const Tensor& input, const DimList& dim = {}, bool keepdim = false);
/// (values, int64 positions) along one axis: the first of equal elements, which gets all of the gradient.
std::pair<Tensor, Tensor> max(const Tensor& input, std::int64_t dim, bool keepdim = false);
std::pair<Tensor, Tensor> min(const Tensor& input, std::int64_t dim, bool keepdim = false);
Tensor max(const Tensor& input);  ///< amax over everything
Tensor min(const Tensor& input);
/// int64 position of the first largest (smallest) element along `dim`; without `dim`, in row-major order.
Tensor argmax(const Tensor& input, std::optional<std::int64_t> dim = {}, bool keepdim = false);
Tensor argmin(const Tensor& input, std::optional<std::int64_t> dim = {}, bool keepdim = false);

/// sum((x - mean)^2) / (n - correction), the mean taken first; infinite when n <= correction, or
/// NaN where nothing deviates either.
Tensor var(const Tensor& input, const DimList& dim = {}, std::int64_t correction = 1, bool keepdim = false);
/// Its square root; write lucid::std, also where lucid is used as a whole. Where all elements are equal the
/// gradient is taken as 0.
Tensor std(const Tensor& input, const DimList& dim = {}, std::int64_t correction = 1, bool keepdim = false);

/// (var, mean) and (std, mean).
std::pair<Tensor, Tensor> var_mean(const Tensor& input, const DimList& dim = {}, std::int64_t correction = 1,
                                   bool keepdim = false);
std::pair<Tensor, Tensor> std_mean(const Tensor& input, const DimList& dim = {}, std::int64_t correction = 1,
                                   bool keepdim = false);
/// (amin, amax).
std::pair<Tensor, Tensor> aminmax(const Tensor& input, const DimList& dim = {}, bool keepdim = false);

/// Product along one axis, or of everything. Integers multiply in int64.
Tensor prod(const Tensor& input, std::optional<std::int64_t> dim = {}, bool keepdim = false,
            std::optional<DType> dtype = {});
/// bool: whether any, all elements differ from 0. Of no elements: false, true.
Tensor any(const Tensor& input, const DimList& dim = {}, bool keepdim = false);
Tensor all(const Tensor& input, const DimList& dim = {}, bool keepdim = false);
/// Running sums along `dim`, from its end when `reverse`.
Tensor cumsum(const Tensor& input, std::int64_t dim, std::optional<DType> dtype = {}, bool reverse = false);
/// log(sum(exp(x))), without overflow.
Tensor logsumexp(const Tensor& input, const DimList& dim = {}, bool keepdim = false);
/// (sum |x|^p)^(1/p); the largest (smallest) |x| for p = infinity (-infinity), the count of x != 0 for p = 0.
/// Where the norm is 0 the gradient is 0.
Tensor norm(const Tensor& input, double p = 2.0, const DimList& dim = {}, bool keepdim = false);

}  // namespace lucid
