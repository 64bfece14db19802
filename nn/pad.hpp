#pragma once
// Padding of the last one, two or three axes. `nn::ReflectionPad3d pad(1);` or, in PyTorch's order (the last
// axis first, before and after each), `nn::ZeroPad2d pad({left, right, top, bottom});`. Negative amounts
// crop.

#include <array>
#include <initializer_list>
#include <string>

#include "nn/module.hpp"
#include "ops/pad.hpp"

namespace lucid::nn {

/// (before, after) pairs for N axes, the last axis first. An int stands for 2 N equal amounts; a list
/// of another length makes the layer throw Error.
template <std::size_t N>
struct PadAmounts : std::array<std::int64_t, 2 * N> {
  PadAmounts(std::int64_t amount) { this->fill(amount); }
  PadAmounts(int amount) { this->fill(amount); }
  PadAmounts(std::initializer_list<std::int64_t> amounts);
  std::size_t given = 2 * N;  ///< how many the list had
};

/// What the padding layers share: input (batch, channels, N axes), or without the batch axis, grown as `mode`
/// says.
template <std::size_t N, PadMode mode>
struct PadLayer : Module {
  explicit PadLayer(const PadAmounts<N>& padding_);
  Tensor operator()(const Tensor& input) const;
  std::string type_name() const override;
  std::string extra_repr() const override;
  PadAmounts<N> padding;
};

/// Filled with `value`; any number of axes in front.
template <std::size_t N>
struct ConstantPad : Module {
  ConstantPad(const PadAmounts<N>& padding_, double value_);
  Tensor operator()(const Tensor& input) const;
  std::string type_name() const override;
  std::string extra_repr() const override;
  PadAmounts<N> padding;
  double value;
};

using ConstantPad1d = ConstantPad<1>;
using ConstantPad2d = ConstantPad<2>;
using ConstantPad3d = ConstantPad<3>;
using ZeroPad1d = PadLayer<1, PadMode::constant>;
using ZeroPad2d = PadLayer<2, PadMode::constant>;
using ZeroPad3d = PadLayer<3, PadMode::constant>;
using ReflectionPad1d = PadLayer<1, PadMode::reflect>;
using ReflectionPad2d = PadLayer<2, PadMode::reflect>;
using ReflectionPad3d = PadLayer<3, PadMode::reflect>;
using ReplicationPad1d = PadLayer<1, PadMode::replicate>;
using ReplicationPad2d = PadLayer<2, PadMode::replicate>;
using ReplicationPad3d = PadLayer<3, PadMode::replicate>;
using CircularPad1d = PadLayer<1, PadMode::circular>;
using CircularPad2d = PadLayer<2, PadMode::circular>;
using CircularPad3d = PadLayer<3, PadMode::circular>;

#define LUCID_PADS(N)                                     \
  extern template struct PadAmounts<N>;                   \
  extern template struct ConstantPad<N>;                  \
  extern template struct PadLayer<N, PadMode::constant>;  \
  extern template struct PadLayer<N, PadMode::reflect>;   \
  extern template struct PadLayer<N, PadMode::replicate>; \
  extern template struct PadLayer<N, PadMode::circular>;
LUCID_PADS(1)
LUCID_PADS(2)
LUCID_PADS(3)
#undef LUCID_PADS

}  // namespace lucid::nn
