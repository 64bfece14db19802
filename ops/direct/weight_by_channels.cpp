#include "ops/direct/weight_by_channels.hpp"

#include <algorithm>
#include <vector>

#include "ops/direct/conv_maps.hpp"
#include "ops/direct/rows.hpp"
#include "ops/kernels/transpose.hpp"

namespace lucid::direct {
namespace {

using ops::ConvProblem;

// Threads share blocks of (x channels, y channels). Both operands are packed: at steps of many channels a few
// voxels would displace each other from the first-level cache.
template <class T>
class WeightByChannels {
 public:
  WeightByChannels(const ConvProblem& p, const Tensor& x, const Tensor& y, const Tensor& out)
      : p_(p),
        maps_(p.geometry),
        voxels_(p.y_voxels()),
        y_panels_((p.y_channels + kPanel<T> - 1) / kPanel<T>),
        y_(empty({y_panels_, voxels_, kPanel<T>}, dtype_of<T>())),
        x_(x.data<T>()),
        out_(out.mutable_data<T>()) {
    pack(y.data<T>());
  }

  void run() const {
    const std::int64_t strips = (p_.x_channels + kStrip - 1) / kStrip;
    const std::int64_t slabs = std::max((y_panels_ + kMostPanels - 1) / kMostPanels,
                                        (num_threads() + strips - 1) / strips),
                       slab = (y_panels_ + slabs - 1) / slabs;
    // All strips of x with one slab of y, which stays in a core's cache, then with the next.
    parallel_for((y_panels_ + slab - 1) / slab * strips, 1, [&](std::int64_t begin, std::int64_t end) {
      Scratch scratch;
      scratch.x.resize(static_cast<std::size_t>(voxels_ * kStrip));
      scratch.sums.resize(static_cast<std::size_t>(p_.taps() * std::min(kStrip, p_.x_channels) *
                                                   std::min(slab * kPanel<T>, p_.y_channels)));
      for (std::int64_t task = begin; task < end; ++task) {
        const std::int64_t y_first = task / strips * slab * kPanel<T>, x_first = task % strips * kStrip;
        produce({x_first, std::min(x_first + kStrip, p_.x_channels)},
                {y_first, std::min(y_first + slab * kPanel<T>, p_.y_channels)}, scratch);
      }
    });
  }

 private:
  static constexpr std::int64_t kMostPanels = 8, kStrip = 2 * kPanel<T>;

  struct Scratch {
    std::vector<T> x;     // [voxel that meets the tap][kPanel]
    std::vector<T> sums;  // [x channel][tap][y channel]
    std::vector<RowsTerm> terms;
  };

  // y as [panel of channels][voxel][kPanel].
  void pack(const T* from) {
    T* const to = y_.mutable_data<T>();
    parallel_for(voxels_, grain_of(static_cast<double>(voxels_ * p_.y_channels), voxels_),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i)
                     copy_panels(from + i * p_.y_channels, p_.y_channels, to + i * kPanel<T>,
                                 voxels_ * kPanel<T>);
                 });
  }

  void produce(Range xs, Range ys, Scratch& scratch) const {
    const Dims3& kernel = p_.geometry.kernel;
    T* sums = scratch.sums.data();
    for (std::int64_t kd = 0; kd < kernel[0]; ++kd)
      for (std::int64_t kh = 0; kh < kernel[1]; ++kh)
        for (std::int64_t kw = 0; kw < kernel[2]; ++kw, sums += ys.size())
          sum_tap(kd, kh, kw, xs, ys, scratch, sums);
    write(xs, ys, scratch.sums.data());
  }

  void sum_tap(std::int64_t kd, std::int64_t kh, std::int64_t kw, Range xs, Range ys, Scratch& scratch,
               T* sums) const {
    const Range ds = maps_.d.y_range(kd), hs = maps_.h.y_range(kh), ws = maps_.w.y_range(kw);
    const std::int64_t step = step_of(maps_.w.stride, p_.x_step());
    scratch.terms.clear();
    T* to = scratch.x.data();
    for (std::int64_t n = 0; n < p_.batch; ++n)
      for (std::int64_t d = ds.begin; d < ds.end; ++d)
        for (std::int64_t h = hs.begin; h < hs.end; ++h) {
          if (ws.empty()) continue;
          const std::int64_t line = (n * maps_.d.x + maps_.d.x_of(d, kd)) * maps_.h.x + maps_.h.x_of(h, kh);
          const T* from = x_ + (line * maps_.w.x + maps_.w.x_of(ws.begin, kw)) * p_.x_step() + xs.begin;
          scratch.terms.push_back(
              {to - scratch.x.data(),
               (((n * maps_.d.y + d) * maps_.h.y + h) * maps_.w.y + ws.begin) * kPanel<T>});
          for (std::int64_t i = 0; i < ws.size(); ++i, from += step, to += kPanel<T>) {
            if (xs.size() == kStrip)
              copy_panels(from, kStrip, to, voxels_ * kPanel<T>);  // moves of a fixed size
            else
              copy_panels(from, xs.size(), to, voxels_ * kPanel<T>);
          }
        }
    const auto lines = static_cast<std::int64_t>(scratch.terms.size());
    const bool all = lines * ws.size() == voxels_;  // one sum
    for (std::int64_t first = 0; first < xs.size(); first += kPanel<T>)
      store_product(RowsProduct<T>{.a = scratch.x.data() + first * voxels_,
                                   .a_row = 1,
                                   .a_step = kPanel<T>,
                                   .b = y_.data<T>() + ys.begin * voxels_,
                                   .b_row = kPanel<T>,
                                   .c = sums + first * p_.taps() * ys.size(),
                                   .c_row = p_.taps() * ys.size(),
                                   .rows = std::min(kPanel<T>, xs.size() - first),
                                   .depth = all ? voxels_ : ws.size(),
                                   .columns = ys.size(),
                                   .b_panel = voxels_ * kPanel<T>,
                                   .outer = all ? 1 : lines,
                                   .terms = scratch.terms.data()});
  }

  // [x channel][tap][y channel] to the weight, whose channels of x and taps are one row.
  void write(Range xs, Range ys, const T* sums) const {
    const std::int64_t taps = p_.taps(), row = p_.x_channels * taps;
    kernels::transpose(out_ + ys.begin * row + xs.begin * taps, sums, row, ys.size(), ys.size(),
                       xs.size() * taps);
  }

  const ConvProblem& p_;
  Maps maps_;
  std::int64_t voxels_, y_panels_;
  Tensor y_;
  const T* x_;
  T* out_;
};

}  // namespace

bool has_weight_by_channels(const ConvProblem& p) {
  constexpr std::int64_t kLeastVoxels = 40, kMostVoxels = 2048, kLeastChannels = 8, kLeastSums = 1 << 13;
  const std::int64_t voxels = p.y_voxels(), x = p.x_channels, y = p.y_channels;
  return p.geometry.groups == 1 && voxels >= kLeastVoxels && voxels <= kMostVoxels &&
         std::min(x, y) >= kLeastChannels && p.taps() * x * y >= kLeastSums;
}

void weight_grad_by_channels(const ConvProblem& p, const Tensor& x, const Tensor& y, const Tensor& out) {
  out.dtype() == f64 ? WeightByChannels<double>(p, x, y, out).run()
                     : WeightByChannels<float>(p, x, y, out).run();
}

}  // namespace lucid::direct
