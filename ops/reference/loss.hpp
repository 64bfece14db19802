#pragma once
// What the definitions of the losses share.

#include <nlohmann/json.hpp>
#include <string>

#include "ops/reference/array.hpp"

namespace lucid::reference {

/// The losses themselves ("none"), their mean or their sum.
Array reduced(const Array& losses, const std::string& reduction);

/// e^x over its sum along `axis`.
Array softmax(const Array& input, std::size_t axis);
double sigmoid(double x);

/// in: input (N, C, ...) or (C), target of indices or of probabilities, weight (C).
Arrays cross_entropy(const Arrays& in, const nlohmann::json& options);

}  // namespace lucid::reference
