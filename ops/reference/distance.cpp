// The Euclidean distance transform: every pair of elements is tried.

#include <algorithm>
#include <cmath>

#include "ops/reference/definitions.hpp"
#include "ops/reference/spatial.hpp"

namespace lucid::reference {

Array distances_to_zero(const Array& mask, const std::vector<double>& spacing) {
  return generate(mask.shape, [&](const Index& from) {
    double least = INFINITY;
    for_each_index(mask.shape, [&](const Index& to) {
      if (to[0] != from[0] || to[1] != from[1] || mask.at(to) != 0) return;
      double square = 0;
      for (std::size_t i = 2; i < to.size(); ++i)
        square += std::pow(spacing[i - 2] * static_cast<double>(to[i] - from[i]), 2);
      least = std::min(least, std::sqrt(square));
    });
    return least;
  });
}

std::vector<double> spacing_of(const Array& input, const nlohmann::json& sampling) {
  return for_each_axis<double>(sampling.empty() ? nlohmann::json(1.0) : sampling, input.rank() - 2);
}

void define_distance(Definitions& d) {
  d["distance_transform_edt"] = [](const Arrays& in, const nlohmann::json& o) -> Arrays {
    return {distances_to_zero(in[0], spacing_of(in[0], o["sampling"]))};
  };
}

}  // namespace lucid::reference
