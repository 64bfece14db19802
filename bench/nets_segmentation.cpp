// Nets that segment volumes.

#include <optional>

#include "bench/net_task.hpp"

namespace bench {

namespace {

using namespace lucid;
using namespace lucid::nn;

Tensor grown(const Tensor& x) {
  return interpolate(x, {.scale_factor = {2.0}, .mode = InterpolateMode::trilinear, .align_corners = false});
}

// F. Isensee et al., "nnU-Net", Nature Methods 2021: strided convolutions with bias, instance norm, leaky
// ReLU, a head at each level of the decoder (deep supervision) with Dice and cross-entropy.
struct NnUNet : Module {
  struct Block : Module {
    Block(std::int64_t from, std::int64_t to, std::int64_t stride)
        : conv1(from, to, {.kernel_size = 3, .stride = stride, .padding = 1}),
          conv2(to, to, {.kernel_size = 3, .padding = 1}),
          norm1(to, {.affine = true}),
          norm2(to, {.affine = true}) {}
    Tensor operator()(const Tensor& x) const { return norm2(conv2(norm1(conv1(x), 0.01)), 0.01); }
    Tensor operator()(const Tensors& x) const { return norm2(conv2(norm1(conv1(x), 0.01)), 0.01); }
    Conv3d conv1, conv2;
    InstanceNorm3d norm1, norm2;
    LUCID_FIELDS(conv1, conv2, norm1, norm2)
  };

  NnUNet() {
    const std::vector<std::int64_t> channels = {32, 64, 128, 256};
    for (std::size_t i = 0; i < channels.size(); ++i)
      encoder.emplace_back(i == 0 ? 1 : channels[i - 1], channels[i], i == 0 ? 1 : 2);
    for (std::size_t i = channels.size() - 1; i-- > 0;) {
      ups.emplace_back(channels[i + 1], channels[i], Up3dOptions{.kernel_size = 2, .stride = 2});
      decoder.emplace_back(2 * channels[i], channels[i], 1);
      heads.emplace_back(channels[i], 3, Conv3dOptions{.kernel_size = 1});
    }
  }
  Tensor loss(Tensor x, const Tensor& classes) const {
    Tensors skips;
    for (const Block& block : encoder) skips.push_back(x = block(x));
    Tensor sum;
    for (std::size_t i = 0; i < ups.size(); ++i) {
      const std::int64_t level = static_cast<std::int64_t>(ups.size() - i) - 1, step = 1 << level;
      x = decoder[i](Tensors{skips[static_cast<std::size_t>(level)], ups[i](x)});
      const Tensor target = classes.slice(1, 0, 64, step).slice(2, 0, 64, step).slice(3, 0, 64, step);
      const Tensor part = dice_ce_loss(heads[i](x), target.contiguous()) * (1.0 / static_cast<double>(step));
      sum = sum.defined() ? sum + part : part;
    }
    return sum;
  }
  std::vector<Block> encoder, decoder;
  std::vector<ConvTranspose3d> ups;
  std::vector<Conv3d> heads;
  LUCID_FIELDS(encoder, decoder, ups, heads)
};

// A. Myronenko, "3D MRI brain tumor segmentation using autoencoder regularization", 2018, as MONAI's
// SegResNet: residual blocks with group norm, trilinear growth, sums as skip connections.
struct SegResNet : Module {
  struct Block : Module {
    explicit Block(std::int64_t n)
        : conv1(n, n, {.kernel_size = 3, .padding = 1, .bias = false}),
          conv2(n, n, {.kernel_size = 3, .padding = 1, .bias = false}),
          norm1(8, n),
          norm2(8, n) {}
    Tensor operator()(const Tensor& x) const { return x + conv2(norm2(conv1(norm1(x, 0)), 0)); }
    Conv3d conv1, conv2;
    GroupNorm norm1, norm2;
    LUCID_FIELDS(conv1, conv2, norm1, norm2)
  };

  SegResNet() {
    constexpr std::array<std::size_t, 4> kBlocks = {1, 2, 2, 4};
    for (std::size_t i = 0; i < 4; ++i) {
      if (i > 0) downs.emplace_back(8 << i, 16 << i, Conv3dOptions{3, 2, Dims3(1), 1, 1, false});
      for (std::size_t k = 0; k < kBlocks[i]; ++k) encoder.emplace_back(16 << i);
    }
    for (int i = 2; i >= 0; --i) {
      reduces.emplace_back(32 << i, 16 << i, Conv3dOptions{.kernel_size = 1, .bias = false});
      decoder.emplace_back(16 << i);
    }
  }
  Tensor operator()(Tensor x) const {
    x = stem(x);
    Tensors skips;
    std::size_t block = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      if (i > 0) x = downs[i - 1](x);
      for (const std::size_t end = block + (i == 0 ? 1 : i == 3 ? 4 : 2); block < end; ++block)
        x = encoder[block](x);
      skips.push_back(x);
    }
    for (std::size_t i = 0; i < 3; ++i) x = decoder[i](grown(reduces[i](x)) + skips[2 - i]);
    return head(norm(x, 0));
  }
  Conv3d stem{1, 16, {.kernel_size = 3, .padding = 1, .bias = false}}, head{16, 4, {.kernel_size = 1}};
  std::vector<Conv3d> downs, reduces;
  std::vector<Block> encoder, decoder;
  GroupNorm norm{8, 16};
  LUCID_FIELDS(stem, downs, reduces, encoder, decoder, norm, head)
};

// F. Milletari et al., "V-Net", 3DV 2016: kernels of 5, PReLU, residual stages, batch norm.
struct VNet : Module {
  struct Stage : Module {
    Stage(std::int64_t from, std::int64_t n, std::size_t depth) {
      for (std::size_t i = 0; i < depth; ++i) {
        convs.emplace_back(i == 0 ? from : n, n, Conv3dOptions{.kernel_size = 5, .padding = 2});
        norms.emplace_back(n);
        activations.emplace_back(n);
      }
    }
    Tensor operator()(Tensor x, const Tensor& shortcut) const {
      for (std::size_t i = 0; i < convs.size(); ++i) {
        x = norms[i](convs[i](x));
        x = activations[i](i + 1 == convs.size() ? x + shortcut : x);
      }
      return x;
    }
    std::vector<Conv3d> convs;
    std::vector<BatchNorm3d> norms;
    std::vector<PReLU> activations;
    LUCID_FIELDS(convs, norms, activations)
  };

  VNet() {
    for (std::int64_t i = 0; i < 3; ++i) {
      if (i > 0) downs.emplace_back(8 << i, 16 << i, Conv3dOptions{.kernel_size = 2, .stride = 2});
      encoder.emplace_back(i == 0 ? 1 : 16 << i, 16 << i,
                           static_cast<std::size_t>(std::min<std::int64_t>(i + 1, 2)));
    }
    for (std::int64_t i = 1; i >= 0; --i) {
      ups.emplace_back(32 << i, 8 << i, Up3dOptions{.kernel_size = 2, .stride = 2});
      decoder.emplace_back(24 << i, 16 << i, static_cast<std::size_t>(i + 1));
      shortcuts.emplace_back(24 << i, 16 << i, Conv3dOptions{.kernel_size = 1});
    }
  }
  Tensor operator()(Tensor x) const {
    Tensors skips;
    for (std::size_t i = 0; i < encoder.size(); ++i) {
      if (i > 0) x = downs[i - 1](x);
      skips.push_back(x = encoder[i](x, x));
    }
    for (std::size_t i = 0; i < ups.size(); ++i) {
      x = cat({ups[i](x), skips[1 - i]}, 1);
      x = decoder[i](x, shortcuts[i](x));
    }
    return head(x);
  }
  std::vector<Conv3d> downs, shortcuts;
  std::vector<ConvTranspose3d> ups;
  std::vector<Stage> encoder, decoder;
  Conv3d head{16, 2, {.kernel_size = 1}};
  LUCID_FIELDS(encoder, downs, ups, decoder, shortcuts, head)
};

// S. Roy et al., "MedNeXt", MICCAI 2023: depthwise convolutions, a group norm of each channel, GELU between
// convolutions of one tap; blocks that halve and double are strided.
struct MedNeXt : Module {
  struct Block : Module {
    Block(std::int64_t from, std::int64_t to, bool halves)
        : depthwise(from, from, {3, halves ? 2 : 1, Dims3(1), 1, from}),
          norm(from, from),
          grow(from, 2 * from, {.kernel_size = 1}),
          shrink(2 * from, to, {.kernel_size = 1}) {
      if (halves) shortcut.emplace(from, to, Conv3dOptions{.kernel_size = 1, .stride = 2});
    }
    Tensor operator()(const Tensor& x) const {
      return shrink(gelu(grow(norm(depthwise(x))))) + (shortcut ? (*shortcut)(x) : x);
    }
    Conv3d depthwise;
    GroupNorm norm;
    Conv3d grow, shrink;
    std::optional<Conv3d> shortcut;
    LUCID_FIELDS(depthwise, norm, grow, shrink, shortcut)
  };
  struct Up : Module {
    explicit Up(std::int64_t from)
        : depthwise(from, from, {3, 2, 1, 1, 1, from}),
          norm(from, from),
          grow(from, 2 * from, {.kernel_size = 1}),
          shrink(2 * from, from / 2, {.kernel_size = 1}),
          shortcut(from, from / 2, {3, 2, 1, 1}) {}
    Tensor operator()(const Tensor& x) const { return shrink(gelu(grow(norm(depthwise(x))))) + shortcut(x); }
    ConvTranspose3d depthwise;
    GroupNorm norm;
    Conv3d grow, shrink;
    ConvTranspose3d shortcut;
    LUCID_FIELDS(depthwise, norm, grow, shrink, shortcut)
  };

  MedNeXt() {
    for (std::int64_t n = 16; n <= 64; n *= 2) {
      encoder.emplace_back(n, n, false);
      downs.emplace_back(n, 2 * n, true);
    }
    encoder.emplace_back(128, 128, false);
    for (std::int64_t n = 64; n >= 16; n /= 2) {
      ups.emplace_back(2 * n);
      decoder.emplace_back(n, n, false);
    }
  }
  Tensor operator()(Tensor x) const {
    x = stem(x);
    Tensors skips;
    for (std::size_t i = 0; i < encoder.size(); ++i) {
      if (i > 0) x = downs[i - 1](x);
      skips.push_back(x = encoder[i](x));
    }
    for (std::size_t i = 0; i < ups.size(); ++i) x = decoder[i](ups[i](x) + skips[2 - i]);
    return head(x);
  }
  Conv3d stem{1, 16, {.kernel_size = 1}}, head{16, 3, {.kernel_size = 1}};
  std::vector<Block> encoder, downs, decoder;
  std::vector<Up> ups;
  LUCID_FIELDS(stem, encoder, downs, ups, decoder, head)
};

}  // namespace

NetTask nn_unet() {
  auto net = std::make_unique<NnUNet>();
  const auto loss = [model = net.get(), x = pattern({1, 1, 64, 64, 64}), t = classes({1, 64, 64, 64}, 3)] {
    return model->loss(x, t);
  };
  return {std::move(net), loss};
}
NetTask seg_res_net() { return with_cross_entropy<SegResNet>({1, 1, 64, 64, 64}, {1, 64, 64, 64}, 4); }
NetTask v_net() { return with_cross_entropy<VNet>({1, 1, 48, 48, 48}, {1, 48, 48, 48}, 2); }
NetTask mednext() { return with_cross_entropy<MedNeXt>({1, 1, 64, 64, 64}, {1, 64, 64, 64}, 3); }

}  // namespace bench
