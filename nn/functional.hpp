#pragma once
// The ops under the names they have in torch.nn.functional.

#include "ops/activation.hpp"
#include "ops/attention.hpp"
#include "ops/conv.hpp"
#include "ops/dropout.hpp"
#include "ops/gather.hpp"
#include "ops/grid_sample.hpp"
#include "ops/interpolate.hpp"
#include "ops/loss.hpp"
#include "ops/matmul.hpp"
#include "ops/norm.hpp"
#include "ops/pad.hpp"
#include "ops/pool.hpp"
#include "ops/softmax.hpp"
#include "ops/unary.hpp"

namespace lucid::nn::functional {

using lucid::embedding;
using lucid::one_hot;

using lucid::conv1d;
using lucid::conv2d;
using lucid::conv3d;
using lucid::conv_transpose1d;
using lucid::conv_transpose2d;
using lucid::conv_transpose3d;
using lucid::linear;

using lucid::scaled_dot_product_attention;

using lucid::adaptive_avg_pool1d;
using lucid::adaptive_avg_pool2d;
using lucid::adaptive_avg_pool3d;
using lucid::adaptive_max_pool1d;
using lucid::adaptive_max_pool1d_with_indices;
using lucid::adaptive_max_pool2d;
using lucid::adaptive_max_pool2d_with_indices;
using lucid::adaptive_max_pool3d;
using lucid::adaptive_max_pool3d_with_indices;
using lucid::avg_pool1d;
using lucid::avg_pool2d;
using lucid::avg_pool3d;
using lucid::max_pool1d;
using lucid::max_pool1d_with_indices;
using lucid::max_pool2d;
using lucid::max_pool2d_with_indices;
using lucid::max_pool3d;
using lucid::max_pool3d_with_indices;
using lucid::max_unpool1d;
using lucid::max_unpool2d;
using lucid::max_unpool3d;

using lucid::affine_grid;
using lucid::grid_sample;
using lucid::interpolate;
using lucid::pad;
using lucid::pixel_shuffle;
using lucid::pixel_shuffle3d;
using lucid::pixel_unshuffle;
using lucid::pixel_unshuffle3d;

using lucid::batch_norm;
using lucid::group_norm;
using lucid::instance_norm;
using lucid::layer_norm;
using lucid::rms_norm;

using lucid::celu;
using lucid::elu;
using lucid::gelu;
using lucid::hardsigmoid;
using lucid::hardswish;
using lucid::hardtanh;
using lucid::leaky_relu;
using lucid::log_softmax;
using lucid::logsigmoid;
using lucid::mish;
using lucid::prelu;
using lucid::relu;
using lucid::relu6;
using lucid::selu;
using lucid::sigmoid;
using lucid::silu;
using lucid::softmax;
using lucid::softmin;
using lucid::softplus;
using lucid::softsign;
using lucid::tanh;
using lucid::threshold;

using lucid::dropout;
using lucid::dropout1d;
using lucid::dropout2d;
using lucid::dropout3d;

using lucid::binary_cross_entropy;
using lucid::binary_cross_entropy_with_logits;
using lucid::boundary_loss;
using lucid::cosine_embedding_loss;
using lucid::cosine_similarity;
using lucid::cross_entropy;
using lucid::dice_ce_loss;
using lucid::dice_loss;
using lucid::focal_loss;
using lucid::focal_tversky_loss;
using lucid::generalized_dice_loss;
using lucid::hausdorff_dt_loss;
using lucid::huber_loss;
using lucid::kl_div;
using lucid::l1_loss;
using lucid::mse_loss;
using lucid::nll_loss;
using lucid::smooth_l1_loss;
using lucid::tversky_loss;

}  // namespace lucid::nn::functional
