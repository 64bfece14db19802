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

template <std::size_t N>
void require_spatial(std::string_view op, const Tensor& input, const char* name, std::int64_t factor) {
  constexpr const char* shapes = N == 2 ? "(N, C, H, W)" : "(N, C, D, H, W)";
  check(input.defined(), op, "the input is undefined");
  check(input.dim() == N + 1 || input.dim() == N + 2, op, "input has shape ", input.shape(), "; rank ", N + 2,
        ", ", shapes, ", or ", N + 1, " without a batch axis, is required");
  check(factor >= 1, op, name, " is ", factor, "; at least 1 is required");
}

template <std::size_t N>
std::int64_t power(std::string_view op, const char* name, std::int64_t r) {
  std::int64_t out = 1;
  for (std::size_t i = 0; i < N; ++i) out = checked_mul(op, name, out, r);
  return out;
}

template <std::size_t N>
Tensor shuffle(std::string_view op, const Tensor& input, std::int64_t r) {
  require_spatial<N>(op, input, "upscale_factor", r);
  if (input.dim() == N + 1) return shuffle<N>(op, input.unsqueeze(0), r).squeeze(0);
  const Shape& s = input.shape();
  const std::int64_t parts = power<N>(op, "upscale_factor", r);
  check(s[1] % parts == 0, op, "upscale_factor is ", r, ", input ", s, " has ", s[1],
        " channels; a multiple of ", parts, " is required");
  Shape split{s[0], s[1] / parts}, order{0, 1}, out{s[0], s[1] / parts};
  for (std::size_t i = 0; i < N; ++i) split.push_back(r);
  for (std::size_t i = 0; i < N; ++i) {
    split.push_back(s[2 + i]);
    order.push_back(static_cast<std::int64_t>(2 + N + i));  // each size before its part
    order.push_back(static_cast<std::int64_t>(2 + i));
    out.push_back(checked_mul(op, "size", s[2 + i], r));
  }
  return input.reshape(split).permute(order).reshape(out);
}

template <std::size_t N>
Tensor unshuffle(std::string_view op, const Tensor& input, std::int64_t r) {
  require_spatial<N>(op, input, "downscale_factor", r);
  if (input.dim() == N + 1) return unshuffle<N>(op, input.unsqueeze(0), r).squeeze(0);
  const Shape& s = input.shape();
  const std::int64_t parts = power<N>(op, "downscale_factor", r);
  Shape split{s[0], s[1]}, order{0, 1}, out{s[0], checked_mul(op, "channels", s[1], parts)};
  for (std::size_t i = 0; i < N; ++i) {
    check(s[2 + i] % r == 0, op, "downscale_factor is ", r, ", input has shape ", s,
          "; a common divisor of the spatial sizes is required");
    split.push_back(s[2 + i] / r);
    split.push_back(r);
    order.push_back(static_cast<std::int64_t>(3 + 2 * i));  // the parts, then the sizes
    out.push_back(s[2 + i] / r);
  }
  for (std::size_t i = 0; i < N; ++i) order.push_back(static_cast<std::int64_t>(2 + 2 * i));
  return input.reshape(split).permute(order).reshape(out);
}

}  // namespace

Tensor pixel_shuffle(const Tensor& input, std::int64_t upscale_factor) {
  return shuffle<2>("pixel_shuffle", input, upscale_factor);
}
Tensor pixel_unshuffle(const Tensor& input, std::int64_t downscale_factor) {
  return unshuffle<2>("pixel_unshuffle", input, downscale_factor);
}
Tensor pixel_shuffle3d(const Tensor& input, std::int64_t upscale_factor) {
  return shuffle<3>("pixel_shuffle3d", input, upscale_factor);
}
Tensor pixel_unshuffle3d(const Tensor& input, std::int64_t downscale_factor) {
  return unshuffle<3>("pixel_unshuffle3d", input, downscale_factor);
}

namespace ops {
namespace {

using Function = Tensor (*)(const Tensor&, std::int64_t);

// `shape` or, for two spatial axes, without its third size.
template <std::size_t N>
Shape of_rank(Shape shape, std::size_t depth) {
  if (N == 3) return shape;
  Shape out;
  for (std::size_t i = 0; i < shape.size(); ++i)
    if (i != depth) out.push_back(shape[i]);
  return out;
}

template <std::size_t N>
Op shuffle_op(std::string name, std::string doc, Function function) {
  static constexpr std::int64_t parts = N == 2 ? 4 : 8;
  return {.name = name,
          .doc = std::move(doc),
          .inputs = {{"input"}},
          .defaults = default_options<ShuffleOptions>(),
          .call = [name, function](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {function(in[0], read_options<ShuffleOptions>(name, options).upscale_factor)};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal(of_rank<N>({2, 2 * parts, 1, 2, 3}, 2), g)}, {{"upscale_factor", 2}}},
                    {{normal(of_rank<N>({parts, 2, 1, 2}, 1), g)}, {{"upscale_factor", 2}}},
                    {{normal(of_rank<N>({1, 2, 2, 2, 2}, 2), g)}, {{"upscale_factor", 1}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            const Tensor x = ones(of_rank<N>({1, parts, 2, 2, 2}, 2), f64);
            const Tensor few = ones(of_rank<N>({1, parts / 2, 2, 2, 2}, 2), f64);
            return {{{few}, {{"upscale_factor", 2}}, str(parts / 2, " channels")},
                    {{x}, {{"upscale_factor", 0}}, "upscale_factor is 0"},
                    {{ones({8, 2}, f64)}, {{"upscale_factor", 2}}, "(8, 2)"}};
          },
          .linear_in = {0}};
}

template <std::size_t N>
Op unshuffle_op(std::string name, std::string doc, Function function) {
  return {.name = name,
          .doc = std::move(doc),
          .inputs = {{"input"}},
          .defaults = default_options<UnshuffleOptions>(),
          .call = [name, function](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {function(in[0], read_options<UnshuffleOptions>(name, options).downscale_factor)};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal(of_rank<N>({2, 2, 2, 4, 6}, 2), g)}, {{"downscale_factor", 2}}},
                    {{normal(of_rank<N>({1, 2, 4, 2}, 1), g)}, {{"downscale_factor", 2}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            const Shape odd = of_rank<N>({1, 4, 2, 3, 2}, 2);
            const Tensor x = ones(of_rank<N>({1, 8, 2, 2, 2}, 2), f64);
            return {{{ones(odd, f64)}, {{"downscale_factor", 2}}, odd.str()},
                    {{x}, {{"downscale_factor", -1}}, "downscale_factor is -1"}};
          },
          .linear_in = {0}};
}

}  // namespace

Op pixel_shuffle_op() {
  return shuffle_op<2>("pixel_shuffle", "(N, C r^2, H, W) to (N, C, H r, W r), r = upscale_factor",
                       lucid::pixel_shuffle);
}
Op pixel_unshuffle_op() {
  return unshuffle_op<2>("pixel_unshuffle", "(N, C, H r, W r) to (N, C r^2, H, W), r = downscale_factor",
                         lucid::pixel_unshuffle);
}
Op pixel_shuffle3d_op() {
  return shuffle_op<3>("pixel_shuffle3d", "(N, C r^3, D, H, W) to (N, C, D r, H r, W r), r = upscale_factor",
                       lucid::pixel_shuffle3d);
}
Op pixel_unshuffle3d_op() {
  return unshuffle_op<3>("pixel_unshuffle3d",
                         "(N, C, D r, H r, W r) to (N, C r^3, D, H, W), r = downscale_factor",
                         lucid::pixel_unshuffle3d);
}

}  // namespace ops
}  // namespace lucid
