#pragma once
// Arguments that many records share for their proofs.

#include "ops/registry.hpp"

namespace lucid::ops {

/// float64 tensors of N(0, 1).
Tensor normal(const Shape& shape, Generator& generator);
/// The same with every |value| at least 0.5, so that kinks and poles at 0 are kept away.
Tensor away_from_zero(const Tensor& tensor);
/// float64, uniform in [low, high).
Tensor uniform(const Shape& shape, double low, double high, Generator& generator);

/// One input: rank 0, a vector, a volume batch (2, 3, 2, 3, 4), sizes of 1.
std::vector<Sample> unary_samples(Generator& generator);
/// Two inputs: equal shapes, and shapes that broadcast on either side.
std::vector<Sample> broadcast_samples(Generator& generator);
/// Shapes that don't broadcast.
std::vector<ErrorCase> broadcast_errors();
/// For an op that refuses nothing of its own.
std::vector<ErrorCase> no_errors();

}  // namespace lucid::ops
