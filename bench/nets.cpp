#include "bench/nets.hpp"

#include <optional>

#include "bench/operands.hpp"
#include "nn/functional.hpp"
#include "nn/nn.hpp"
#include "ops/arithmetic.hpp"
#include "ops/join.hpp"
#include "ops/view.hpp"

namespace bench {

namespace {

using namespace lucid;
using namespace lucid::nn;

using Conv3dOptions = ConvLayerOptions<3>;
using Up3dOptions = ConvTransposeLayerOptions<3>;

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

// A. Hatamizadeh et al., "UNETR", WACV 2022, smaller: a transformer over patches of 16^3 voxels, a decoder of
// transposed convolutions.
struct Unetr : Module {
  static constexpr std::int64_t kWidth = 384;
  struct Block : Module {
    Tensor operator()(const Tensor& x) const {
      const Tensor y = norm1(x), z = x + attention(y, y, y, {.need_weights = false}).first;
      return z + shrink(gelu(grow(norm2(z))));
    }
    LayerNorm norm1{{kWidth}}, norm2{{kWidth}};
    MultiheadAttention attention{kWidth, 6, {.batch_first = true}};
    Linear grow{kWidth, 4 * kWidth}, shrink{4 * kWidth, kWidth};
    LUCID_FIELDS(norm1, norm2, attention, grow, shrink)
  };
  struct Up : Module {
    Up(std::int64_t from, std::int64_t to)
        : up(from, to, {.kernel_size = 2, .stride = 2}),
          conv(to, to, {.kernel_size = 3, .padding = 1, .bias = false}),
          norm(to, {.affine = true}) {}
    Tensor operator()(const Tensor& x) const { return norm(conv(up(x)), 0.01); }
    ConvTranspose3d up;
    Conv3d conv;
    InstanceNorm3d norm;
    LUCID_FIELDS(up, conv, norm)
  };

  Tensor operator()(const Tensor& image) const {
    Tensor x = patches(image).flatten(2).transpose(1, 2) + position;
    for (const Block& block : blocks) x = block(x);
    x = norm(x).transpose(1, 2).reshape({1, kWidth, 6, 6, 6});
    for (const Up& up : ups) x = up(x);
    return head(cat({x, leaky_relu(stem(image))}, 1));
  }
  Conv3d patches{1, kWidth, {.kernel_size = 16, .stride = 16}};
  Parameter position{zeros({1, 216, kWidth})};
  std::vector<Block> blocks = std::vector<Block>(4);
  LayerNorm norm{{kWidth}};
  std::vector<Up> ups = {{kWidth, 128}, {128, 64}, {64, 32}, {32, 16}};
  Conv3d stem{1, 16, {.kernel_size = 3, .padding = 1}}, head{32, 4, {.kernel_size = 1}};
  LUCID_FIELDS(patches, position, blocks, norm, ups, stem, head)
};

// J. Wu et al., "3D-GAN", NeurIPS 2016: a generator of transposed convolutions from a vector to 64^3 voxels,
// and its discriminator; the generator's step, whose gradient passes through both.
struct Gan3d : Module {
  Gan3d() {
    for (std::int64_t n = 256; n >= 32; n /= 2) {
      const bool is_first = n == 256;
      ups.emplace_back(
          is_first ? 200 : 2 * n, n,
          Up3dOptions{
              .kernel_size = 4, .stride = is_first ? 1 : 2, .padding = is_first ? 0 : 1, .bias = false});
      up_norms.emplace_back(n);
    }
    for (std::int64_t n = 32; n <= 256; n *= 2) {
      downs.emplace_back(n == 32 ? 1 : n / 2, n, Conv3dOptions{4, 2, Dims3(1), 1, 1, false});
      down_norms.emplace_back(n);
    }
  }
  Tensor operator()(Tensor x) const {
    for (std::size_t i = 0; i < ups.size(); ++i) x = up_norms[i](ups[i](x), 0);
    x = last(x).sigmoid();
    for (std::size_t i = 0; i < downs.size(); ++i) x = down_norms[i](downs[i](x), 0.2);
    return head(x);
  }
  std::vector<ConvTranspose3d> ups;
  std::vector<BatchNorm3d> up_norms, down_norms;
  ConvTranspose3d last{32, 1, {.kernel_size = 4, .stride = 2, .padding = 1}};
  std::vector<Conv3d> downs;
  Conv3d head{256, 1, {.kernel_size = 4}};
  LUCID_FIELDS(ups, up_norms, last, downs, down_norms, head)
};

// K. Hara et al., "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?", CVPR 2018: a
// classifier of 18 layers.
struct ResNet18 : Module {
  struct Block : Module {
    Block(std::int64_t from, std::int64_t to)
        : conv1(from, to, {3, from == to ? 1 : 2, Dims3(1), 1, 1, false}),
          conv2(to, to, {.kernel_size = 3, .padding = 1, .bias = false}),
          norm1(to),
          norm2(to) {
      if (from == to) return;
      shortcut.emplace(from, to, Conv3dOptions{.kernel_size = 1, .stride = 2, .bias = false});
      shortcut_norm.emplace(to);
    }
    Tensor operator()(const Tensor& x) const {
      const Tensor y = norm2(conv2(norm1(conv1(x), 0)));
      return relu(y + (shortcut ? (*shortcut_norm)((*shortcut)(x)) : x));
    }
    Conv3d conv1, conv2;
    BatchNorm3d norm1, norm2;
    std::optional<Conv3d> shortcut;
    std::optional<BatchNorm3d> shortcut_norm;
    LUCID_FIELDS(conv1, norm1, conv2, norm2, shortcut, shortcut_norm)
  };

  ResNet18() {
    for (std::int64_t n = 64; n <= 512; n *= 2) {
      blocks.emplace_back(n == 64 ? 64 : n / 2, n);
      blocks.emplace_back(n, n);
    }
  }
  Tensor operator()(Tensor x) const {
    x = max_pool3d(norm(stem(x), 0), {.kernel_size = 3, .stride = 2, .padding = 1});
    for (const Block& block : blocks) x = block(x);
    return head(x.mean({2, 3, 4}));
  }
  Conv3d stem{1, 64, {7, 2, Dims3(3), 1, 1, false}};
  BatchNorm3d norm{64};
  std::vector<Block> blocks;
  Linear head{512, 10};
  LUCID_FIELDS(stem, norm, blocks, head)
};

// O. Ronneberger et al., "U-Net", MICCAI 2015, on images, with O. Oktay's attention gates (MIDL 2018).
struct AttentionUNet2d : Module {
  struct Block : Module {
    Block(std::int64_t from, std::int64_t to)
        : conv1(from, to, {.kernel_size = 3, .padding = 1, .bias = false}),
          conv2(to, to, {.kernel_size = 3, .padding = 1, .bias = false}),
          norm1(to),
          norm2(to) {}
    Tensor operator()(const Tensor& x) const { return norm2(conv2(norm1(conv1(x), 0)), 0); }
    Conv2d conv1, conv2;
    BatchNorm2d norm1, norm2;
    LUCID_FIELDS(conv1, norm1, conv2, norm2)
  };
  struct Level : Module {
    explicit Level(std::int64_t n)
        : up(2 * n, n, {.kernel_size = 2, .stride = 2}),
          of_skip(n, n / 2, {.kernel_size = 1}),
          of_up(n, n / 2, {.kernel_size = 1}),
          gate(n / 2, 1, {.kernel_size = 1}),
          block(2 * n, n) {}
    Tensor operator()(const Tensor& x, const Tensor& skip) const {
      const Tensor y = up(x);
      return block(cat({skip * gate(relu(of_skip(skip) + of_up(y))).sigmoid(), y}, 1));
    }
    ConvTranspose2d up;
    Conv2d of_skip, of_up, gate;
    Block block;
    LUCID_FIELDS(up, of_skip, of_up, gate, block)
  };

  AttentionUNet2d() {
    for (std::int64_t n = 32; n <= 256; n *= 2) encoder.emplace_back(n == 32 ? 1 : n / 2, n);
    for (std::int64_t n = 128; n >= 32; n /= 2) decoder.emplace_back(n);
  }
  Tensor operator()(Tensor x) const {
    Tensors skips;
    for (const Block& block : encoder) {
      x = block(skips.empty() ? x : max_pool2d(x, {.kernel_size = 2}));
      skips.push_back(x);
    }
    for (std::size_t i = 0; i < decoder.size(); ++i) x = decoder[i](x, skips[2 - i]);
    return head(x);
  }
  std::vector<Block> encoder;
  std::vector<Level> decoder;
  Conv2d head{32, 2, {.kernel_size = 1}};
  LUCID_FIELDS(encoder, decoder, head)
};

// Class indices of voxels, or of samples.
Tensor classes(const Shape& shape, std::int64_t count) {
  const Tensor out = empty(shape, i64);
  auto* data = out.mutable_data<std::int64_t>();
  for (std::int64_t i = 0; i < out.numel(); ++i) data[i] = i / 5 % count;
  return out;
}

template <class Net>
NetTask with_cross_entropy(const std::string& name, const Shape& input, const Shape& target,
                           std::int64_t count) {
  auto net = std::make_unique<Net>();
  const auto loss = [model = net.get(), x = pattern(input), t = classes(target, count)] {
    return cross_entropy((*model)(x), t);
  };
  return {name, std::move(net), loss};
}

}  // namespace

const std::vector<std::string>& net_names() {
  static const std::vector<std::string> names = {"nnU-Net", "SegResNet", "V-Net",     "MedNeXt",
                                                 "UNETR",   "3D-GAN",    "ResNet-18", "attention U-Net 2D"};
  return names;
}

NetTask make_net(const std::string& name) {
  if (name == "nnU-Net") {
    auto net = std::make_unique<NnUNet>();
    const auto loss = [model = net.get(), x = pattern({1, 1, 64, 64, 64}), t = classes({1, 64, 64, 64}, 3)] {
      return model->loss(x, t);
    };
    return {name, std::move(net), loss};
  }
  if (name == "3D-GAN") {
    auto net = std::make_unique<Gan3d>();
    const auto loss = [model = net.get(), x = pattern({4, 200, 1, 1, 1}), t = ones({4, 1, 1, 1, 1})] {
      return binary_cross_entropy_with_logits((*model)(x), t);
    };
    return {name, std::move(net), loss};
  }
  if (name == "SegResNet") return with_cross_entropy<SegResNet>(name, {1, 1, 64, 64, 64}, {1, 64, 64, 64}, 4);
  if (name == "V-Net") return with_cross_entropy<VNet>(name, {1, 1, 48, 48, 48}, {1, 48, 48, 48}, 2);
  if (name == "MedNeXt") return with_cross_entropy<MedNeXt>(name, {1, 1, 64, 64, 64}, {1, 64, 64, 64}, 3);
  if (name == "UNETR") return with_cross_entropy<Unetr>(name, {1, 1, 96, 96, 96}, {1, 96, 96, 96}, 4);
  if (name == "ResNet-18") return with_cross_entropy<ResNet18>(name, {2, 1, 64, 64, 64}, {2}, 10);
  check(name == "attention U-Net 2D", "bench", "there is no net ", name);
  return with_cross_entropy<AttentionUNet2d>(name, {2, 1, 256, 256}, {2, 256, 256}, 2);
}

}  // namespace bench
