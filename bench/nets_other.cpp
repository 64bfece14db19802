// A transformer for volumes, a generator, a classifier, and a net for images.

#include <optional>

#include "bench/net_task.hpp"

namespace bench {

namespace {

using namespace lucid;
using namespace lucid::nn;

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

}  // namespace

NetTask unetr() { return with_cross_entropy<Unetr>({1, 1, 96, 96, 96}, {1, 96, 96, 96}, 4); }
NetTask gan_3d() {
  auto net = std::make_unique<Gan3d>();
  const auto loss = [model = net.get(), x = pattern({4, 200, 1, 1, 1}), t = ones({4, 1, 1, 1, 1})] {
    return binary_cross_entropy_with_logits((*model)(x), t);
  };
  return {std::move(net), loss};
}
NetTask res_net_18() { return with_cross_entropy<ResNet18>({2, 1, 64, 64, 64}, {2}, 10); }
NetTask attention_unet_2d() {
  return with_cross_entropy<AttentionUNet2d>({2, 1, 256, 256}, {2, 256, 256}, 2);
}

}  // namespace bench
