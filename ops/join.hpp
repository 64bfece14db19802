#pragma once
// Joining tensors and taking them apart.

#include <vector>

#include "lucid/tensor.hpp"

namespace lucid {

/// The tensors one after the other along `dim`; their other sizes must agree. Types promote. The result is
/// laid out like the first tensor whose layout is not ambiguous, so channels-last volumes stay so. An empty
/// tensor of shape (0) joins anything, as in PyTorch. Throws Error naming the shapes that disagree.
Tensor cat(const Tensors& tensors, std::int64_t dim = 0);
/// Tensors of one shape side by side along a new axis `dim`.
Tensor stack(const Tensors& tensors, std::int64_t dim = 0);

/// Views of parts along `dim`: of `split_size` each (the last may be smaller), or of the given sizes, which
/// must add up to the size of the axis.
Tensors split(const Tensor& input, std::int64_t split_size, std::int64_t dim = 0);
Tensors split(const Tensor& input, const std::vector<std::int64_t>& split_sizes, std::int64_t dim = 0);
/// Views of at most `chunks` parts along `dim`, all of one size but the last.
Tensors chunk(const Tensor& input, std::int64_t chunks, std::int64_t dim = 0);

}  // namespace lucid
