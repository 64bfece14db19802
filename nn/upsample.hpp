#pragma once

#include "nn/module.hpp"
#include "ops/interpolate.hpp"

namespace lucid::nn {

/// Resizes the spatial axes; the options are those of interpolate(): `nn::Upsample up({.scale_factor = {2},
/// .mode = InterpolateMode::trilinear});`. Throws Error unless exactly one of size and scale_factor is given.
struct Upsample : Module {
  explicit Upsample(const InterpolateOptions& options);
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  InterpolateOptions options;
};

}  // namespace lucid::nn
