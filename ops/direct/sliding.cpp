#include "ops/direct/sliding.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "ops/direct/conv.hpp"
#include "ops/direct/dots.hpp"
#include "ops/direct/packed_weight.hpp"
#include "ops/direct/plane_window.hpp"
#include "ops/direct/sliding_rows.hpp"

namespace lucid::direct {
namespace {

using ops::ConvPass;
using Window = PlaneWindow<float>;

class Sliding {
 public:
  Sliding(const ConvProblem& p, bool transposed, const Tensor& from, const Tensor& weight, const Tensor& bias,
          const Tensor& to, const ops::PackedWeights& kept)
      : p_(p),
        maps_(p.geometry),
        transposed_(transposed),
        depths_(maps_.d, transposed),
        heights_(maps_.h, transposed),
        height_runs_(runs_of(heights_)),
        weight_(p, weight, transposed, kept),
        fold_(maps_.w.stride),
        taps_(maps_.w.kernel / fold_),
        start_(padded_start<float>(bias, p.geometry.groups, weight_.columns())),
        from_size_(transposed ? p.geometry.y : p.geometry.x),
        to_size_(transposed ? p.geometry.x : p.geometry.y),
        from_step_(transposed ? p.y_row() : p.x_step()),
        from_channels_(transposed ? p.y_row() : p.x_row()),
        to_step_(transposed ? p.x_row() : p.y_row()),
        past_caches_(to.nbytes() >= kBytesPastCaches && p.geometry.groups == 1 &&
                     weight_.columns() % kPanel<float> == 0 &&
                     goes_past_caches(to.data<float>(), to.nbytes(),
                                      to_step_ * static_cast<std::int64_t>(sizeof(float)))),
        from_(from.data<float>()),
        to_(to.data_to_write<float>()) {}

  void run() const {
    const std::int64_t planes = p_.batch * to_size_[0], kept = Window::planes_at_once(maps_.d, transposed_),
                       step =
                           Window::lines_at_once(to_size_[1], heights_.period(), kept * line_size(), planes);
    const std::int64_t tasks = (to_size_[1] + step - 1) / step * planes;
    parallel_walk(tasks, grain_of(p_.work(), tasks), [&](Turns& turns) {
      Window window(from_size_[0], line_size(), kept);
      Scratch scratch;
      std::int64_t walked = -1;                 // the first of the window's lines
      while (const auto task = turns.next()) {  // planes follow each other: they share a window
        const std::int64_t plane = *task % planes, first = *task / planes * step;
        const Range lines{first, std::min(first + step, to_size_[1])};
        if (std::exchange(walked, first) != first)
          window.set_lines(Window::sources_of(heights_, lines, scratch.heights));
        produce(plane, lines, window, scratch);
      }
    });
  }

 private:
  struct Scratch {
    std::vector<Tap> depths, heights;
    std::vector<RowsTerm> terms;
  };

  // Of a line of the source with its padding: one voxel for each tap of each voxel of the result.
  std::int64_t line_voxels() const { return (to_size_[2] + taps_ - 1) * fold_; }
  std::int64_t line_size() const { return line_voxels() * from_channels_; }

  void produce(std::int64_t plane, Range lines, Window& window, Scratch& scratch) const {
    const std::int64_t n = plane / to_size_[0], to_line = to_size_[2] * to_step_;
    depths_.list(plane % to_size_[0], scratch.depths);
    window.load(n, scratch.depths,
                [&](std::int64_t from, std::int64_t line, float* to) { pad_line(from, line, to); });
    for (const Run& run : height_runs_) {
      const std::int64_t before = lines.begin > run.first
                                      ? (lines.begin - run.first + run.step - 1) / run.step
                                      : 0,
                         h = run.first + before * run.step;
      if (before >= run.count || h >= lines.end) continue;
      heights_.list(h, scratch.heights);
      list_terms(n, window, scratch);
      RowsProduct<float> product{
          .a = nullptr,
          .a_row = fold_ * from_channels_,
          .a_step = 1,
          .b = nullptr,
          .b_row = kPanel<float>,
          .c = nullptr,
          .c_row = to_step_,
          .rows = to_size_[2],
          .depth = fold_ * weight_.depth(),
          .columns = weight_.columns(),
          .b_panel = weight_.panel_size(),
          .outer = static_cast<std::int64_t>(scratch.terms.size()),
          .terms = scratch.terms.data(),
          .lines = std::min(run.count - before, (lines.end - h + run.step - 1) / run.step),
          .a_line = step_of(run.source_step, line_size()),
          .c_line = step_of(run.step, to_line),
          .past_caches = past_caches_};
      for (std::int64_t group = 0; group < p_.geometry.groups; ++group) {
        product.a = window.data() + group * weight_.depth();
        product.b = weight_.at(group, 0);
        product.c = to_ + (plane * to_size_[1] + h) * to_line + group * weight_.columns();
        if (!start_.empty())
          product.start = start_.data() + group * padded_to_lanes(weight_.columns(), kPanel<float>);
        store_sliding_rows(product, product.outer / terms_of_line() * pairs_of_line(), tap_step());
      }
    }
  }

  // The taps along W, in the order in which they meet the source: as many threes as leave pairs.
  std::int64_t pairs_of_line() const { return (3 - taps_ % 3) % 3; }
  std::int64_t terms_of_line() const { return (taps_ + 2) / 3; }
  std::int64_t tap_step() const { return (transposed_ ? -1 : fold_) * weight_.tap_size(); }

  // All threes, then all pairs.
  void list_terms(std::int64_t n, const Window& window, Scratch& scratch) const {
    scratch.terms.clear();
    const std::int64_t threes = terms_of_line() - pairs_of_line();
    const auto add = [&](std::int64_t first, std::int64_t end, std::int64_t step) {
      if (first == end) return;
      for (const Tap& kd : scratch.depths)
        for (const Tap& kh : scratch.heights)
          for (std::int64_t t = first; t < end; t += step)
            scratch.terms.push_back(
                {window.offset(n, kd.source, kh.source) + t * fold_ * from_channels_,
                 maps_.tap(kd.tap, kh.tap, transposed_ ? taps_ - 1 : 0) * weight_.tap_size() +
                     t * tap_step()});
    };
    add(0, 3 * threes, 3);
    add(3 * threes, taps_, 2);
  }

  // The voxels that meet the first tap from the first voxel of the result, to those that meet the last.
  void pad_line(std::int64_t plane, std::int64_t line, float* to) const {
    const float* from = from_ + (plane * from_size_[1] + line) * from_size_[2] * from_step_;
    const std::int64_t shift = transposed_ ? -maps_.w.shift(taps_ - 1) : maps_.w.shift(0);
    const std::int64_t width = line_voxels();
    const std::int64_t begin = std::clamp<std::int64_t>(-shift, 0, width),
                       end = std::clamp<std::int64_t>(from_size_[2] - shift, begin, width);
    std::fill_n(to, begin * from_channels_, 0.0f);
    to += begin * from_channels_;
    if (begin < end && from_step_ == from_channels_)
      to = std::copy_n(from + (begin + shift) * from_step_, (end - begin) * from_channels_, to);
    else
      for (std::int64_t w = begin; w < end; ++w)
        to = std::copy_n(from + (w + shift) * from_step_, from_channels_, to);
    std::fill_n(to, (width - end) * from_channels_, 0.0f);
  }

  const ConvProblem& p_;
  Maps maps_;
  bool transposed_;
  AxisTaps depths_, heights_;  // of the result's positions
  std::vector<Run> height_runs_;
  PackedWeight<float> weight_;
  std::int64_t fold_;  // voxels of the source from one position to the next: channels of one voxel
  std::int64_t taps_;  // along W, of such voxels
  std::vector<float> start_;
  const Dims3 &from_size_, &to_size_;
  std::int64_t from_step_, from_channels_, to_step_;  // of all groups
  bool past_caches_;                                  // the result goes there
  const float* from_;
  float* to_;
};

}  // namespace

bool has_sliding(const ConvProblem& p, ConvPass pass) {
  constexpr std::int64_t kFewChannels = 12, kFewest = 2, kOneRegister = 8, kMostTaps = 16;
  const ops::ConvGeometry& g = p.geometry;
  const bool to_x = pass == ConvPass::x;
  const std::int64_t channels = to_x ? p.y_channels : p.x_channels;
  if (pass == ConvPass::w || g.dilation[2] != 1 || g.kernel[2] <= g.stride[2] || has_dots(p, to_x))
    return false;
  if (channels > kFewChannels || (to_x ? g.x : g.y)[2] < kLeastSlidingRows) return false;
  if (g.kernel[2] > kMostTaps * g.stride[2]) return false;
  if (to_x) return g.stride[2] == 1;
  if (g.stride[1] > g.kernel[1]) return false;  // it copies lines that no tap meets
  if (g.stride[2] > 1 && (g.groups > 1 || g.kernel[2] % g.stride[2] != 0)) return false;
  // Else the direct convolution has more sums at a time, and neighbouring taps are one run of its channels.
  return g.kernel[2] == 3 || channels <= kFewest || p.y_channels <= kOneRegister;
}

void conv_sliding(const ConvProblem& p, ConvPass pass, const Tensor& from, const Tensor& weight,
                  const Tensor& bias, const Tensor& to, const ops::PackedWeights& kept) {
  Sliding(p, pass == ConvPass::x, from, weight, bias, to, kept).run();
}

}  // namespace lucid::direct
