#include "ops/reference/conv.hpp"

#include <algorithm>

#include "ops/kernels/elementwise.hpp"
#include "ops/reference/rows.hpp"

namespace lucid::reference {
namespace {

// Items of a loop that are worth a thread, when `work` multiplications are shared by `items`.
std::int64_t grain_of(double work, std::int64_t items) {
  constexpr double kWorthAThread = 1 << 16;
  return static_cast<std::int64_t>(kWorthAThread * static_cast<double>(items) / (work + 1.0)) + 1;
}

struct Range {
  std::int64_t begin, end;
  bool empty() const { return begin >= end; }
};

// The i in [0, count) for which 0 <= i * stride + shift < size.
Range positions(std::int64_t count, std::int64_t stride, std::int64_t shift, std::int64_t size) {
  const std::int64_t begin = shift >= 0 ? 0 : (-shift - 1) / stride + 1;
  const std::int64_t room = size - 1 - shift;
  const std::int64_t end = room < 0 ? 0 : std::min(count, room / stride + 1);
  return {begin, end};
}

// One axis of the form: position i of y meets position i * stride + shift(k) of x at tap k.
struct AxisMap {
  std::int64_t stride, padding, dilation, x, kernel, y;
  AxisMap(const ops::ConvGeometry& g, std::size_t axis)
      : stride(g.stride[axis]),
        padding(g.padding[axis]),
        dilation(g.dilation[axis]),
        x(g.x[axis]),
        kernel(g.kernel[axis]),
        y(g.y[axis]) {}

  std::int64_t shift(std::int64_t k) const { return k * dilation - padding; }
  Range y_range(std::int64_t k) const { return positions(y, stride, shift(k), x); }
  /// The x position of i, or -1 when it lies outside.
  std::int64_t x_of(std::int64_t i, std::int64_t k) const {
    const std::int64_t at = i * stride + shift(k);
    return at >= 0 && at < x ? at : -1;
  }
  /// The y position whose tap k lies at `at`, or -1 when there is none.
  std::int64_t y_of(std::int64_t at, std::int64_t k) const {
    const std::int64_t scaled = at - shift(k);
    if (scaled < 0 || scaled % stride != 0) return -1;
    return scaled / stride < y ? scaled / stride : -1;
  }
};

struct Maps {
  AxisMap d, h, w;
  explicit Maps(const ops::ConvGeometry& g) : d(g, 0), h(g, 1), w(g, 2) {}
  std::int64_t tap(std::int64_t kd, std::int64_t kh, std::int64_t kw) const {
    return (kd * h.kernel + kh) * w.kernel + kw;
  }
};

// [group][tap][contracted channel][produced channel, padded to whole vectors]; depthwise: [tap][channel].
template <class T>
class PackedWeight {
 public:
  PackedWeight(const ConvProblem& p, const Tensor& weight, bool transposed)
      : depth_(transposed ? p.y_channels : p.x_channels),
        columns_(padded_to_lanes(transposed ? p.x_channels : p.y_channels, kLanes<T>)),
        taps_(p.taps()) {
    buffer_ = zeros({p.geometry.groups, taps_, depth_, columns_}, dtype_of<T>());
    const T* from = weight.data<T>();
    T* to = buffer_.mutable_data<T>();
    const Strides& s = weight.strides();
    const Dims3& kernel = p.geometry.kernel;
    parallel_for(p.geometry.groups * taps_,
                 grain_of(static_cast<double>(weight.numel()), p.geometry.groups * taps_),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) {
                     const std::int64_t group = i / taps_, tap = i % taps_;
                     const std::int64_t kw = tap % kernel[2], kh = tap / kernel[2] % kernel[1],
                                        kd = tap / kernel[2] / kernel[1];
                     const T* at = from + group * p.y_channels * s[0] + kd * s[2] + kh * s[3] + kw * s[4];
                     for (std::int64_t y = 0; y < p.y_channels; ++y)
                       for (std::int64_t x = 0; x < p.x_channels; ++x)
                         to[(i * depth_ + (transposed ? y : x)) * columns_ + (transposed ? x : y)] =
                             at[y * s[0] + x * s[1]];
                   }
                 });
    data_ = to;
  }
  const T* at(std::int64_t group, std::int64_t tap) const {
    return data_ + (group * taps_ + tap) * depth_ * columns_;
  }
  std::int64_t row() const { return columns_; }

 private:
  Tensor buffer_;
  const T* data_ = nullptr;
  std::int64_t depth_, columns_, taps_;
};

// [tap][channel] of a weight with one input and one output channel in each group.
template <class T>
std::vector<T> depthwise_weight(const ConvProblem& p, const Tensor& weight) {
  const T* from = weight.data<T>();
  const Strides& s = weight.strides();
  std::vector<T> out;
  out.reserve(static_cast<std::size_t>(p.taps() * p.geometry.groups));
  for (std::int64_t kd = 0; kd < p.geometry.kernel[0]; ++kd)
    for (std::int64_t kh = 0; kh < p.geometry.kernel[1]; ++kh)
      for (std::int64_t kw = 0; kw < p.geometry.kernel[2]; ++kw)
        for (std::int64_t c = 0; c < p.geometry.groups; ++c)
          out.push_back(from[c * s[0] + kd * s[2] + kh * s[3] + kw * s[4]]);
  return out;
}

template <class T>
void fill_row(T* row, std::int64_t voxels, std::int64_t channels, const T* bias) {
  if (!bias) {
    std::fill(row, row + voxels * channels, T(0));
    return;
  }
  for (std::int64_t i = 0; i < voxels; ++i) std::copy(bias, bias + channels, row + i * channels);
}

// Calls f(row index, n, d, h) for every (n, d, h), the row index counting them.
template <class F>
void for_rows(const ConvProblem& p, const Dims3& sizes, F&& f) {
  const std::int64_t depth = sizes[0], height = sizes[1], rows = p.batch * depth * height;
  parallel_for(rows, grain_of(p.work(), rows), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      f(row, row / height / depth, row / height % depth, row % height);
  });
}

// Adds one tap of all groups to a row of voxels: `columns` of c at c_row apart from `depth` of a at a_row
// apart.
template <class T>
struct TapAdder {
  const ConvProblem& problem;
  bool transposed;
  PackedWeight<T> packed;
  std::vector<T> depthwise;

  TapAdder(const ConvProblem& p, const Tensor& weight, bool is_transposed)
      : problem(p), transposed(is_transposed), packed(p, weight, is_transposed) {
    if (p.is_depthwise()) depthwise = depthwise_weight<T>(p, weight);
  }

  void add(const T* a, std::int64_t a_row, T* c, std::int64_t c_row, std::int64_t rows,
           std::int64_t tap) const {
    const std::int64_t groups = problem.geometry.groups;
    if (!depthwise.empty())
      return add_scaled_rows(a, a_row, depthwise.data() + tap * groups, c, c_row, rows, groups);
    const std::int64_t depth = transposed ? problem.y_channels : problem.x_channels;
    const std::int64_t columns = transposed ? problem.x_channels : problem.y_channels;
    for (std::int64_t group = 0; group < groups; ++group)
      add_product<T>({a + group * depth, a_row, 1, packed.at(group, tap), packed.row(), c + group * columns,
                      c_row, rows, depth, columns});
  }
};

template <class T>
void forward(const ConvProblem& p, const Tensor& input, const Tensor& weight, const Tensor& bias,
             const Tensor& out) {
  const Maps maps(p.geometry);
  const TapAdder<T> taps(p, weight, false);
  const T* x = input.data<T>();
  const T* b = bias.defined() ? bias.data<T>() : nullptr;
  T* y = out.mutable_data<T>();
  const std::int64_t x_row = p.x_row(), y_row = p.y_row();
  for_rows(p, p.geometry.y, [&](std::int64_t row, std::int64_t n, std::int64_t d, std::int64_t h) {
    T* target = y + row * maps.w.y * y_row;
    fill_row(target, maps.w.y, y_row, b);
    for (std::int64_t kd = 0; kd < maps.d.kernel; ++kd) {
      const std::int64_t xd = maps.d.x_of(d, kd);
      if (xd < 0) continue;
      for (std::int64_t kh = 0; kh < maps.h.kernel; ++kh) {
        const std::int64_t xh = maps.h.x_of(h, kh);
        if (xh < 0) continue;
        const T* source = x + ((n * maps.d.x + xd) * maps.h.x + xh) * maps.w.x * x_row;
        for (std::int64_t kw = 0; kw < maps.w.kernel; ++kw) {
          const Range range = maps.w.y_range(kw);
          if (range.empty()) continue;
          taps.add(source + (range.begin * maps.w.stride + maps.w.shift(kw)) * x_row, maps.w.stride * x_row,
                   target + range.begin * y_row, y_row, range.end - range.begin, maps.tap(kd, kh, kw));
        }
      }
    }
  });
}

template <class T>
void transpose(const ConvProblem& p, const Tensor& input, const Tensor& weight, const Tensor& bias,
               const Tensor& out) {
  const Maps maps(p.geometry);
  const TapAdder<T> taps(p, weight, true);
  const T* y = input.data<T>();
  const T* b = bias.defined() ? bias.data<T>() : nullptr;
  T* x = out.mutable_data<T>();
  const std::int64_t x_row = p.x_row(), y_row = p.y_row();
  for_rows(p, p.geometry.x, [&](std::int64_t row, std::int64_t n, std::int64_t d, std::int64_t h) {
    T* target = x + row * maps.w.x * x_row;
    fill_row(target, maps.w.x, x_row, b);
    for (std::int64_t kd = 0; kd < maps.d.kernel; ++kd) {
      const std::int64_t yd = maps.d.y_of(d, kd);
      if (yd < 0) continue;
      for (std::int64_t kh = 0; kh < maps.h.kernel; ++kh) {
        const std::int64_t yh = maps.h.y_of(h, kh);
        if (yh < 0) continue;
        const T* source = y + ((n * maps.d.y + yd) * maps.h.y + yh) * maps.w.y * y_row;
        for (std::int64_t kw = 0; kw < maps.w.kernel; ++kw) {
          const Range range = maps.w.y_range(kw);
          if (range.empty()) continue;
          taps.add(source + range.begin * y_row, y_row,
                   target + (range.begin * maps.w.stride + maps.w.shift(kw)) * x_row, maps.w.stride * x_row,
                   range.end - range.begin, maps.tap(kd, kh, kw));
        }
      }
    }
  });
}

// The gradient of a block of x channels of one group's weight at one tap, summed over all positions. Within
// one plane sums stay in T; planes are added in double.
template <class T>
class WeightBlock {
 public:
  static constexpr std::int64_t kChannels = 16;

  WeightBlock(const ConvProblem& p, const T* x, const T* y)
      : p_(p),
        maps_(p.geometry),
        x_(x),
        y_(y),
        columns_(padded_to_lanes(p.y_channels, kLanes<T>)),
        padded_row_(columns_ != p.y_channels),
        plane_(kChannels * columns_),
        total_(kChannels * columns_) {
    if (padded_row_) row_.resize(static_cast<std::size_t>(maps_.w.y * columns_));
  }

  /// total()[c * columns() + f] for x channels [first, first + count).
  void run(std::int64_t group, std::int64_t tap, std::int64_t first, std::int64_t count) {
    std::fill(total_.begin(), total_.end(), 0.0);
    const std::int64_t kw = tap % maps_.w.kernel, kh = tap / maps_.w.kernel % maps_.h.kernel,
                       kd = tap / maps_.w.kernel / maps_.h.kernel;
    const Range depth = maps_.d.y_range(kd), height = maps_.h.y_range(kh), width = maps_.w.y_range(kw);
    if (depth.empty() || height.empty() || width.empty()) return;
    for (std::int64_t n = 0; n < p_.batch; ++n)
      for (std::int64_t d = depth.begin; d < depth.end; ++d) {
        std::fill(plane_.begin(), plane_.end(), T(0));
        for (std::int64_t h = height.begin; h < height.end; ++h)
          add_row(((n * maps_.d.x + maps_.d.x_of(d, kd)) * maps_.h.x + maps_.h.x_of(h, kh)) * maps_.w.x,
                  ((n * maps_.d.y + d) * maps_.h.y + h) * maps_.w.y, kw, width, group, first, count);
        for (std::size_t i = 0; i < total_.size(); ++i) total_[i] += plane_[i];
      }
  }
  const std::vector<double>& total() const { return total_; }
  std::int64_t columns() const { return columns_; }

 private:
  void add_row(std::int64_t x_voxel, std::int64_t y_voxel, std::int64_t kw, Range width, std::int64_t group,
               std::int64_t first, std::int64_t count) {
    const std::int64_t voxels = width.end - width.begin;
    const T* y = y_ + (y_voxel + width.begin) * p_.y_row() + group * p_.y_channels;
    std::int64_t y_row = p_.y_row();
    if (padded_row_) {
      for (std::int64_t i = 0; i < voxels; ++i)
        std::copy(y + i * y_row, y + i * y_row + p_.y_channels, row_.begin() + i * columns_);
      y = row_.data();
      y_row = columns_;
    }
    const std::int64_t at = x_voxel + width.begin * maps_.w.stride + maps_.w.shift(kw);
    add_product<T>({x_ + at * p_.x_row() + group * p_.x_channels + first, 1, maps_.w.stride * p_.x_row(), y,
                    y_row, plane_.data(), columns_, count, voxels, columns_});
  }

  const ConvProblem& p_;
  Maps maps_;
  const T* x_;
  const T* y_;
  std::int64_t columns_;
  bool padded_row_;
  std::vector<T> row_, plane_;
  std::vector<double> total_;
};

// Pointer to element (y channel of the whole weight, x channel, tap) of a strided weight.
template <class T>
T* weight_at(T* weight, const Strides& s, const Dims3& kernel, std::int64_t y, std::int64_t x,
             std::int64_t tap) {
  return weight + y * s[0] + x * s[1] + tap / kernel[2] / kernel[1] * s[2] +
         tap / kernel[2] % kernel[1] * s[3] + tap % kernel[2] * s[4];
}

template <class T>
void depthwise_weight_grad(const ConvProblem& p, const T* x, const T* y, T* w, const Strides& s) {
  const Maps maps(p.geometry);
  const std::int64_t channels = p.geometry.groups;
  parallel_for(p.taps(), grain_of(p.work(), p.taps()), [&](std::int64_t begin, std::int64_t end) {
    std::vector<double> sums(static_cast<std::size_t>(channels));
    for (std::int64_t tap = begin; tap < end; ++tap) {
      std::fill(sums.begin(), sums.end(), 0.0);
      const std::int64_t kw = tap % maps.w.kernel, kh = tap / maps.w.kernel % maps.h.kernel,
                         kd = tap / maps.w.kernel / maps.h.kernel;
      const Range depth = maps.d.y_range(kd), height = maps.h.y_range(kh), width = maps.w.y_range(kw);
      for (std::int64_t n = 0; n < p.batch && !width.empty(); ++n)
        for (std::int64_t d = depth.begin; d < depth.end; ++d)
          for (std::int64_t h = height.begin; h < height.end; ++h)
            add_row_products(
                x + (((n * maps.d.x + maps.d.x_of(d, kd)) * maps.h.x + maps.h.x_of(h, kh)) * maps.w.x +
                     width.begin * maps.w.stride + maps.w.shift(kw)) *
                        channels,
                maps.w.stride * channels,
                y + (((n * maps.d.y + d) * maps.h.y + h) * maps.w.y + width.begin) * channels, channels,
                sums.data(), width.end - width.begin, channels);
      for (std::int64_t c = 0; c < channels; ++c)
        *weight_at(w, s, p.geometry.kernel, c, 0, tap) = static_cast<T>(sums[static_cast<std::size_t>(c)]);
    }
  });
}

template <class T>
void weight_grad(const ConvProblem& p, const Tensor& input, const Tensor& grad, const Tensor& out) {
  const T* x = input.data<T>();
  const T* y = grad.data<T>();
  T* w = out.mutable_data<T>();
  const Strides& s = out.strides();
  if (p.is_depthwise()) return depthwise_weight_grad(p, x, y, w, s);
  constexpr std::int64_t most = WeightBlock<T>::kChannels;
  const std::int64_t blocks = (p.x_channels + most - 1) / most;
  const std::int64_t tasks = p.geometry.groups * p.taps() * blocks;
  parallel_for(tasks, grain_of(p.work(), tasks), [&](std::int64_t begin, std::int64_t end) {
    WeightBlock<T> block(p, x, y);
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t group = task / blocks / p.taps(), tap = task / blocks % p.taps();
      const std::int64_t first = task % blocks * most, count = std::min(most, p.x_channels - first);
      block.run(group, tap, first, count);
      for (std::int64_t c = 0; c < count; ++c)
        for (std::int64_t f = 0; f < p.y_channels; ++f)
          *weight_at(w, s, p.geometry.kernel, group * p.y_channels + f, first + c, tap) =
              static_cast<T>(block.total()[static_cast<std::size_t>(c * block.columns() + f)]);
    }
  });
}

}  // namespace

void conv_forward(const ConvProblem& p, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const Tensor& out) {
  out.dtype() == f64 ? forward<double>(p, x, weight, bias, out) : forward<float>(p, x, weight, bias, out);
}

void conv_transpose(const ConvProblem& p, const Tensor& y, const Tensor& weight, const Tensor& bias,
                    const Tensor& out) {
  out.dtype() == f64 ? transpose<double>(p, y, weight, bias, out) : transpose<float>(p, y, weight, bias, out);
}

void conv_weight_grad(const ConvProblem& p, const Tensor& x, const Tensor& y, const Tensor& out) {
  out.dtype() == f64 ? weight_grad<double>(p, x, y, out) : weight_grad<float>(p, x, y, out);
}

}  // namespace lucid::reference
