// Pooling over the last one, two or three axes: each element of the result reads a box of the input.

#include <algorithm>
#include <cmath>

#include "ops/reference/definitions.hpp"
#include "ops/reference/spatial.hpp"

namespace lucid::reference {
namespace {

using nlohmann::json;
using Positions = std::vector<std::int64_t>;

// For each axis and each place on it in the result, the input positions that are read there.
using Windows = std::vector<std::vector<Positions>>;

struct Options {
  Options(const json& o, std::size_t axes)
      : kernel(for_each_axis(o["kernel_size"], axes)),
        stride(o["stride"].is_null() ? kernel : for_each_axis(o["stride"], axes)),
        padding(for_each_axis(o["padding"], axes)),
        dilation(for_each_axis(o.contains("dilation") ? o["dilation"] : json(1), axes)),
        ceil_mode(o["ceil_mode"]) {}
  Positions kernel, stride, padding, dilation;
  bool ceil_mode;

  // PyTorch's documentation of MaxPool3d. With ceil_mode a window that would start in the padding behind
  // does not count.
  std::int64_t count(std::size_t axis, std::int64_t size) const {
    const double room =
        static_cast<double>(size + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1) /
        static_cast<double>(stride[axis]);
    const auto windows = static_cast<std::int64_t>(ceil_mode ? std::ceil(room) : std::floor(room)) + 1;
    return ceil_mode && start(axis, windows - 1) >= size ? windows - 1 : windows;
  }
  std::int64_t start(std::size_t axis, std::int64_t window) const {
    return window * stride[axis] - padding[axis];
  }
  Windows windows(const Shape& sizes) const {
    Windows out(sizes.size());
    for (std::size_t axis = 0; axis < sizes.size(); ++axis)
      for (std::int64_t o = 0; o < count(axis, sizes[axis]); ++o) {
        Positions read;
        for (std::int64_t k = 0; k < kernel[axis]; ++k) {
          const std::int64_t at = start(axis, o) + k * dilation[axis];
          if (at >= 0 && at < sizes[axis]) read.push_back(at);
        }
        out[axis].push_back(read);
      }
    return out;
  }
};

// Window o of O on an axis of size I spans floor(o I / O) to ceil((o + 1) I / O).
Windows adaptive_windows(const Shape& sizes, const json& output_size) {
  Windows out(sizes.size());
  for (std::size_t axis = 0; axis < sizes.size(); ++axis) {
    const json& wanted =
        output_size.is_array() ? output_size[output_size.size() == 1 ? 0 : axis] : output_size;
    const std::int64_t size = sizes[axis], count = wanted.is_null() ? size : wanted.get<std::int64_t>();
    for (std::int64_t o = 0; o < count; ++o) {
      Positions read;
      for (std::int64_t at = 0; at < size; ++at)
        if ((at + 1) * count > o * size && at * count < (o + 1) * size) read.push_back(at);
      out[axis].push_back(read);
    }
  }
  return out;
}

// f(indices into input, index into the result) for each element of the result.
template <class F>
Array pool(const Array& input, const Windows& windows, F&& f) {
  const Shape leading = leading_sizes(input.shape, windows.size());
  Shape shape = leading;
  for (const auto& axis : windows) shape.push_back(static_cast<std::int64_t>(axis.size()));
  return generate(shape, [&](const Index& index) {
    std::vector<Index> reads{
        Index(index.begin(), index.begin() + static_cast<std::ptrdiff_t>(leading.size()))};
    for (std::size_t axis = 0; axis < windows.size(); ++axis) {
      std::vector<Index> longer;
      for (const Index& read : reads)
        for (const std::int64_t at : windows[axis][static_cast<std::size_t>(index[leading.size() + axis])]) {
          longer.push_back(read);
          longer.back().push_back(at);
        }
      reads = longer;
    }
    return f(reads, index);
  });
}

// The largest values, and if wanted their positions: -1 where nothing is read.
Arrays largest(const Array& input, const Windows& windows, bool with_positions) {
  const auto find = [&](const std::vector<Index>& reads) {
    return std::max_element(reads.begin(), reads.end(),
                            [&](const Index& a, const Index& b) { return input.at(a) < input.at(b); });
  };
  Arrays out{pool(input, windows, [&](const std::vector<Index>& reads, const Index&) {
    return reads.empty() ? -INFINITY : input.at(*find(reads));
  })};
  if (with_positions)
    out.push_back(pool(input, windows, [&](const std::vector<Index>& reads, const Index&) {
      return reads.empty() ? -1.0
                           : static_cast<double>(spatial_position(input.shape, *find(reads), windows.size()));
    }));
  return out;
}

double sum_at(const Array& input, const std::vector<Index>& reads) {
  double sum = 0;
  for (const Index& read : reads) sum += input.at(read);
  return sum;
}

Definition max_pool(std::size_t axes) {
  return [axes](const Arrays& in, const json& o) -> Arrays {
    return largest(in[0], Options(o, axes).windows(spatial_sizes(in[0].shape, axes)), o["return_indices"]);
  };
}

Definition adaptive_max_pool(std::size_t axes) {
  return [axes](const Arrays& in, const json& o) -> Arrays {
    return largest(in[0], adaptive_windows(spatial_sizes(in[0].shape, axes), o["output_size"]),
                   o["return_indices"]);
  };
}

// The divisor of PyTorch's AvgPool3d: the part of the window that lies in the input, or in the input and its
// padding, or a number.
Definition avg_pool(std::size_t axes) {
  return [axes](const Arrays& in, const json& o) -> Arrays {
    const Options options(o, axes);
    const Shape sizes = spatial_sizes(in[0].shape, axes);
    return {pool(in[0], options.windows(sizes), [&](const std::vector<Index>& reads, const Index& index) {
      auto divisor = static_cast<double>(reads.size());
      if (!o["divisor_override"].is_null()) {
        divisor = o["divisor_override"];
      } else if (o["count_include_pad"]) {
        divisor = 1;
        for (std::size_t axis = 0; axis < axes; ++axis) {
          const std::int64_t start = options.start(axis, index[index.size() - axes + axis]);
          divisor *= static_cast<double>(
              std::min(start + options.kernel[axis], sizes[axis] + options.padding[axis]) - start);
        }
      }
      return sum_at(in[0], reads) / divisor;
    })};
  };
}

Definition adaptive_avg_pool(std::size_t axes) {
  return [axes](const Arrays& in, const json& o) -> Arrays {
    return {pool(in[0], adaptive_windows(spatial_sizes(in[0].shape, axes), o["output_size"]),
                 [&](const std::vector<Index>& reads, const Index&) {
                   return sum_at(in[0], reads) / static_cast<double>(reads.size());
                 })};
  };
}

Definition max_unpool(std::size_t axes) {
  return [axes](const Arrays& in, const json& o) -> Arrays {
    Shape sizes = spatial_sizes(in[0].shape, axes);
    if (o["output_size"].is_null()) {
      const auto kernel = for_each_axis(o["kernel_size"], axes), padding = for_each_axis(o["padding"], axes);
      const auto stride = o["stride"].is_null() ? kernel : for_each_axis(o["stride"], axes);
      for (std::size_t i = 0; i < axes; ++i)
        sizes[i] = (sizes[i] - 1) * stride[i] - 2 * padding[i] + kernel[i];
    } else {
      sizes = spatial_sizes(Shape(o["output_size"].get<std::vector<std::int64_t>>()), axes);
    }
    Array out(joined(leading_sizes(in[0].shape, axes), sizes));
    for_each_index(in[0].shape, [&](const Index& index) {
      auto at = static_cast<std::int64_t>(in[1].at(index));
      Index to = index;
      for (std::size_t i = axes; i-- > 0; at /= sizes[i]) to[to.size() - axes + i] = at % sizes[i];
      out.at(to) = in[0].at(index);
    });
    return {out};
  };
}

}  // namespace

void define_pooling(Definitions& d) {
  for (const std::size_t axes : {1, 2, 3}) {
    const std::string suffix = std::to_string(axes) + "d";
    d["max_pool" + suffix] = max_pool(axes);
    d["avg_pool" + suffix] = avg_pool(axes);
    d["adaptive_max_pool" + suffix] = adaptive_max_pool(axes);
    d["adaptive_avg_pool" + suffix] = adaptive_avg_pool(axes);
    d["max_unpool" + suffix] = max_unpool(axes);
  }
}

}  // namespace lucid::reference
