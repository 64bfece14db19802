#include "ops/direct/weight_by_channels.hpp"

#include <algorithm>
#include <vector>

#include "ops/direct/conv_maps.hpp"
#include "ops/direct/rows.hpp"
#include "ops/kernels/transpose.hpp"

namespace lucid::direct {
namespace {

using ops::ConvProblem;

// Threads share blocks of (group, x channels, y channels, taps). Both operands are packed: at steps of many
// channels a few voxels would displace each other from the first-level cache.
template <class T>
class WeightByChannels {
 public:
  WeightByChannels(const ConvProblem& p, const Tensor& x, const Tensor& y, const Tensor& out)
      : p_(p),
        maps_(p.geometry),
        voxels_(p.y_voxels()),
        y_panels_((p.y_channels + kPanel<T> - 1) / kPanel<T>),
        y_(empty({p.geometry.groups, y_panels_, voxels_, kPanel<T>}, dtype_of<T>())),
        x_(x.data<T>()),
        out_(out.data_to_write<T>()) {
    pack(y.data<T>());
  }

  void run() const {
    const std::int64_t threads = num_threads(), taps = p_.taps(), groups = p_.geometry.groups;
    const std::int64_t strips = ceil_div(p_.x_channels, kMostOfStrip),
                       strip = padded_to_lanes(ceil_div(p_.x_channels, strips), kStripStep);
    // Another slab of y packs x again; another part of the taps does not.
    const std::int64_t slabs = std::max(ceil_div(y_panels_, kMostPanels),
                                        ceil_div(threads, groups * strips * taps)),
                       slab = ceil_div(y_panels_, slabs) * kPanel<T>, blocks = groups * slabs * strips,
                       parts = std::clamp(ceil_div(2 * threads, blocks), ceil_div(taps, kMostTaps), taps);
    // All strips with one slab of y, which stays in a core's cache, then with the next.
    parallel_walk(blocks * parts, 1, [&](Turns& turns) {
      Scratch scratch;
      scratch.x.resize(static_cast<std::size_t>(voxels_ * kMostOfStrip));
      scratch.sums.resize(static_cast<std::size_t>(ceil_div(taps, parts) * std::min(strip, p_.x_channels) *
                                                   std::min(slab, p_.y_channels)));
      while (const auto task = turns.next()) {
        const std::int64_t part = *task % parts, block = *task / parts, x = block % strips * strip,
                           y = block / strips % slabs * slab;
        if (x < p_.x_channels && y < p_.y_channels)
          produce(block / strips / slabs, {x, std::min(x + strip, p_.x_channels)},
                  {y, std::min(y + slab, p_.y_channels)}, {taps * part / parts, taps * (part + 1) / parts},
                  scratch);
      }
    });
  }

 private:
  static constexpr std::int64_t kMostPanels = 8, kMostOfStrip = 2 * kPanel<T>, kStripStep = kPanel<T> / 2,
                                kMostTaps = 64;

  static std::int64_t ceil_div(std::int64_t count, std::int64_t size) { return (count + size - 1) / size; }

  struct Scratch {
    std::vector<T> x;     // [voxel that meets the tap][kPanel]
    std::vector<T> sums;  // [x channel][tap][y channel]
    std::vector<RowsTerm> terms;
  };

  // y as [group][panel of channels][voxel][kPanel].
  void pack(const T* from) {
    T* const to = y_.data_to_write<T>();
    parallel_for(voxels_, grain_of_copies(voxels_ * p_.y_row(), voxels_),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i)
                     for (std::int64_t group = 0; group < p_.geometry.groups; ++group)
                       copy_panels(from + i * p_.y_row() + group * p_.y_channels, p_.y_channels,
                                   to + (group * y_panels_ * voxels_ + i) * kPanel<T>, voxels_ * kPanel<T>);
                 });
  }

  void produce(std::int64_t group, Range xs, Range ys, Range taps, Scratch& scratch) const {
    const Dims3& kernel = p_.geometry.kernel;
    for (std::int64_t tap = taps.begin; tap < taps.end; ++tap)
      sum_tap(tap / kernel[2] / kernel[1], tap / kernel[2] % kernel[1], tap % kernel[2], group, xs, ys,
              scratch, scratch.sums.data() + (tap - taps.begin) * ys.size(), taps.size() * ys.size());
    write(group, xs, ys, taps, scratch.sums.data());
  }

  // Sums of x channels are `sums_step` apart.
  void sum_tap(std::int64_t kd, std::int64_t kh, std::int64_t kw, std::int64_t group, Range xs, Range ys,
               Scratch& scratch, T* sums, std::int64_t sums_step) const {
    const Range ds = maps_.d.y_range(kd), hs = maps_.h.y_range(kh), ws = maps_.w.y_range(kw);
    const std::int64_t step = step_of(maps_.w.stride, p_.x_step());
    scratch.terms.clear();
    T* to = scratch.x.data();
    for (std::int64_t n = 0; n < p_.batch; ++n)
      for (std::int64_t d = ds.begin; d < ds.end; ++d)
        for (std::int64_t h = hs.begin; h < hs.end; ++h) {
          if (ws.empty()) continue;
          const std::int64_t line = (n * maps_.d.x + maps_.d.x_of(d, kd)) * maps_.h.x + maps_.h.x_of(h, kh);
          const T* from = x_ + (line * maps_.w.x + maps_.w.x_of(ws.begin, kw)) * p_.x_step() +
                          group * p_.x_channels + xs.begin;
          scratch.terms.push_back(
              {to - scratch.x.data(),
               (((n * maps_.d.y + d) * maps_.h.y + h) * maps_.w.y + ws.begin) * kPanel<T>});
          for (std::int64_t i = 0; i < ws.size(); ++i, from += step, to += kPanel<T>) {
            if (xs.size() == kMostOfStrip)
              copy_panels(from, kMostOfStrip, to, voxels_ * kPanel<T>);  // moves of a fixed size
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
                                   .b = y_.data<T>() + (group * y_panels_ * kPanel<T> + ys.begin) * voxels_,
                                   .b_row = kPanel<T>,
                                   .c = sums + first * sums_step,
                                   .c_row = sums_step,
                                   .rows = std::min(kPanel<T>, xs.size() - first),
                                   .depth = all ? voxels_ : ws.size(),
                                   .columns = ys.size(),
                                   .b_panel = voxels_ * kPanel<T>,
                                   .outer = all ? 1 : lines,
                                   .terms = scratch.terms.data()});
  }

  // [x channel][tap][y channel] to the weight, whose x channels and taps are one row.
  void write(std::int64_t group, Range xs, Range ys, Range taps, const T* sums) const {
    const std::int64_t all = p_.taps(), row = p_.x_channels * all, count = taps.size();
    const auto transpose = [&](std::int64_t x, std::int64_t of_row, const T* from) {
      kernels::transpose(out_ + (group * p_.y_channels + ys.begin) * row + x * all + taps.begin, from, row,
                         ys.size(), ys.size(), of_row);
    };
    if (count == all) return transpose(xs.begin, xs.size() * all, sums);
    for (std::int64_t x = 0; x < xs.size(); ++x) transpose(xs.begin + x, count, sums + x * count * ys.size());
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
  constexpr std::int64_t kLeastVoxels = 40, kMostVoxels = 2048, kLeastChannels = 8, kLeastSums = 1 << 13,
                         kLargeTap = 1 << 12, kFewVoxels = 256, kSomeVoxels = 512, kManyTaps = 27;
  const std::int64_t voxels = p.y_voxels(), x = p.x_channels, y = p.y_channels, groups = p.geometry.groups;
  // Of a group's few channels the voxels take longer to pack than to multiply, but of few voxels, or where
  // many taps meet them again. Threads that share lines of taps are as good where these lie in a plane.
  const bool meets_again = p.geometry.stride == Dims3(1) || p.taps() >= kManyTaps;
  const bool repays = p.taps() > 1 && (meets_again || p.geometry.kernel[0] > 1) &&
                      voxels <= (meets_again ? kSomeVoxels : kFewVoxels);
  const std::int64_t least = groups == 1 ? kLeastChannels : repays ? 2 * kLeastChannels : 4 * kLeastChannels;
  const bool is_large = x * y >= kLargeTap;
  // Fewer sums will do where there are few voxels to pack, for many channels or taps.
  const std::int64_t sums =
      voxels <= kSomeVoxels && (is_large || p.taps() >= kManyTaps) ? kLeastSums / 2 : kLeastSums;
  return voxels >= kLeastVoxels && voxels <= (is_large ? kMostVoxels : kMostVoxels / 2) &&
         std::min(x, y) >= least && groups * p.taps() * x * y >= sums;
}

void weight_grad_by_channels(const ConvProblem& p, const Tensor& x, const Tensor& y, const Tensor& out) {
  out.dtype() == f64 ? WeightByChannels<double>(p, x, y, out).run()
                     : WeightByChannels<float>(p, x, y, out).run();
}

}  // namespace lucid::direct
