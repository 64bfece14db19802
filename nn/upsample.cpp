#include "nn/upsample.hpp"

#include "nn/layer_checks.hpp"

namespace lucid::nn {
namespace {

const char* name_of(InterpolateMode mode) {
  switch (mode) {
    case InterpolateMode::nearest: return "nearest";
    case InterpolateMode::nearest_exact: return "nearest-exact";
    case InterpolateMode::linear: return "linear";
    case InterpolateMode::bilinear: return "bilinear";
    case InterpolateMode::trilinear: return "trilinear";
    case InterpolateMode::area: return "area";
  }
  return "?";
}

std::string text(std::int64_t size) { return str(size); }
std::string text(double factor) { return detail::python(factor); }

template <class T>
std::string list(const std::vector<T>& values) {
  if (values.size() == 1) return text(values[0]);
  std::string out;
  for (const T& value : values) out += str(out.empty() ? "" : ", ", text(value));
  return str("(", out, ")");
}

}  // namespace

Upsample::Upsample(const InterpolateOptions& options_) : options(options_) {
  check(options.size.empty() != options.scale_factor.empty(), "Upsample",
        "exactly one of size and scale_factor must be given");
  for (std::int64_t size : options.size)
    check(size >= 1, "Upsample", "size is ", size, "; at least 1 is required");
  for (double factor : options.scale_factor)
    check(factor > 0, "Upsample", "scale_factor is ", factor, "; it must be positive");
}

Tensor Upsample::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return interpolate(input, options);
}

std::string Upsample::extra_repr() const {
  const std::string extent = options.size.empty() ? lucid::str("scale_factor=", list(options.scale_factor))
                                                  : lucid::str("size=", list(options.size));
  return lucid::str(extent, ", mode=", name_of(options.mode));
}

UpsamplingNearest2d::UpsamplingNearest2d(const UpsamplingOptions& given)
    : Upsample({.size = given.size, .scale_factor = given.scale_factor}) {}

UpsamplingBilinear2d::UpsamplingBilinear2d(const UpsamplingOptions& given)
    : Upsample({.size = given.size,
                .scale_factor = given.scale_factor,
                .mode = InterpolateMode::bilinear,
                .align_corners = true}) {}

detail::ShuffleLayer::ShuffleLayer(std::string_view name, const char* factor_name, std::int64_t factor)
    : factor_(factor), factor_name_(factor_name) {
  check_at_least(name, factor_name, factor, 1);
}
std::string detail::ShuffleLayer::extra_repr() const { return lucid::str(factor_name_, "=", factor_); }

Tensor PixelShuffle::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return pixel_shuffle(input, factor_);
}

Tensor PixelUnshuffle::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return pixel_unshuffle(input, factor_);
}

Tensor PixelShuffle3d::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return pixel_shuffle3d(input, factor_);
}

Tensor PixelUnshuffle3d::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return pixel_unshuffle3d(input, factor_);
}

}  // namespace lucid::nn
