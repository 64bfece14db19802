#include <algorithm>

#include "ops/direct/conv.hpp"
#include "ops/direct/conv_maps.hpp"
#include "ops/direct/rows.hpp"

namespace lucid::direct {
namespace {

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

// One thread's share of all of the weight's gradient, summed row by row of y, so that x and y are read from
// memory once. Within one plane sums stay in T; planes are added in double.
template <class T>
class WeightShare {
 public:
  WeightShare(const ConvProblem& p, const T* x, const T* y)
      : p_(p),
        maps_(p.geometry),
        x_(x),
        y_(y),
        columns_(padded_to_lanes(p.y_channels, kLanes<T>)),
        plane_(static_cast<std::size_t>(elements(p))),
        total_(plane_.size()) {
    if (columns_ != p.y_channels)
      row_.resize(static_cast<std::size_t>(p.geometry.groups * maps_.w.y * columns_));
  }

  /// [group][tap][x channel][y channel, padded].
  static std::int64_t elements(const ConvProblem& p) {
    return p.geometry.groups * p.taps() * p.x_channels * padded_to_lanes(p.y_channels, kLanes<T>);
  }
  const std::vector<double>& total() const { return total_; }

  /// Adds rows [begin, end) of y, counted over n, d and h.
  void add_rows(std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      add_row(row / maps_.h.y / maps_.d.y, row / maps_.h.y % maps_.d.y, row % maps_.h.y);
      if (row + 1 == end || (row + 1) % maps_.h.y == 0) flush();
    }
  }

 private:
  void flush() {
    for (std::size_t i = 0; i < total_.size(); ++i) {
      total_[i] += static_cast<double>(plane_[i]);
      plane_[i] = T(0);
    }
  }

  void add_row(std::int64_t n, std::int64_t d, std::int64_t h) {
    y_row_ = y_ + ((n * maps_.d.y + d) * maps_.h.y + h) * maps_.w.y * p_.y_row();
    if (!row_.empty()) copy_row();
    for (std::int64_t kd = 0; kd < maps_.d.kernel; ++kd) {
      const std::int64_t xd = maps_.d.x_of(d, kd);
      if (xd < 0) continue;
      for (std::int64_t kh = 0; kh < maps_.h.kernel; ++kh) {
        const std::int64_t xh = maps_.h.x_of(h, kh);
        if (xh < 0) continue;
        const T* x_row = x_ + ((n * maps_.d.x + xd) * maps_.h.x + xh) * maps_.w.x * p_.x_row();
        for (std::int64_t kw = 0; kw < maps_.w.kernel; ++kw) add_tap(x_row, kw, maps_.tap(kd, kh, kw));
      }
    }
  }

  // Each group's channels of the row, padded to whole vectors.
  void copy_row() {
    for (std::int64_t group = 0; group < p_.geometry.groups; ++group)
      for (std::int64_t w = 0; w < maps_.w.y; ++w) {
        const T* from = y_row_ + w * p_.y_row() + group * p_.y_channels;
        std::copy(from, from + p_.y_channels, row_.begin() + (group * maps_.w.y + w) * columns_);
      }
  }

  void add_tap(const T* x_row, std::int64_t kw, std::int64_t tap) {
    const Range range = maps_.w.y_range(kw);
    if (range.empty()) return;
    const bool padded = !row_.empty();
    const T* x = x_row + (range.begin * maps_.w.stride + maps_.w.shift(kw)) * p_.x_row();
    for (std::int64_t group = 0; group < p_.geometry.groups; ++group) {
      const T* y = padded ? row_.data() + (group * maps_.w.y + range.begin) * columns_
                          : y_row_ + range.begin * p_.y_row() + group * p_.y_channels;
      add_product<T>({x + group * p_.x_channels, 1, maps_.w.stride * p_.x_row(), y,
                      padded ? columns_ : p_.y_row(),
                      plane_.data() + (group * p_.taps() + tap) * p_.x_channels * columns_, columns_,
                      p_.x_channels, range.end - range.begin, columns_});
    }
  }

  const ConvProblem& p_;
  Maps maps_;
  const T* x_;
  const T* y_;
  const T* y_row_ = nullptr;
  std::int64_t columns_;
  std::vector<T> row_, plane_;
  std::vector<double> total_;
};

// Shares that are to be kept in a core's cache.
constexpr std::int64_t kShareElements = 1 << 17;

template <class T>
void weight_grad_by_rows(const ConvProblem& p, const T* x, const T* y, T* w, const Strides& s) {
  const std::int64_t rows = p.batch * p.geometry.y[0] * p.geometry.y[1];
  const std::int64_t most = (rows + grain_of(p.work(), rows) - 1) / grain_of(p.work(), rows);
  const std::int64_t parts = std::min<std::int64_t>(num_threads(), most);
  std::vector<WeightShare<T>> shares(static_cast<std::size_t>(parts), WeightShare<T>(p, x, y));
  parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      shares[static_cast<std::size_t>(i)].add_rows(rows * i / parts, rows * (i + 1) / parts);
  });
  const std::int64_t columns = padded_to_lanes(p.y_channels, kLanes<T>);
  for (std::int64_t row = 0; row < p.geometry.groups * p.taps() * p.x_channels; ++row)
    for (std::int64_t f = 0; f < p.y_channels; ++f) {
      double sum = 0;
      for (const auto& share : shares) sum += share.total()[static_cast<std::size_t>(row * columns + f)];
      const std::int64_t group = row / p.x_channels / p.taps();
      *weight_at(w, s, p.geometry.kernel, group * p.y_channels + f, row % p.x_channels,
                 row / p.x_channels % p.taps()) = static_cast<T>(sum);
    }
}

template <class T>
void weight_grad_by_taps(const ConvProblem& p, const T* x, const T* y, T* w, const Strides& s) {
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

template <class T>
void weight_grad(const ConvProblem& p, const Tensor& input, const Tensor& grad, const Tensor& out) {
  const T* x = input.data<T>();
  const T* y = grad.data<T>();
  T* w = out.mutable_data<T>();
  if (WeightShare<T>::elements(p) <= kShareElements)
    weight_grad_by_rows(p, x, y, w, out.strides());
  else
    weight_grad_by_taps(p, x, y, w, out.strides());
}

}  // namespace

void conv_weight_grad(const ConvProblem& p, const Tensor& x, const Tensor& y, const Tensor& out) {
  out.dtype() == f64 ? weight_grad<double>(p, x, y, out) : weight_grad<float>(p, x, y, out);
}

}  // namespace lucid::direct
