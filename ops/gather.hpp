#pragma once
// Elements and slices named by integer tensors (int64 or int32; negative positions are refused).

#include <optional>
#include <utility>

#include "lucid/tensor.hpp"

namespace lucid {

/// The slices index[j] of `input` along `dim`; `index` has rank 1 (or 0). Throws Error on a position out of
/// range.
Tensor index_select(const Tensor& input, std::int64_t dim, const Tensor& index);
/// `input` with alpha * source's slice j added to slice index[j]; equal positions add up.
Tensor index_add(const Tensor& input, std::int64_t dim, const Tensor& index, const Tensor& source,
                 double alpha = 1.0);
/// out[i][j][k] = input[i][index[i][j][k]][k] for dim = 1. `index` has input's rank and is no larger off
/// `dim`.
Tensor gather(const Tensor& input, std::int64_t dim, const Tensor& index);
/// `input` with src[i][j][k] added at [i][index[i][j][k]][k] for dim = 1; src and index have one shape.
Tensor scatter_add(const Tensor& input, std::int64_t dim, const Tensor& index, const Tensor& src);

/// The k largest (or smallest) elements along `dim`, in order, and their int64 positions; of equal ones the
/// earlier first; NaN counts as the largest. They are in order without `sorted` too.
std::pair<Tensor, Tensor> topk(const Tensor& input, std::int64_t k, std::int64_t dim = -1,
                               bool largest = true, bool sorted = true);
/// int64 (..., num_classes) with 1 at the class of each element, 0 elsewhere; num_classes = -1 takes the
/// largest class + 1. Not differentiable.
Tensor one_hot(const Tensor& input, std::int64_t num_classes = -1);
/// Rows of `weight` (classes, features) named by `input` (...): (..., features). Row `padding_idx` (negative:
/// from the end) receives no gradient. With `scale_grad_by_freq` a row's gradient is divided by the number of
/// times that input names it.
Tensor embedding(const Tensor& input, const Tensor& weight, std::optional<std::int64_t> padding_idx = {},
                 bool scale_grad_by_freq = false);

}  // namespace lucid
