#include "ops/interpolate.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

struct ShuffleOptions {
  std::int64_t upscale_factor = 1;
};
LUCID_OPTIONS(ShuffleOptions, upscale_factor)

struct UnshuffleOptions {
  std::int64_t downscale_factor = 1;
};
LUCID_OPTIONS(UnshuffleOptions, downscale_factor)

void require_volume(std::string_view op, const Tensor& input, const char* name, std::int64_t factor) {
  check(input.defined(), op, "the input is undefined");
  check(input.dim() >= 4 && input.dim() <= 5, op, "input has shape ", input.shape(),
        "; rank 5, (N, C, D, H, W), or 4 without a batch axis, is required");
  check(factor >= 1, op, name, " is ", factor, "; at least 1 is required");
}

}  // namespace

Tensor pixel_shuffle3d(const Tensor& input, std::int64_t r) {
  constexpr std::string_view op = "pixel_shuffle3d";
  require_volume(op, input, "upscale_factor", r);
  if (input.dim() == 4) return pixel_shuffle3d(input.unsqueeze(0), r).squeeze(0);
  const Shape& s = input.shape();
  const std::int64_t parts = checked_mul(op, "upscale_factor", checked_mul(op, "upscale_factor", r, r), r);
  check(s[1] % parts == 0, op, "upscale_factor is ", r, ", input ", s, " has ", s[1],
        " channels; a multiple of ", parts, " is required");
  const std::int64_t channels = s[1] / parts;
  const auto scaled = [&](std::size_t axis) { return checked_mul(op, "size", s[axis], r); };
  return input.reshape({s[0], channels, r, r, r, s[2], s[3], s[4]})
      .permute({0, 1, 5, 2, 6, 3, 7, 4})
      .reshape({s[0], channels, scaled(2), scaled(3), scaled(4)});
}

Tensor pixel_unshuffle3d(const Tensor& input, std::int64_t r) {
  constexpr std::string_view op = "pixel_unshuffle3d";
  require_volume(op, input, "downscale_factor", r);
  if (input.dim() == 4) return pixel_unshuffle3d(input.unsqueeze(0), r).squeeze(0);
  const Shape& s = input.shape();
  check(s[2] % r == 0 && s[3] % r == 0 && s[4] % r == 0, op, "downscale_factor is ", r, ", input has shape ",
        s, "; a common divisor of the spatial sizes is required");
  const std::int64_t parts =
      checked_mul(op, "downscale_factor", checked_mul(op, "downscale_factor", r, r), r);
  return input.reshape({s[0], s[1], s[2] / r, r, s[3] / r, r, s[4] / r, r})
      .permute({0, 1, 3, 5, 7, 2, 4, 6})
      .reshape({s[0], checked_mul(op, "channels", s[1], parts), s[2] / r, s[3] / r, s[4] / r});
}

namespace ops {

Op pixel_shuffle3d_op() {
  return {.name = "pixel_shuffle3d",
          .doc = "(N, C r^3, D, H, W) to (N, C, D r, H r, W r), r = upscale_factor",
          .inputs = {{"input"}},
          .defaults = default_options<ShuffleOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {lucid::pixel_shuffle3d(
                in[0], read_options<ShuffleOptions>("pixel_shuffle3d", options).upscale_factor)};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({2, 16, 1, 2, 3}, g)}, {{"upscale_factor", 2}}},
                    {{normal({8, 2, 1, 2}, g)}, {{"upscale_factor", 2}}},
                    {{normal({1, 2, 2, 2, 2}, g)}, {{"upscale_factor", 1}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({1, 4, 2, 2, 2}, f64)}, {{"upscale_factor", 2}}, "4 channels"},
                    {{ones({1, 8, 2, 2, 2}, f64)}, {{"upscale_factor", 0}}, "upscale_factor is 0"},
                    {{ones({8, 2, 2}, f64)}, {{"upscale_factor", 2}}, "(8, 2, 2)"}};
          },
          .linear_in = {0}};
}

Op pixel_unshuffle3d_op() {
  return {.name = "pixel_unshuffle3d",
          .doc = "(N, C, D r, H r, W r) to (N, C r^3, D, H, W), r = downscale_factor",
          .inputs = {{"input"}},
          .defaults = default_options<UnshuffleOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {lucid::pixel_unshuffle3d(
                in[0], read_options<UnshuffleOptions>("pixel_unshuffle3d", options).downscale_factor)};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({2, 2, 2, 4, 6}, g)}, {{"downscale_factor", 2}}},
                    {{normal({1, 2, 4, 2}, g)}, {{"downscale_factor", 2}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({1, 4, 2, 3, 2}, f64)}, {{"downscale_factor", 2}}, "(1, 4, 2, 3, 2)"},
                    {{ones({1, 8, 2, 2, 2}, f64)}, {{"downscale_factor", -1}}, "downscale_factor is -1"}};
          },
          .linear_in = {0}};
}

}  // namespace ops
}  // namespace lucid
