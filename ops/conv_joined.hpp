#pragma once

#include "ops/conv.hpp"

namespace lucid {

/// conv3d(cat(inputs, -4), weight, bias, options), as a decoder calls it on a skip connection and what comes
/// from below: (batch, C1, D, H, W), (batch, C2, D, H, W), ... or without the batch axis, of one dtype.
/// weight (out_channels, C1 + C2
/// + ..., kernel...). No joined copy is kept for the backward pass, whose gradients are each input's own; nor
/// is one made where the kernel reads the inputs as they lie. Throws Error as cat and conv3d do. Groups are
/// conv3d's of the joined channels.
Tensor conv3d_joined(const Tensors& inputs, const Tensor& weight, const Tensor& bias = {},
                     const Conv3dOptions& options = {});

}  // namespace lucid
