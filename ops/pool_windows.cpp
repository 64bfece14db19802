#include "ops/pool_windows.hpp"

#include <algorithm>

namespace lucid::ops {
namespace {

constexpr std::int64_t kMostTaps = std::int64_t{1} << 26;
constexpr const char* kAxes[] = {"D", "H", "W"};

void require_positive(std::string_view op, const char* name, const std::array<std::int64_t, 3>& values,
                      std::int64_t least) {
  for (std::size_t axis = 0; axis < 3; ++axis)
    check(values[axis] >= least, op, name, " is ", values[axis], " on axis ", kAxes[axis], "; at least ",
          least, " is required");
}

// (in + 2 padding - dilation (kernel - 1) - 1) / stride + 1, rounded down or up; a window rounded up to that
// would start in the right padding does not count.
std::int64_t window_count(std::string_view op, std::int64_t in, const Windows& w, std::size_t axis) {
  const std::int64_t padded =
      checked_add(op, "padded size", in, checked_mul(op, "padding", 2, w.padding[axis]));
  const std::int64_t extent =
      checked_add(op, "window", checked_mul(op, "window", w.dilation[axis], w.kernel[axis] - 1), 1);
  const std::int64_t room = padded - extent;
  if (room < 0 && !(w.ceil_mode && room > -w.stride[axis])) return 0;
  std::int64_t count = room < 0 ? 1 : room / w.stride[axis] + 1;
  if (room >= 0 && w.ceil_mode && room % w.stride[axis] != 0) ++count;
  const std::int64_t last =
      checked_mul(op, "window start", std::max<std::int64_t>(count - 1, 0), w.stride[axis]);
  if (w.ceil_mode && last >= in + w.padding[axis]) --count;
  if (count > 0)
    require_listable(op, axis, checked_mul(op, "window positions", count, std::min(in, w.kernel[axis])));
  return count;
}

}  // namespace

void require_listable(std::string_view op, std::size_t axis, std::int64_t count) {
  check(count <= kMostTaps, op, "axis ", kAxes[axis], " reads ", count, " positions; at most ", kMostTaps,
        " are supported");
}

Shape pooled_shape(std::string_view op, const Tensor& volume, const Windows& w) {
  require_positive(op, "kernel_size", w.kernel, 1);
  require_positive(op, "stride", w.stride, 1);
  require_positive(op, "dilation", w.dilation, 1);
  require_positive(op, "padding", w.padding, 0);
  Shape out = volume.shape();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    check(w.padding[axis] <= w.kernel[axis] / 2, op, "padding is ", w.padding[axis], " on axis ", kAxes[axis],
          ", kernel_size ", w.kernel[axis], "; at most half of the kernel is allowed");
    const std::int64_t in = volume.shape()[2 + axis];
    check(in >= 1, op, "input has size ", in, " on axis ", kAxes[axis], "; at least 1 is required");
    out[2 + axis] = window_count(op, in, w, axis);
    check(out[2 + axis] >= 1, op, "kernel_size ", w.kernel[axis], " with dilation ", w.dilation[axis],
          " and padding ", w.padding[axis], " does not fit the input of size ", in, " on axis ", kAxes[axis]);
  }
  return out;
}

kernels::SpatialTaps window_taps(const Tensor& volume, const Windows& w, const Shape& out) {
  kernels::SpatialTaps taps;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::int64_t in = volume.shape()[2 + axis], step = w.dilation[axis];
    taps[axis].inputs = in;
    for (std::int64_t o = 0; o < out[2 + axis]; ++o) {
      const std::int64_t start = o * w.stride[axis] - w.padding[axis];
      const std::int64_t end = start + (w.kernel[axis] - 1) * step;
      const std::int64_t first = start < 0 ? start + (-start + step - 1) / step * step : start;
      for (std::int64_t i = first; i <= std::min(end, in - 1); i += step) taps[axis].add(i, 1.0);
      taps[axis].finish_output();
    }
  }
  return taps;
}

kernels::SpatialTaps average_taps(const Tensor& volume, const Windows& w, const Shape& out,
                                  const AvgDivisor& divisor) {
  kernels::SpatialTaps taps = window_taps(volume, w, out);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::int64_t limit = volume.shape()[2 + axis] + w.padding[axis];
    for (std::int64_t o = 0; o < out[2 + axis]; ++o) {
      const auto begin = static_cast<std::size_t>(taps[axis].begin[static_cast<std::size_t>(o)]);
      const auto end = static_cast<std::size_t>(taps[axis].begin[static_cast<std::size_t>(o) + 1]);
      double size = static_cast<double>(end - begin);
      if (divisor.fixed) {
        size = axis == 0 ? static_cast<double>(*divisor.fixed) : 1.0;
      } else if (divisor.count_include_pad) {
        const std::int64_t start = o * w.stride[axis] - w.padding[axis];
        size = static_cast<double>(std::min(start + w.kernel[axis], limit) - start);
      }
      for (std::size_t k = begin; k < end; ++k) taps[axis].weight[k] = 1.0 / size;
    }
  }
  return taps;
}

Shape adaptive_shape(std::string_view op, const Tensor& volume,
                     std::span<const std::optional<std::int64_t>> sizes) {
  Shape out = volume.shape();
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::size_t axis = 5 - sizes.size() + i;
    const std::int64_t in = volume.shape()[axis];
    check(in >= 1, op, "input has size ", in, " on axis ", kAxes[axis - 2], "; at least 1 is required");
    out[axis] = sizes[i].value_or(in);
    check(out[axis] >= 0, op, "output_size is ", out[axis], " on axis ", kAxes[axis - 2],
          "; at least 0, or null for the input's size, is required");
    require_listable(op, axis - 2, checked_add(op, "output_size", in, out[axis]));
  }
  checked_numel(op, out);
  return out;
}

kernels::SpatialTaps adaptive_taps(const Tensor& volume, const Shape& out) {
  kernels::SpatialTaps taps;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::int64_t in = volume.shape()[2 + axis], count = out[2 + axis];
    taps[axis].inputs = in;
    // o * in / count without the product, which may not fit
    const auto floor_of = [&](std::int64_t o) { return in / count * o + in % count * o / count; };
    for (std::int64_t o = 0; o < count; ++o) {
      const std::int64_t start = floor_of(o);
      const std::int64_t rest = in % count * (o + 1);
      const std::int64_t end = in / count * (o + 1) + rest / count + (rest % count != 0);
      for (std::int64_t i = start; i < end; ++i) taps[axis].add(i, 1.0 / static_cast<double>(end - start));
      taps[axis].finish_output();
    }
  }
  return taps;
}

}  // namespace lucid::ops
