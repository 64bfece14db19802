#pragma once
// How pooling and interpolation enter the graph: as maps between volumes that are linear once the windows
// (and for maxima the positions) are fixed. Each map's backward pass is its adjoint, recorded in turn, whose
// own is the map again: derivatives of any order.

#include <memory>
#include <string_view>

#include "autograd/record.hpp"
#include "ops/kernels/axis_taps.hpp"
#include "ops/option_values.hpp"

namespace lucid::ops {

struct SpatialNode {
  std::string_view op;        ///< the map's name, a literal
  std::string_view adjoint;   ///< its adjoint's
  OptionValues options = {};  ///< of the op, as ops::call takes them
  std::size_t spatial_rank = 3;
  Shape input_shape = {};
  std::shared_ptr<const kernels::SpatialTaps> taps = {};  ///< null when the result or the input is empty
};
void to_json(nlohmann::json& out, const SpatialNode& node);

/// input through node.taps, recorded under node.op. An empty `out_shape` volume gives zeros.
Tensor resample(const Tensor& input, const Shape& out_shape, SpatialNode node);

/// The shape of `input`'s with its last sizes replaced by those of the volume `out`.
Shape result_shape(const Tensor& input, std::size_t spatial_rank, const Shape& out);

}  // namespace lucid::ops
