#include "nn/upsample.hpp"

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

template <class T>
std::string list(const std::vector<T>& values) {
  if (values.size() == 1) return lucid::str(values[0]);
  std::string out;
  for (const T& value : values) out += lucid::str(out.empty() ? "" : ", ", value);
  return lucid::str("(", out, ")");
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

}  // namespace lucid::nn
