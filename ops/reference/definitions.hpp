#pragma once
// The definitions of the built-in ops, one file a family. The table is explicit: each file adds its own.

#include <map>
#include <string>

#include "ops/reference/array.hpp"

namespace lucid::reference {

using Definitions = std::map<std::string, Definition, std::less<>>;

void define_arithmetic(Definitions& definitions);  // add, mul, pow, where, comparisons, ...
void define_unary(Definitions& definitions);       // exp, sqrt, casts, activations, ...

void define_convolution(Definitions& definitions);    // conv1d, conv_transpose3d, conv_weight_grad, ...
void define_pooling(Definitions& definitions);        // max_pool3d, adaptive_avg_pool2d, max_unpool3d, ...
void define_resizing(Definitions& definitions);       // interpolate, pixel_shuffle3d, ...
void define_normalisation(Definitions& definitions);  // batch_norm, rms_norm, ...
void define_dropout(Definitions& definitions);        // dropout, dropout3d
void define_distance(Definitions& definitions);       // distance_transform_edt
void define_losses(Definitions& definitions);         // cross_entropy, mse_loss, cosine_similarity, ...
void define_region_losses(Definitions& definitions);  // dice_loss, focal_loss, boundary_loss, ...

/// All of them, by the op's name.
const Definitions& definitions();

}  // namespace lucid::reference
