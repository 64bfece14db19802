#pragma once
// How a loss layer prints itself. For .cpp files only, which declare to_json of their options and
// instantiate.

#include <nlohmann/json.hpp>

#include "nn/loss_layer.hpp"

namespace lucid::nn {

template <class Options>
std::string LossLayer<Options>::extra_repr() const {
  return detail::changed_options(options, Options{});
}

}  // namespace lucid::nn
