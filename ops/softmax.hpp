#pragma once
// softmax and log_softmax along one axis; fastest along the channels of a channels-last volume.

#include <optional>

#include "lucid/tensor.hpp"

namespace lucid {

/// e^x / sum(e^x) along `dim`, without overflow. `dtype`, when given, is what the input is converted to
/// first.
Tensor softmax(const Tensor& input, std::int64_t dim, std::optional<DType> dtype = {});
/// log(softmax(x)), exact where softmax(x) would round to 0.
Tensor log_softmax(const Tensor& input, std::int64_t dim, std::optional<DType> dtype = {});

/// softmax(-x).
Tensor softmin(const Tensor& input, std::int64_t dim, std::optional<DType> dtype = {});

}  // namespace lucid
