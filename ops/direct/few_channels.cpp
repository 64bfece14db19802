#include "ops/direct/few_channels.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "lucid/cpu.hpp"
#include "ops/direct/plane_window.hpp"
#include "ops/direct/rows.hpp"
#include "ops/kernels/transpose.hpp"

namespace lucid::direct {
namespace {

using ops::ConvPass;

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

template <class T>
LUCID_VECTORIZED void add_line(T* __restrict__ to, const T* __restrict__ from, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] += from[i];
}

template <class T>
class FewChannels {
 public:
  FewChannels(const ConvProblem& p, bool transposed, const Tensor& from, const Tensor& weight,
              const Tensor& bias, const Tensor& to)
      : p_(p),
        maps_(p.geometry),
        transposed_(transposed),
        depths_(maps_.d, transposed),
        heights_(maps_.h, transposed),
        from_size_(transposed ? p.geometry.y : p.geometry.x),
        to_size_(transposed ? p.geometry.x : p.geometry.y),
        from_channels_(transposed ? p.y_channels : p.x_channels),
        channels_(transposed ? p.x_channels : p.y_channels),
        rows_(maps_.w.kernel * channels_),
        step_(transposed ? maps_.w.stride : 1),
        sums_line_(padded_to_lanes((to_size_[2] + step_ - 1) / step_, kLanes<T>)),
        products_line_(padded_to_lanes(from_size_[2], kLanes<T>)),
        from_(from.data<T>()),
        bias_(bias.defined() ? bias.data<T>() : nullptr),
        to_(to.data_to_write<T>()) {
    pack(weight);
  }

  void run() const {
    const std::int64_t planes = p_.batch * to_size_[0],
                       step = PlaneWindow<T>::lines_at_once(to_size_[1], heights_.period(),
                                                            planes_at_once() * line_size(), planes);
    const std::int64_t tasks = (to_size_[1] + step - 1) / step * planes;
    parallel_walk(tasks, grain_of(p_.work(), tasks), [&](Turns& turns) {
      PlaneWindow<T> window(from_size_[0], line_size(), planes_at_once());
      Scratch scratch;
      scratch.products.resize(static_cast<std::size_t>(rows_ * products_line_));
      scratch.sums.resize(static_cast<std::size_t>(step_ * channels_ * sums_line_));
      std::int64_t walked = -1;                 // the first of the window's lines
      while (const auto task = turns.next()) {  // planes follow each other: they share a window
        const std::int64_t plane = *task % planes, first = *task / planes * step;
        const Range lines{first, std::min(first + step, to_size_[1])};
        if (std::exchange(walked, first) != first)
          window.set_lines(PlaneWindow<T>::sources_of(heights_, lines, scratch.heights));
        produce(plane / to_size_[0], plane % to_size_[0], lines, window, scratch);
      }
    });
  }

 private:
  struct Scratch {
    std::vector<Tap> depths, heights;
    std::vector<RowsTerm> terms;
    std::vector<T> products;  // [tap along width][channel][voxel of the input's line]
    std::vector<T> sums;      // [phase][channel][voxel of that phase]
  };

  std::int64_t planes_at_once() const { return PlaneWindow<T>::planes_at_once(maps_.d, transposed_); }
  std::int64_t line_size() const { return products_line_ * from_channels_; }
  std::int64_t panel_size() const { return from_channels_ * kPanel<T>; }

  // [kd][kh][channel of the input][kw][channel of the result]
  void pack(const Tensor& weight) {
    const T* from = weight.data<T>();
    const Strides& s = weight.strides();
    const std::int64_t in = transposed_ ? s[0] : s[1], out = transposed_ ? s[1] : s[0];
    weight_.reserve(static_cast<std::size_t>(weight.numel()));
    for (std::int64_t kd = 0; kd < maps_.d.kernel; ++kd)
      for (std::int64_t kh = 0; kh < maps_.h.kernel; ++kh)
        for (std::int64_t i = 0; i < from_channels_; ++i)
          for (std::int64_t kw = 0; kw < maps_.w.kernel; ++kw)
            for (std::int64_t c = 0; c < channels_; ++c)
              weight_.push_back(from[i * in + c * out + kd * s[2] + kh * s[3] + kw * s[4]]);
  }

  void produce(std::int64_t n, std::int64_t d, Range lines, PlaneWindow<T>& window, Scratch& scratch) const {
    depths_.list(d, scratch.depths);
    window.load(n, scratch.depths,
                [&](std::int64_t plane, std::int64_t line, T* to) { transpose_line(plane, line, to); });
    for (std::int64_t h = lines.begin; h < lines.end; ++h) {
      heights_.list(h, scratch.heights);
      scratch.terms.clear();
      for (const Tap& kd : scratch.depths)
        for (const Tap& kh : scratch.heights)
          scratch.terms.push_back({(kd.tap * maps_.h.kernel + kh.tap) * from_channels_ * rows_,
                                   window.offset(n, kd.source, kh.source)});
      store_product(RowsProduct<T>{.a = weight_.data(),
                                   .a_row = 1,
                                   .a_step = rows_,
                                   .b = window.data(),
                                   .b_row = kPanel<T>,
                                   .c = scratch.products.data(),
                                   .c_row = products_line_,
                                   .rows = rows_,
                                   .depth = from_channels_,
                                   .columns = products_line_,
                                   .b_panel = panel_size(),
                                   .outer = static_cast<std::int64_t>(scratch.terms.size()),
                                   .terms = scratch.terms.data()});
      add_widths(scratch);
      write_line(scratch.sums.data(),
                 to_ + ((n * to_size_[0] + d) * to_size_[1] + h) * to_size_[2] * channels_);
    }
  }

  // A line of the input as [panel of voxels][channel][kPanel], the last panel padded.
  void transpose_line(std::int64_t plane, std::int64_t line, T* to) const {
    const T* from = from_ + (plane * from_size_[1] + line) * from_size_[2] * from_channels_;
    for (std::int64_t w = 0; w < from_size_[2]; w += kPanel<T>, to += panel_size())
      kernels::transpose(to, from + w * from_channels_, kPanel<T>, from_channels_, from_channels_,
                         std::min(kPanel<T>, from_size_[2] - w));
  }

  // Each tap's products go to the voxels (w + offset) * step + phase.
  void add_widths(Scratch& scratch) const {
    for (std::int64_t c = 0; c < step_ * channels_; ++c)
      std::fill_n(scratch.sums.begin() + c * sums_line_, sums_line_, bias_ ? bias_[c % channels_] : T(0));
    for (std::int64_t kw = 0; kw < maps_.w.kernel; ++kw) {
      const std::int64_t shift = transposed_ ? maps_.w.shift(kw) : -maps_.w.shift(kw);
      const std::int64_t offset = floor_div(shift, step_), phase = shift - offset * step_;
      if (offset >= sums_line_ || offset <= -from_size_[2]) continue;
      const std::int64_t first = std::max<std::int64_t>(0, -offset),
                         end = std::min(from_size_[2], sums_line_ - offset);
      for (std::int64_t c = 0; c < channels_; ++c)
        add_line(scratch.sums.data() + (phase * channels_ + c) * sums_line_ + first + offset,
                 scratch.products.data() + (kw * channels_ + c) * products_line_ + first, end - first);
    }
  }

  void write_line(const T* sums, T* to) const {
    const std::int64_t together = step_ * channels_, whole = to_size_[2] / step_;
    if (together == 1)
      std::copy(sums, sums + whole, to);
    else
      kernels::transpose(to, sums, together, sums_line_, whole, together);
    for (std::int64_t at = whole * together; at < to_size_[2] * channels_; ++at)
      to[at] = sums[at % together * sums_line_ + whole];
  }

  const ConvProblem& p_;
  Maps maps_;
  bool transposed_;
  AxisTaps depths_, heights_;  // of the result's positions
  const Dims3 &from_size_, &to_size_;
  std::int64_t from_channels_, channels_;
  std::int64_t rows_;  // taps along width, times channels
  std::int64_t step_;  // voxels of the result for one of the input
  std::int64_t sums_line_, products_line_;
  std::vector<T> weight_;
  const T* from_;
  const T* bias_;
  T* to_;
};

}  // namespace

bool has_few_channels(const ConvProblem& p, ConvPass pass) {
  constexpr std::int64_t kFewChannels = 8, kMostRows = 64, kMostStride = 64, kLeastVoxels = 8;
  const ops::ConvGeometry& g = p.geometry;
  const std::int64_t channels = pass == ConvPass::x ? p.x_channels : p.y_channels;
  return pass != ConvPass::w && g.groups == 1 && channels <= kFewChannels &&
         g.kernel[2] * channels <= kMostRows && (pass == ConvPass::x ? g.y : g.x)[2] >= kLeastVoxels &&
         g.stride[2] <= (pass == ConvPass::x ? kMostStride : 1);
}

void conv_few_channels(const ConvProblem& p, ConvPass pass, const Tensor& from, const Tensor& weight,
                       const Tensor& bias, const Tensor& to) {
  const bool transposed = pass == ConvPass::x;
  to.dtype() == f64 ? FewChannels<double>(p, transposed, from, weight, bias, to).run()
                    : FewChannels<float>(p, transposed, from, weight, bias, to).run();
}

}  // namespace lucid::direct
