// Resizing of (N, C, spatial...), one axis at a time; and the rearrangements between channels and space.

#include <algorithm>
#include <cmath>

#include "ops/reference/definitions.hpp"
#include "ops/reference/spatial.hpp"

namespace lucid::reference {
namespace {

using nlohmann::json;

// What an element at place `at` of one axis takes from each element of that axis of the input.
using Shares = std::vector<double>;

struct Axis {
  double in, out;
  double step;  // input elements for one of the result

  // As PyTorch's documentation of Upsample has it: with align_corners the outermost elements lie on each
  // other, else the elements are cells.
  Shares linear(double at, bool align_corners) const {
    double source = align_corners ? (out > 1 ? at * (in - 1) / (out - 1) : 0) : (at + 0.5) * step - 0.5;
    if (in == out) source = at;
    source = std::clamp(source, 0.0, in - 1);
    Shares shares;
    for (double i = 0; i < in; ++i) shares.push_back(std::max(0.0, 1 - std::fabs(source - i)));
    return shares;
  }
  Shares nearest(double source) const {
    Shares shares(static_cast<std::size_t>(in));
    shares[static_cast<std::size_t>(std::min(std::floor(source * step), in - 1))] = 1;
    return shares;
  }
  // Means over the windows of adaptive pooling.
  Shares area(double at) const {
    Shares shares;
    const double first = std::floor(at * in / out), end = std::ceil((at + 1) * in / out);
    for (double i = 0; i < in; ++i) shares.push_back(i >= first && i < end ? 1 / (end - first) : 0);
    return shares;
  }
  Shares at(double at, const json& o) const {
    const std::string mode = o["mode"];
    if (mode == "area") return area(at);
    if (mode == "nearest") return nearest(at);
    if (mode == "nearest-exact") return nearest(at + 0.5);
    return linear(at, o["align_corners"] == true);
  }
};

Axis axis_of_call(double in, std::size_t axis, std::size_t axes, const json& o) {
  if (!o["size"].is_null()) {
    const double out = for_each_axis<double>(o["size"], axes)[axis];
    return {in, out, in / out};
  }
  const double factor = for_each_axis<double>(o["scale_factor"], axes)[axis], out = std::floor(in * factor);
  return {in, out, o["recompute_scale_factor"] == true ? in / out : 1 / factor};
}

Array resized(const Array& input, std::size_t axis, const Axis& by, const json& o) {
  Shape shape = input.shape;
  shape[axis] = static_cast<std::int64_t>(by.out);
  return generate(shape, [&](const Index& index) {
    const Shares shares = by.at(static_cast<double>(index[axis]), o);
    double sum = 0;
    Index from = index;
    for (from[axis] = 0; from[axis] < input.shape[axis]; ++from[axis])
      sum += shares[static_cast<std::size_t>(from[axis])] * input.at(from);
    return sum;
  });
}

Arrays interpolate(const Arrays& in, const json& o) {
  const std::size_t axes = in[0].rank() - 2;
  Array out = in[0];
  for (std::size_t axis = 0; axis < axes; ++axis)
    out = resized(out, 2 + axis, axis_of_call(static_cast<double>(out.shape[2 + axis]), axis, axes, o), o);
  return {out};
}

std::int64_t power(std::int64_t r, std::size_t axes) {
  std::int64_t out = 1;
  for (std::size_t i = 0; i < axes; ++i) out *= r;
  return out;
}

// Where the element at `index` of ([N,] C, D r, H r, W r) lies in ([N,] C r^3, D, H, W), and the same for two
// axes: PyTorch's documentation of PixelShuffle, with depth in front.
Index shuffled_from(Index index, std::size_t axes, std::int64_t r) {
  std::int64_t part = 0;
  for (std::size_t i = index.size() - axes; i < index.size(); ++i) {
    part = part * r + index[i] % r;
    index[i] /= r;
  }
  std::int64_t& channel = index[index.size() - axes - 1];
  channel = channel * power(r, axes) + part;
  return index;
}

Definition pixel_shuffle(std::size_t axes) {
  return [axes](const Arrays& in, const json& o) -> Arrays {
    const std::int64_t r = o["upscale_factor"];
    Shape shape = in[0].shape;
    for (std::size_t i = shape.size() - axes; i < shape.size(); ++i) shape[i] *= r;
    shape[shape.size() - axes - 1] /= power(r, axes);
    return {generate(shape, [&](const Index& index) { return in[0].at(shuffled_from(index, axes, r)); })};
  };
}

Definition pixel_unshuffle(std::size_t axes) {
  return [axes](const Arrays& in, const json& o) -> Arrays {
    const std::int64_t r = o["downscale_factor"];
    Shape shape = in[0].shape;
    for (std::size_t i = shape.size() - axes; i < shape.size(); ++i) shape[i] /= r;
    shape[shape.size() - axes - 1] *= power(r, axes);
    Array out(shape);
    for_each_index(in[0].shape,
                   [&](const Index& index) { out.at(shuffled_from(index, axes, r)) = in[0].at(index); });
    return {out};
  };
}

}  // namespace

void define_resizing(Definitions& d) {
  d["interpolate"] = interpolate;
  d["pixel_shuffle"] = pixel_shuffle(2);
  d["pixel_unshuffle"] = pixel_unshuffle(2);
  d["pixel_shuffle3d"] = pixel_shuffle(3);
  d["pixel_unshuffle3d"] = pixel_unshuffle(3);
}

}  // namespace lucid::reference
