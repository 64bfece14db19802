// A 3D decoder: a latent vector (kind, sizes, place of a solid) is decoded by four ConvTranspose3d layers to
// 32^3 voxels. Trains in under a minute and writes decoder.png: truth above, output below.
//   decoder [OUTPUT.png] [STEPS]

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>

#include "examples/segmentation/png.hpp"
#include "lucid/lucid.hpp"

using namespace lucid;
namespace F = nn::functional;

namespace {

constexpr std::int64_t kSide = 32;
constexpr std::int64_t kLatent = 8;  // one-hot kind (3), two sizes, centre (3)
enum Kind { sphere, box, torus };

struct Solid {
  Kind kind;
  double size, thickness;
  std::array<double, 3> centre;

  // Coordinates in [-1, 1].
  bool holds(double x, double y, double z) const {
    x -= centre[0], y -= centre[1], z -= centre[2];
    if (kind == sphere) return x * x + y * y + z * z < size * size;
    if (kind == box) return std::abs(x) < size * 0.8 && std::abs(y) < size * 0.8 && std::abs(z) < thickness;
    const double ring = std::hypot(x, y) - size;
    return ring * ring + z * z < thickness * thickness * 0.5;
  }
};

Solid draw_solid(Generator& generator) {
  Solid solid{static_cast<Kind>(generator.integer(0, 3)),
              generator.uniform(0.4, 0.65),
              generator.uniform(0.2, 0.45),
              {}};
  for (double& c : solid.centre) c = generator.uniform(-0.25, 0.25);
  return solid;
}

struct Batch {
  Tensor latent;  // (N, 8)
  Tensor voxels;  // (N, 1, 32, 32, 32), 0 or 1
};

Batch make_batch(const std::vector<Solid>& solids) {
  std::vector<float> latent, voxels;
  const auto at = [](std::int64_t i) { return (static_cast<double>(i) + 0.5) / kSide * 2 - 1; };
  for (const Solid& solid : solids) {
    for (int kind = 0; kind < 3; ++kind) latent.push_back(solid.kind == kind ? 1.0f : 0.0f);
    latent.push_back(static_cast<float>((solid.size - 0.5) * 4));
    latent.push_back(static_cast<float>((solid.thickness - 0.3) * 4));
    for (double c : solid.centre) latent.push_back(static_cast<float>(c * 4));
    for (std::int64_t z = 0; z < kSide; ++z)
      for (std::int64_t y = 0; y < kSide; ++y)
        for (std::int64_t x = 0; x < kSide; ++x)
          voxels.push_back(solid.holds(at(x), at(y), at(z)) ? 1.0f : 0.0f);
  }
  const auto n = static_cast<std::int64_t>(solids.size());
  return {Tensor::from(latent, {n, kLatent}), Tensor::from(voxels, {n, 1, kSide, kSide, kSide})};
}

struct ShapeDecoder : nn::Module {
  nn::Linear project{kLatent, 128 * 8};  // to 2^3
  nn::ConvTranspose3d up1{128, 64, {.kernel_size = 4, .stride = 2, .padding = 1}};
  nn::ConvTranspose3d up2{64, 32, {.kernel_size = 4, .stride = 2, .padding = 1}};
  nn::ConvTranspose3d up3{32, 16, {.kernel_size = 4, .stride = 2, .padding = 1}};
  nn::ConvTranspose3d up4{16, 1, {.kernel_size = 4, .stride = 2, .padding = 1}};
  nn::BatchNorm3d norm1{64}, norm2{32}, norm3{16};
  LUCID_FIELDS(project, up1, up2, up3, up4, norm1, norm2, norm3)

  /// (N, 8) to logits (N, 1, 32, 32, 32).
  Tensor operator()(const Tensor& latent) const {
    Tensor x = F::relu(project(latent)).reshape({latent.size(0), 128, 2, 2, 2});
    x = F::relu(norm1(up1(x)));
    x = F::relu(norm2(up2(x)));
    x = F::relu(norm3(up3(x)));
    return up4(x);
  }
};

// Looks along a slanted axis at the voxels that are set and shades them by the direction their surface faces.
void render(const std::vector<float>& voxels, std::size_t first, segment::Picture& picture, std::int64_t left,
            std::int64_t top) {
  constexpr std::int64_t kPixels = 128;
  const auto value = [&](double x, double y, double z) {
    const auto i = [](double c) { return static_cast<std::int64_t>(std::floor((c + 1) * 0.5 * kSide)); };
    const std::int64_t ix = i(x), iy = i(y), iz = i(z);
    if (std::min({ix, iy, iz}) < 0 || std::max({ix, iy, iz}) >= kSide) return 0.0f;
    return voxels[first + static_cast<std::size_t>((iz * kSide + iy) * kSide + ix)];
  };
  const double tilt = 0.9, turn = 0.6;
  for (std::int64_t row = 0; row < kPixels; ++row)
    for (std::int64_t column = 0; column < kPixels; ++column) {
      const double u = (column + 0.5) / kPixels * 3 - 1.5, v = 1.5 - (row + 0.5) / kPixels * 3;
      for (double depth = -1.8; depth < 1.8; depth += 0.02) {
        const double y1 = v * std::sin(tilt) + depth * std::cos(tilt),
                     z = v * std::cos(tilt) - depth * std::sin(tilt);
        const double x = u * std::cos(turn) - y1 * std::sin(turn),
                     y = u * std::sin(turn) + y1 * std::cos(turn);
        if (value(x, y, z) <= 0.5f) continue;
        const double h = 2.5 / kSide;  // the gradient of the smoothed solid points inwards
        std::array<double, 3> normal{};
        for (double a : {-h, 0.0, h})
          for (double b : {-h, 0.0, h}) {
            normal[0] += value(x - h, y + a, z + b) - value(x + h, y + a, z + b);
            normal[1] += value(x + a, y - h, z + b) - value(x + a, y + h, z + b);
            normal[2] += value(x + a, y + b, z - h) - value(x + a, y + b, z + h);
          }
        const double length = std::max(1e-6, std::hypot(normal[0], normal[1], normal[2]));
        const double light = std::max(0.0, (0.3 * normal[0] - 0.5 * normal[1] + 0.8 * normal[2]) / length);
        const auto shade = [&](double base) {
          return static_cast<std::uint8_t>(base * (0.25 + 0.75 * light));
        };
        picture.at(left + column, top + row) = {shade(120), shade(190), shade(255)};
        break;
      }
    }
}

void write_comparison(const std::string& path, const Tensor& truth, const Tensor& output) {
  const auto expected = truth.to_vector<float>(), found = output.to_vector<float>();
  const std::int64_t count = truth.size(0), cell = 128;
  segment::Picture picture(count * cell, 2 * cell, {24, 26, 32});
  for (std::int64_t i = 0; i < count; ++i) {
    const auto first = static_cast<std::size_t>(i * kSide * kSide * kSide);
    render(expected, first, picture, i * cell, 0);
    render(found, first, picture, i * cell, cell);
  }
  segment::write_png(path, picture);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc > 3 || (argc > 1 && argv[1][0] == '-')) {
    std::cerr << "usage: decoder [PICTURE.png [STEPS]]\n";
    return 2;
  }
  const std::string path = argc > 1 ? argv[1] : "decoder.png";
  const int steps = argc > 2 ? std::atoi(argv[2]) : 300;
  manual_seed(0);
  Generator generator(1);
  ShapeDecoder decoder;
  optim::AdamW optimizer(decoder.parameters(), {.lr = 3e-3});
  for (int step = 0; step < steps; ++step) {
    std::vector<Solid> solids;
    for (int i = 0; i < 8; ++i) solids.push_back(draw_solid(generator));
    const Batch batch = make_batch(solids);
    const Tensor loss = F::binary_cross_entropy_with_logits(decoder(batch.latent), batch.voxels);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    if (step % 50 == 0 || step + 1 == steps)
      std::cout << "step " << step << ", loss " << loss.item<float>() << '\n';
  }

  decoder.eval();
  const no_grad guard;
  Generator unseen(99);
  std::vector<Solid> solids;
  for (const Kind kind : {sphere, box, torus, sphere, box, torus}) {
    solids.push_back(draw_solid(unseen));
    solids.back().kind = kind;
  }
  const Batch batch = make_batch(solids);
  const Tensor output = F::sigmoid(decoder(batch.latent));
  const Tensor solid = (output > 0.5).to(f32);
  const double overlap =
      2 * (solid * batch.voxels).sum().item<double>() / (solid + batch.voxels).sum().item<double>();
  write_comparison(path, batch.voxels, output);
  std::cout << "Dice on solids never seen: " << overlap << "\ntruth above, output below: " << path << '\n';
} catch (const lucid::Error& error) {
  std::cerr << error.what() << '\n';
  return 2;
}
